"""Scratch folders that are gone afterwards, and writes that are whole, however the process is ended meanwhile."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def scratch_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent`, by default in the system's for temporary files. It is removed at the end."""
    directory = tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
    try:
        yield Path(directory.name)
    finally:
        with uninterrupted():
            directory.cleanup()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl+C, SIGTERM and SIGHUP back until its end, when they have the effect that they would have had."""
    arrived: dict[int, None] = {}
    earlier = {}

    def hold(number: int, _: FrameType | None) -> None:
        arrived[number] = None

    try:
        if threading.current_thread() is threading.main_thread():  # no other thread is interrupted
            for number in _ENDING:
                if _is_heard(number):
                    earlier[number] = signal.signal(number, hold)
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        for number in arrived:
            signal.raise_signal(number)


def unwind_when_ended() -> None:
    """From now on the first Ctrl+C, SIGTERM or SIGHUP raises `SystemExit`, so that all that was begun is cleared away.

    The next ones do nothing: they would break off the clearing away. For a program's main thread.
    """

    def unwind(number: int, _: FrameType | None) -> None:
        for other in _ENDING:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)  # the status that a shell gives such a process

    for number in _ENDING:
        if _is_heard(number):
            signal.signal(number, unwind)


def _is_heard(number: int) -> bool:
    """Whether the signal has an effect. `nohup` ignores SIGHUP, a shell's background job Ctrl+C."""
    return signal.getsignal(number) not in (signal.SIG_IGN, None)
