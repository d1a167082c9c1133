"""Clients that send requests without a pause, and the outcome of each request."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter

WAIT = 10.0  # seconds after which a request without an answer counts as hanging; one takes milliseconds


class Load:
    """`kept` clients that keep their connection, and `new` ones that open one for each request.

    They run until the context ends or the server refuses connections; with `again`, they then try again. `.fates` counts "answered" (a 200),
    "refused", "hangs", other statuses, and errors by their name; `.bodies` are the answers.
    """

    def __init__(self, port: int, kept: int, new: int, *, again: bool = False) -> None:
        self.fates: Counter[str] = Counter()
        self.bodies: set[bytes] = set()
        self._port, self._again = port, again
        self._clients = [True] * kept + [False] * new
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        self.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def wait(self, more: int) -> None:
        """Waits until that many more requests are answered."""
        end = self.fates["answered"] + more
        while self.fates["answered"] < end and self._thread.is_alive():
            time.sleep(0.005)

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask(keep) for keep in self._clients))

    async def _ask(self, keep: bool) -> None:
        request = b"GET /quick HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"" if keep else b"Connection: close\r\n")
        async with contextlib.AsyncExitStack() as connected:
            streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
            while not self._ending.is_set():
                head = b"connection: close"
                try:
                    async with asyncio.timeout(WAIT):
                        if streams is None:
                            streams = await asyncio.open_connection("127.0.0.1", self._port)
                            connected.push_async_callback(_close, streams[1])
                        head, body = await _exchange(*streams, request)
                except TimeoutError:
                    self.fates["hangs"] += 1
                except ConnectionRefusedError:
                    self.fates["refused"] += 1
                    if not self._again:
                        return
                    await asyncio.sleep(0.01)
                    continue
                except (OSError, asyncio.IncompleteReadError) as error:
                    self.fates[type(error).__name__] += 1
                else:
                    status = head.split(b" ", 2)[1].decode()
                    self.fates["answered" if status == "200" else status] += 1
                    self.bodies.add(body)
                if not keep or b"connection: close" in head:
                    await connected.aclose()
                    streams = None


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[bytes, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
