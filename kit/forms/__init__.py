"""A form to try an operation: what it takes, as data, and the page that draws it.

Takes a `Tool` (its JSON Schema and where each argument goes), gives plain data and HTML. The fields themselves are made by
the scripts in `static/`, for any JSON Schema: a schema may refer to itself, lists grow, and an alternative is chosen while
one fills it in. Two pages show it: `/docs` of every plugin, which calls the plugin from the browser itself, and that of the
notebook (`kit.form`, `kit.chatgpt`), whose process makes the calls.
"""
