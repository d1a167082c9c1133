"""An operation as a function that a model can call.

Takes the operations of a `Spec`. Returns a `Tool` for each: its name, description and JSON Schema in the form of each API,
a selection of them, and the `Request` that a call with its arguments becomes. Knows no HTTP client.
"""
