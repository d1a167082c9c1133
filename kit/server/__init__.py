"""A plugin served from this process, so that cells can call it and go on.

Takes a `Plugin`. Returns a `Server` with its address and the log of its requests; the plugin behind it can be swapped
while it serves, and a tunnel can publish it.
"""
