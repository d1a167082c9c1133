"""`watch`: the requests of a server, shown as they come, while another client works."""

from __future__ import annotations

import threading

from kit import jupyter
from kit.markup import box, code, columns, escape, short, table
from kit.plugin.requestlog import LoggedRequest, RequestLog
from kit.server.server import Server

SHOWN = 20  # the latest requests that a cell shows
INTERVAL = 0.1  # seconds between two updates: faster is invisible, and the server pays nothing

_watches: dict[RequestLog, Watch] = {}


class Watch:
    """A live view of a server's requests, until `.stop()` or until the server stops.

    It polls the log ten times a second, so that a watched server answers no slower.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._log = server.calls
        self._first = self._seen = self._log.count
        self._latest: list[LoggedRequest] = []
        self._stopping = threading.Event()
        self._live = jupyter.LiveView(self, jupyter.has_output())
        self._thread = threading.Thread(target=self._run, name="kit-watch", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends it; the requests stay on display."""
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL) and self._server.is_running:
            self._update()
        self._update()
        self._stopping.set()
        if _watches.get(self._log) is self:
            del _watches[self._log]
        self._live.update(self)

    def _update(self) -> None:
        if self._log.count == self._seen:
            return
        new = [entry for entry in self._log if entry.number > self._seen]
        if not new:  # the log was cleared
            return
        missed = new[0].number - self._seen - 1  # more arrived than the log keeps
        self._seen = new[-1].number
        self._latest = [*self._latest, *new][-SHOWN:]
        if self._live.is_on:
            self._live.update(self)
            return
        if missed > 0:
            print(f"({missed:,} more)")
        for entry in new:
            print(entry, flush=True)

    def _head(self) -> str:
        count = self._seen - self._first
        state = "Watching" if not self._stopping.is_set() else "Watched"
        return f"{state} {self._log.name or 'the plugin'}: {count:,} request{'' if count == 1 else 's'}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [(e.method, short(e.path, 80), str(e.status), f"{e.ms:.0f} ms") for e in self._latest]

    def __repr__(self) -> str:
        return f"{self._head()}\n{columns(self._rows(), '  ')}".rstrip()

    def _repr_html_(self) -> str:
        rows = [(code(a), code(b), escape(c), escape(d)) for a, b, c, d in self._rows()]
        return box(escape(self._head()) + (table(("method", "path", "status", "time"), rows) if rows else ""))

    def _ipython_display_(self) -> None:
        """Shows it, unless this cell shows it already."""
        jupyter.show(self, self._live)


def watch(server: Server) -> Watch:
    """Shows the requests of a server from now on, in this cell or, in a script, a line each; returns immediately.

    Run again, the display moves to the new cell.
    """
    earlier = _watches.pop(server.calls, None)
    if earlier is not None:
        earlier.stop()
    _watches[server.calls] = current = Watch(server)
    return current
