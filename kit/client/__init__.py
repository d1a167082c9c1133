"""An address becomes a plugin that can be called.

Takes a URL, a file or a plugin of this process. Gives an `InstalledPlugin`: its description and its calls, by an HTTP
client that is bounded in size, time and reach.
"""
