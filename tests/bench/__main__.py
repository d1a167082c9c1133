"""How the kit compares with its peers: `python tests/bench` prints one table, each row measured in this run.

No assertion on time: the machine decides the milliseconds, the ratio is what carries. A row whose
peer is not installed (gradio: `pip install '.[bench]'`) says so. `python tests/bench serve` runs one part.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measures import Row, imports, launches, parallel, throughput, turns

PARTS: dict[str, Callable[[], list[Row]]] = {
    "import": imports,
    "serve": launches,
    "throughput": throughput,
    "turn": turns,
    "parallel": parallel,
}


def main() -> None:
    """Runs all parts, or those that the command line names."""
    rows: list[Row] = [("what", "kit", "peer", "ratio", "aim")]
    for name in sys.argv[1:] or PARTS:
        start = time.perf_counter()
        rows += PARTS[name]()
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
