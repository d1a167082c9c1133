"""How the kit compares with its peers: `python tests/bench` prints a table, each row measured in this run.

Nothing asserts a time: milliseconds depend on the machine, ratios do not. Where a peer may have the same fault,
`floors` compares the kit with itself, and prints OK or BELOW. A row says if its peer is not installed (gradio:
`pip install '.[bench]'`). `python tests/bench serve` runs one part; `sizes` has its own tables, and peers whose
environments `python tests/bench peers` makes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from coldstart import coldstart
from exported import exported, floors
from measures import Row, imports, launches, parallel, throughput, turns
from sizes import peers, sizes

PARTS: dict[str, Callable[[], list[Row]]] = {
    "import": imports,
    "serve": launches,
    "throughput": throughput,
    "turn": turns,
    "parallel": parallel,
    "coldstart": coldstart,
    "export": exported,
    "floors": floors,
}


def main() -> None:
    """Runs all parts, or those named on the command line."""
    names = sys.argv[1:] or [*PARTS, "sizes"]
    if "peers" in names:
        peers()
    rows: list[Row] = [("what", "kit", "peer", "ratio", "aim")]
    for name in names:
        if name in PARTS:
            rows += timed(name, PARTS[name])
    if len(rows) > 1:
        show(rows)
    if "sizes" in names:
        for table, notes in timed("sizes", sizes):
            show(table)
            print(notes)


def timed(name: str, part: Callable[[], list[Any]]) -> list[Any]:
    start = time.perf_counter()
    results = part()
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return results


def show(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints a table; its first row has the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
