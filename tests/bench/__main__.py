"""How the kit compares with its peers: `python tests/bench` prints a table, each row measured in this run.

No assertion on time: the machine decides the milliseconds, the ratio is what carries. Where a peer may have the
same fault, `floors` holds the kit against itself, and says OK or BELOW. A row whose
peer is not installed (gradio: `pip install '.[bench]'`) says so. `python tests/bench serve` runs one part;
`sizes` has tables of its own, and peers whose environments `python tests/bench peers` makes.
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
    """Runs all parts, or those that the command line names."""
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
    found = part()
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return found


def show(rows: Sequence[tuple[str, ...]]) -> None:
    """A table, its first row the heads of its columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
