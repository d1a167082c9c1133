"""A conversation in which a model uses plugins.

Takes installed plugins and what the user says. Gives a `Reply` for each turn, or the events as they come. Speaks to a
model by the `openai` client, over both of its APIs.
"""
