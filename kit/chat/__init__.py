"""A conversation in which a model uses plugins.

Takes installed plugins and the user's messages. Returns a `Reply` for each turn, or streams its events. Calls the
model with the `openai` client, over either of its APIs.
"""
