"""Values that nobody would write, for Hypothesis: any JSON, and documents of the right shape with wrong parts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# What tests found to break readers: half a character, a zero byte, escapes, overlong numbers.
ODD = [
    "",
    " ",
    "\ud800",
    "\x00",
    "\x1b]0;x\x07",
    "\u202e",
    "\ufeff",
    "٣",
    "²",
    "9" * 310,
    "9" * 310 + ".5",
    "1e400",
]
TEXT = st.one_of(
    st.sampled_from(ODD), st.text(max_size=20), st.text("aA1 ,.'\"#?$%-:@/\\\n\ud800", max_size=40)
)
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**310, -(10**30), 2**63]),
    st.floats(),
    TEXT,
)
ANYTHING = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


def shaped(example: Any) -> st.SearchStrategy[Any]:
    """Values of the shape of `example`, any part of which may be missing or be anything else.

    A list is one of any number of items like those of the example; a text or number is that one.
    """
    if isinstance(example, dict):
        parts = {key: shaped(value) for key, value in example.items()}
        right: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional=parts)
        whole: st.SearchStrategy[Any] = st.fixed_dictionaries(parts)
        return st.one_of(whole, whole, whole, right, ANYTHING)
    if isinstance(example, list):
        items = st.one_of([shaped(item) for item in example] or [ANYTHING])
        return st.one_of(st.lists(items, max_size=4), st.lists(items, min_size=1, max_size=4), ANYTHING)
    return st.one_of(st.just(example), st.just(example), st.just(example), st.just(example), ANYTHING)
