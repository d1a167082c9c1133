"""What each feature counts: the one table of numbers, learned by `tests/understudy/learn.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files


class Weights:
    """What the features count, by their names; one that is not in the table counts nothing."""

    def __init__(self, table: Mapping[str, float]) -> None:
        self.table = dict(table)

    def sum(self, names: Iterable[str]) -> float:
        get = self.table.get
        return sum([get(name, 0.0) for name in names])


@lru_cache(maxsize=1)
def learned() -> tuple[Weights, Weights]:
    """(those of arguments, those of tools)."""
    tables = json.loads(files(__package__).joinpath("weights.json").read_text("utf-8"))
    return Weights(tables["arguments"]), Weights(tables["tools"])
