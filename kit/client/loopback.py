"""The browser comes back to this machine: a listener on 127.0.0.1 for one sign-in (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from kit import loop
from kit.addresses import LOCAL_NAMES, host_of
from kit.client.signin import Authorization, Endpoints, Session, SignIn
from kit.errors import SignInError
from kit.markup import page

PATH = "/callback"


class Loopback:
    """Listens at `redirect_uri` until the browser comes back, or the `with` block ends."""

    def __init__(self, redirect_uri: str | None) -> None:
        parts = urlsplit(redirect_uri or f"http://127.0.0.1:0{PATH}")
        if parts.scheme != "http" or parts.hostname not in LOCAL_NAMES or parts.query:
            raise SignInError(
                f"Nothing can listen at {redirect_uri}: the browser must come back to this machine.",
                "Register http://127.0.0.1:8765/callback, with a port of your choice, or leave redirect_uri out.",
                source=str(redirect_uri),
            )
        came: Future[str] = Future()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if (
                    path != (parts.path or "/")
                    or host_of(f"//{self.headers.get('Host', '')}") not in LOCAL_NAMES
                ):
                    self.send_error(404)
                    return
                text = "<h1>Back to your notebook or terminal</h1><p>It goes on there. You can close this tab.</p>"
                content = page("Signing in", text)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Referrer-Policy", "no-referrer")  # the address contains the code
                self.end_headers()
                self.wfile.write(content)
                if not came.done():
                    came.set_result(self.path)

            def log_message(self, *_: Any) -> None:
                """Writes nothing: the address contains the code."""

        try:
            # threads, since a browser opens connections that it does not use
            self._server = ThreadingHTTPServer((str(parts.hostname), parts.port or 0), Handler)
        except (OSError, OverflowError) as error:
            raise SignInError(
                f"Nothing can listen at {redirect_uri}: {error}.",
                "Stop what uses that port, or register another one.",
                source=str(redirect_uri),
            ) from None
        self._server.daemon_threads = True
        self.came = came
        self.redirect_uri = redirect_uri or f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="kit-sign-in", daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.came.cancel()


async def sign_in(how: SignIn, endpoints: Endpoints) -> Session:
    """Sends the user to the authorization server and waits until they are back. Raises `SignInError`."""
    with Loopback(how.redirect_uri) as listener:
        attempt = Authorization(how, endpoints, listener.redirect_uri)
        opening = how.open or _show
        done = await asyncio.to_thread(opening, attempt.url) if how.open else opening(attempt.url)
        if isinstance(done, Awaitable):
            await done
        try:
            async with asyncio.timeout(how.timeout):
                came = await asyncio.wrap_future(listener.came)
        except TimeoutError:
            raise SignInError(
                f"Nobody signed in at {endpoints.name} within {how.timeout:.0f} s.",
                f"The browser must come back to {listener.redirect_uri} on this machine. "
                "If yours is elsewhere, install the plugin in kit.chatgpt().",
                source=endpoints.authorization,
            ) from None
        return await loop.arun(attempt.finish(came))


def _show(url: str) -> None:
    import webbrowser

    print(f"Sign in in your browser:\n\n  {url}\n", flush=True)
    webbrowser.open(url)
