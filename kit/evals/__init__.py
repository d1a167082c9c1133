"""Does a model choose right? Cases, asked of a model; the result, compared with another; recorded and replayed.

Takes a plugin and cases: what a user says, and what should be called. Returns an `Evaluation`.
"""
