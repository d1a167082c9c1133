"""Model servers of this machine: five programs, each at its usual port. `model="ollama:llama3.2"` takes one of them.

They are asked what they serve, by one GET of /v1/models: the one that a model's name names, or all at once where the
understudy would answer. That goes to 127.0.0.1 only, over sockets of its own, so that no proxy and no key is involved.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kit import sockets
from kit.errors import ChatError
from kit.markup import short
from kit.openapi.documents import read_json
from kit.visible import visible_line

HOST = "127.0.0.1"
NOTICE = 0.05  # seconds for all servers together, when nobody has named one
PATIENCE = 5.0  # seconds for the one that was named: as long as openai waits for a connection
MAX_ANSWER = 1_000_000  # bytes: a list of some thousand models
MOST = 20  # models that an error names
MAX_NAME = 200  # characters of a name that are shown
QUIET = (
    "KIT_STRICT",
    "CI",
    "PYTEST_CURRENT_TEST",
)  # where outputs are compared: what else runs must not change them
UNDERSTUDY = "notebook-plugin-kit"  # the `owned_by` of its model

_NO_CHAT = re.compile(
    r"(?<![a-z])(?:embed|rerank)"
)  # nomic-embed-text, embeddinggemma; but not a word's middle


@dataclass(frozen=True)
class LocalServer:
    """A program that serves models: its name before the colon, its port unless told otherwise, how it is started."""

    name: str
    title: str
    port: int
    start: str

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"


SERVERS = (  # the ports as each documents them
    LocalServer("ollama", "Ollama", 11434, "`ollama serve`, or open the app"),
    LocalServer("lmstudio", "LM Studio", 1234, "`lms server start`"),
    LocalServer("llamacpp", "llama.cpp", 8080, "`llama-server --jinja -m MODEL.gguf`"),
    LocalServer(
        "vllm", "vLLM", 8000, "`vllm serve MODEL --enable-auto-tool-choice --tool-call-parser PARSER`"
    ),
    LocalServer("jan", "Jan", 1337, "Settings, Local API Server, Start Server"),
)


def named(model: str | None) -> tuple[LocalServer, str] | None:
    """The server that a model's name begins with, and the rest: `ollama:llama3.2:1b` is `llama3.2:1b` of Ollama."""
    prefix, colon, rest = (model or "").partition(":")
    word = re.sub(r"[^a-z0-9]", "", prefix.lower())  # llama.cpp, LM Studio
    server = next((it for it in SERVERS if it.name == word), None)
    return (server, rest.strip()) if server and colon else None


@cache
def taken(server: LocalServer, wanted: str) -> str:
    """The model's name as the server wants it; the first that it lists if `wanted` is empty.

    Raises `ChatError` if the server is not there, or lists no such model.
    """
    answer = _ask([server], PATIENCE).get(server)
    where = f"{HOST}:{server.port}"
    elsewhere = "For another address, set OPENAI_BASE_URL and name the model alone."
    if answer is None:
        raise ChatError(
            f"{server.title} does not answer at {where}.", f"Start it: {server.start}. {elsewhere}"
        )
    status, value = _read(answer)
    if status in (401, 403):
        raise ChatError(
            f"{server.title} at {where} wants a key, and none of the environment is sent there.",
            f"Set OPENAI_BASE_URL={server.base_url} and OPENAI_API_KEY to its key, and name the model alone.",
        )
    if not is_list(value):
        raise ChatError(
            f"What answers at {where} is not {server.title}: it lists no models (status {status or 'none'}).",
            f"Stop it, and start {server.title}: {server.start}. {elsewhere}",
        )
    found = match(models(value, also_others=bool(wanted)), wanted)
    if found is None:
        there = ", ".join(
            f'"{server.name}:{short(visible_line(shown_name(it)), MAX_NAME)}"' for it in models(value)[:MOST]
        )
        problem = f"no model {wanted!r}" if wanted else "no model that chats"
        pull = f" `ollama pull {wanted}` gets it." if server.name == "ollama" and wanted else ""
        raise ChatError(f"{server.title} at {where} has {problem}.", f"There is: {there or 'none'}.{pull}")
    return found


def match(listed: Sequence[str], wanted: str) -> str | None:
    """The name among those listed that is meant; the first if none is wanted.

    Ollama takes `llama3.2` for `llama3.2:latest`, and so it stays; llama.cpp and vLLM list paths, of which the end suffices.
    """
    if not wanted:
        return listed[0] if listed else None
    if wanted in listed or f"{wanted}:latest" in listed:
        return wanted
    return next((name for name in listed if shown_name(name) == wanted), None)


def is_list(value: Any) -> bool:
    """Whether an answer has the form of OpenAI's list of models; Ollama's without a model has null in its place."""
    if not isinstance(value, dict) or value.get("object") != "list" or "data" not in value:
        return False
    data = value["data"] or []
    return isinstance(data, list) and all(isinstance(it, dict) and it.get("object") == "model" for it in data)


def models(value: Any, also_others: bool = False) -> list[str]:
    """The names in a list of models, of those that chat as far as the server says; with `also_others` of all."""
    data = value.get("data") if isinstance(value, dict) else None
    listed = [it for it in data if isinstance(it, dict)] if isinstance(data, list) else []
    names = (it.get("id") for it in listed if also_others or _can_chat(it))
    return [name for name in names if isinstance(name, str) and name]


def offer() -> str:
    """The sentences that name each server of this machine that answers, with the setting that takes it; else empty.

    They are looked for once in a process, within `NOTICE`, and not at all where one of `QUIET` is set.
    """
    said: list[str] = []
    if any(os.environ.get(name, "") not in ("", "0") for name in QUIET):
        return ""
    for server, name in _noticed():
        shown = (
            "" if shown_name(name) != name else name.removesuffix(":latest")
        )  # a path is nobody's business
        setting = f'model="{server.name}:{short(visible_line(shown), MAX_NAME)}"'
        said.append(f" A model server answers at {server.title}'s port {server.port}: {setting} takes it.")
    return "".join(said)


def shown_name(model: str) -> str:
    """A model's name for people: llama.cpp gives the path of its file. `meta-llama/Llama-3` is a whole name."""
    is_path = re.match(r"[/~.\\]|[A-Za-z]:\\", model) or model.endswith(".gguf")
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1] if is_path else model


def _can_chat(model: dict[str, Any]) -> bool:
    """Whether neither its name nor what else the server says makes it a model of embeddings or of ranks."""
    capabilities = model.get("capabilities")
    said = [model.get("id"), model.get("type"), model.get("task")]
    if isinstance(capabilities, list) and not {"completion", "chat"} & {
        it for it in capabilities if isinstance(it, str)
    }:
        said += capabilities
    return not any(isinstance(it, str) and _NO_CHAT.search(it.lower()) for it in said)


_lock = threading.Lock()
_found: list[tuple[LocalServer, str]] | None = None  # with its first model; None before they were asked


def _noticed() -> list[tuple[LocalServer, str]]:
    global _found
    with _lock:
        if _found is None:
            # a port that this process serves a plugin on is known, and its log of calls stays the user's own
            others = [it for it in SERVERS if not any(holder(it.port) for holder in sockets.holders)]
            answers = _ask(others, NOTICE)
            values = [(server, _read(answers[server])[1]) for server in others if server in answers]
            listed = [
                (it, models(value)) for it, value in values if is_list(value) and not _is_understudy(value)
            ]
            _found = [(server, names[0]) for server, names in listed if names]
        return _found


def _is_understudy(value: Any) -> bool:
    return any(it.get("owned_by") == UNDERSTUDY for it in value["data"] or [])


def _ask(servers: Iterable[LocalServer], seconds: float) -> dict[LocalServer, bytes]:
    """What each server answers to GET /v1/models, as it came; all are asked at once, and all have `seconds` together."""
    answers: dict[LocalServer, bytes] = {}
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as opened:
        selector = opened.enter_context(selectors.DefaultSelector())
        for server in servers:
            sock = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            sock.setblocking(False)
            sock.connect_ex((HOST, server.port))
            selector.register(sock, selectors.EVENT_WRITE, server)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, events in selector.select(left):
                sock, server = key.fileobj, key.data  # type: ignore[assignment]
                try:
                    if events & selectors.EVENT_WRITE:
                        sock.sendall(_request(server))
                        selector.modify(sock, selectors.EVENT_READ, server)
                        continue
                    piece = sock.recv(65_536)
                except OSError:  # nobody listens there, or no longer
                    piece = b""
                answers[server] = answers.get(server, b"") + piece
                if not piece or len(answers[server]) > MAX_ANSWER:
                    selector.unregister(sock)
    return {server: answer for server, answer in answers.items() if answer}


def _request(server: LocalServer) -> bytes:
    lines = (
        "GET /v1/models HTTP/1.1",
        f"Host: {HOST}:{server.port}",
        "Accept: application/json",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode()


class _Received:
    """Bytes in the place of the socket that `http.client` reads from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def _read(answer: bytes) -> tuple[int, Any]:
    """The status of an HTTP answer and the JSON in it; 0 and None for what is none of that."""
    status = 0
    try:
        response = http.client.HTTPResponse(_Received(answer))  # type: ignore[arg-type]
        response.begin()
        status = response.status
        return status, read_json(response.read()) if status == 200 else None
    except (http.client.HTTPException, ValueError):
        return status, None
