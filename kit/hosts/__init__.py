"""One module for each host: what it needs of a plugin, in the host's own form, and what it refuses.

Each has `TITLE`, the host's name for people, `render(plugin)`, and `check(plugin)`, which yields a
`Finding` for every documented rule of the host that the plugin breaks.
"""
