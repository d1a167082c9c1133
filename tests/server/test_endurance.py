"""Long loads and sudden ends: nothing that was answered is lost, nothing grows, nothing is left running.

A short form of each runs always. `KIT_LONG=1 pytest -n 0 -s tests/server/test_endurance.py` makes 10,000 requests
and kills 50 kernels, and prints what it measured.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import sys
import threading
import weakref
from contextlib import closing
from pathlib import Path

import httpx2
import psutil
import pytest
from kernel import Kernel
from load import Load

import kit

LONG = bool(os.environ.get("KIT_LONG"))
REQUESTS, KILLS = (10_000, 50) if LONG else (1_500, 2)


def plugin(number: int) -> kit.Plugin:
    made = kit.Plugin("swapped", description_for_model="Is swapped while it serves.")

    @made.get("/quick")
    async def quick() -> int:
        return number

    return made


def test_restarts_and_swaps_under_load_lose_nothing_and_keep_nothing() -> None:
    earlier: list[weakref.ref[kit.Plugin]] = []
    process, threads = psutil.Process(), threading.active_count()
    server = kit.serve(plugin(0))
    port, sizes, number = server.port, [], 0
    with Load(port, kept=32, new=32, again=True) as load:
        while load.fates["answered"] < REQUESTS:
            load.wait(100)
            number += 1
            new = plugin(number)
            earlier.append(weakref.ref(server.plugin))
            if number % 5:
                server.follow(new)
            else:
                server.stop()
                server = kit.serve(new, port=port)
            sizes.append(process.memory_info().rss / 1e6)
        load.wait(100)
    server.stop()
    if LONG:
        print(
            f"\n{dict(load.fates)}, {number} swaps and restarts; MB: {[round(size) for size in sizes[::10]]}"
        )
    assert load.fates.keys() <= {"answered", "refused"}  # refused: between a stop and the next start
    del new, server
    gc.collect()
    assert sum(ref() is not None for ref in earlier) <= 1
    assert threading.active_count() <= threads + 1  # the kit's loop, if this started it


SERVED = """
import kit
from sqlmodel import Field, SQLModel

class Row(SQLModel, table=True):
    number: int = Field(primary_key=True)

data = kit.database("sqlite:///{file}").create(Row)
todo = kit.Plugin("todo", description_for_model="Keeps numbers.")

@todo.post("/rows/{{number}}")
def add(number: int) -> int:
    with data.write() as session:
        session.add(Row(number=number))
    return number

print(kit.serve(todo).url)
"""


def write(url: str, numbers: range, acknowledged: list[int]) -> None:
    with httpx2.Client(timeout=30) as client:
        for number in numbers:
            try:
                if client.post(f"{url}/rows/{number}").status_code == 200:
                    acknowledged.append(number)
            except httpx2.TransportError:
                return


@pytest.mark.skipif(sys.platform == "win32", reason="there, a killed process takes its children along")
def test_a_kernel_that_is_killed_leaves_no_process_and_a_whole_database(tmp_path: Path) -> None:
    file, chance, total = tmp_path / "rows.db", random.Random(14), 0
    for kill in range(KILLS):
        acknowledged: list[int] = []
        with Kernel() as kernel:
            ran = kernel.run(SERVED.format(file=file.as_posix()))
            assert ran.error == "", ran
            ranges = [range(start, 10**9) for start in range(kill * 10**7, kill * 10**7 + 4 * 10**6, 10**6)]
            writers = [
                threading.Thread(target=write, args=(ran.text.strip(), each, acknowledged)) for each in ranges
            ]
            for writer in writers:
                writer.start()
            while len(acknowledged) < chance.randrange(1, 60):
                threading.Event().wait(0.002)
            kernel_process = psutil.Process(kernel.manager.provisioner.pid)
            family = [kernel_process, *kernel_process.children(recursive=True)]
            kernel_process.kill()
            for writer in writers:
                writer.join()
        _, alive = psutil.wait_procs(family, 10)
        assert alive == []
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = {number for (number,) in database.execute("SELECT number FROM row")}
        assert rows >= set(acknowledged)
        total += len(acknowledged)
    if LONG:
        print(f"\n{KILLS} kernels killed, {total} acknowledged rows, none lost")
