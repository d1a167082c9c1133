"""A plugin put into an AI host on this machine, and taken out again: Codex, Claude Code, VS Code, Open WebUI, ...

Takes whatever `install` takes and the name of a host. Gives a `Connection`: what is written, and what the host says of it.
A host with a command of its own is in `commands`, one that reads a file in `files`, the one with an API in `open_webui`.
"""
