"""A notebook's `#| export` cells as a plugin.

Takes the path of a notebook, of a Python file or a module's name. Gives the `Plugin` that it defines, or an error that
names the cell.
"""
