"""What a person writes in a cell.

Takes FastAPI operations. Gives a `Plugin`: an ASGI app whose operations a later cell can replace, with manifest, spec and
pages beside them, the layers around each request, and a database. The private parts of FastAPI are in `registry`.
"""
