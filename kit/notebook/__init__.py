"""A notebook's `#| export` cells as a plugin.

Takes the path of a notebook or Python file, or the name of a module. Returns the `Plugin` that it defines, or raises an
error that names the cell.
"""
