"""Does a model choose right? Cases, asked of a model; the result, compared with another; recorded and replayed.

Takes a plugin and cases: what a user says, and what should be called. Returns an `Evaluation`.

pydantic-evals, inspect-ai and deepeval were weighed, and none is beneath it: they score what a function or a model
returns, and would leave to write what this is about, which operation was called in the place of which and with what, in
a conversation that really calls the plugin. What their users look for is here by the same names: cases, in YAML too.
"""
