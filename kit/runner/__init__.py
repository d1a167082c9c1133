"""A plugin in production: the part of `kit serve` that an export carries.

Takes a target and a port. Serves it from one process or several until SIGTERM, losing no request. The code that relies on
uvicorn's private parts is in `graceful`.
"""
