"""`new` and `export`: a project around a notebook, and a server made from one.

`new` takes a name; `export` takes a notebook, and proves that the server answers as the notebook does.
"""
