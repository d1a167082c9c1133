"""What tokens cost, by prices that the user gives: dollars for a million tokens, (input, output), by model.

No table of prices is built in: the day after a release it says what is no longer true. genai-prices, which is kept
up to date, was weighed: it takes longer to import than a chat to answer, and its table is as old as its installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kit.errors import ChatError

if TYPE_CHECKING:
    from kit.chat.reply import Usage

Prices = Mapping[str, tuple[float, float]]


def checked(prices: Prices | None) -> dict[str, tuple[float, float]]:
    """The prices as given. Raises `ChatError` for what is none."""
    found = dict(prices or {})
    for model, pair in found.items():
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(it, int | float) and it >= 0 for it in pair):
            raise ChatError(
                f"prices has {pair!r} for {model!r}.",
                "Give dollars for a million tokens, (input, output), by model: {'gpt-5-mini': (0.25, 2.0)}.",
            )
    return found


def cost(usage: Usage, prices: Prices, *names: str) -> float | None:
    """Dollars for some tokens, by the first of a model's names that has a price. None if none has, or nothing was counted.

    What a server had in its cache, and may sell for less, counts in full.
    """
    pair = next((prices[name] for name in names if name in prices), None)
    if pair is None or not usage.total_tokens:
        return None
    return (pair[0] * usage.input_tokens + pair[1] * usage.output_tokens) / 1e6


def dollars(cost: float | None) -> str:
    """A cost for people; nothing if it is not known."""
    if cost is None:
        return ""
    return "less than $0.0001" if 0 < cost < 0.0001 else f"${cost:,.4f}"
