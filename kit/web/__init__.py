"""The local ChatGPT: a page that installs plugins by their URL and talks to a model that uses them.

`page` starts it, `app` answers the browser, `plugins` holds the installed plugins, `conversation` the turns,
`transcript` writes a conversation down as code. `static` is the page itself: plain files, nothing to build.
"""
