"""An address becomes a plugin that can be called.

Takes a URL, a file or a plugin of this process. Returns an `InstalledPlugin`: its description, and calls to it by an
HTTP client with limits on size, time and reach.
"""
