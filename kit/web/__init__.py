"""The local ChatGPT: a page on which plugins are installed and talked to.

Provides the page's files and a small HTTP API for what its user does there.
"""
