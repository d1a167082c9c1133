"""One event loop in a background thread: sync calls, streams and awaits all run there.

A cell cannot wait for the notebook's own loop, and a client used on two loops breaks. So the kit
makes every request on this loop, and a cell waits for it from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

HEARTBEAT = 0.2  # seconds; an interrupted `await` in a kernel is noticed only when its loop wakes

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pid = 0


def get() -> asyncio.AbstractEventLoop:
    """The background loop, started on first use and again in a forked process."""
    global _loop, _pid
    with _lock:
        if _loop is None or _pid != os.getpid():
            # A runner and a loop of its own: nest_asyncio patches asyncio.run and the loop of the kernel.
            started: Future[asyncio.AbstractEventLoop] = Future()
            threading.Thread(target=_serve, args=(started,), name="kit-loop", daemon=True).start()
            _loop, _pid = started.result(), os.getpid()
        return _loop


def _serve(started: Future[asyncio.AbstractEventLoop]) -> None:
    async def forever() -> None:
        started.set_result(asyncio.get_running_loop())
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(forever())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Waits for `coroutine`, which runs on the background loop. An interrupt cancels it."""
    loop = get()
    if _is_inside(loop):
        coroutine.close()
        raise RuntimeError("This thread runs the kit's own loop. Await the async twin of this call instead.")
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # a bare KeyboardInterrupt would leave the task running
        raise


async def arun(coroutine: Coroutine[Any, Any, T]) -> T:
    """The same for a caller that has a loop of its own."""
    loop = get()
    if _is_inside(loop):
        return await coroutine
    beat = asyncio.ensure_future(_beat())
    try:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
    finally:
        beat.cancel()


def stream(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an async generator as they come. Leaving early, or an interrupt, closes it."""
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    end = object()

    async def pump() -> None:
        try:
            async for item in items:
                received.put(item)
        finally:
            await _close(items)
            received.put(end)

    future = asyncio.run_coroutine_threadsafe(pump(), get())
    try:
        while (item := received.get()) is not end:
            yield item
        future.result()
    finally:
        future.cancel()


async def astream(items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same for a caller that has a loop of its own."""
    own_loop = asyncio.get_running_loop()
    received: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    def put(item: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the caller's loop is gone: nobody is waiting
            own_loop.call_soon_threadsafe(received.put_nowait, item)

    async def pump() -> None:
        try:
            async for item in items:
                put(item)
        finally:
            await _close(items)
            put(end)

    future = asyncio.run_coroutine_threadsafe(pump(), get())
    beat = asyncio.ensure_future(_beat())
    try:
        while (item := await received.get()) is not end:
            yield item
        await asyncio.wrap_future(future)
    finally:
        beat.cancel()
        future.cancel()


def nested() -> None:
    """Lets a cell call `asyncio.run` although the kernel's loop is running (nest-asyncio2).

    Raises `RuntimeError` where the running loop cannot be patched, such as uvloop's.
    """
    import nest_asyncio2

    try:
        nest_asyncio2.apply()
    except ValueError as error:
        raise RuntimeError(
            f"asyncio.run cannot be nested in this loop: {error}. Use await instead."
        ) from None


def _is_inside(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _beat() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT)


async def _close(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
