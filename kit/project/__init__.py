"""A folder made of a notebook: a new project, and an export.

Takes a name, or a notebook. Gives files: a project around a notebook, or a server with all that it needs, and the proof
that it answers as the notebook does.
"""
