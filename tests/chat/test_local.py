"""Model servers of this machine: what is noticed and what is not, what takes one, and what never goes there."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from scripted import Scripted

import kit
from kit import understudy
from kit.chat import local
from kit.chat.client import NO_KEY, ModelClient
from kit.sockets import listen

KEY = "sk-the-real-one-of-the-user"
SECRETS = {
    "OPENAI_API_KEY": KEY,
    "OPENAI_ORG_ID": "org-abcdefghijklmnop",
    "OPENAI_PROJECT_ID": "proj-abcdefghijklmnop",
    "OPENAI_CUSTOM_HEADERS": f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


class Raw:
    """A server of bytes: `answer` is what each connection gets, after `wait` seconds; it keeps what was sent to it."""

    def __init__(self, answer: bytes, wait: float = 0.0, is_cut: bool = True) -> None:
        self.sock = listen("127.0.0.1", 0)
        self.port: int = self.sock.getsockname()[1]
        self.requests: list[str] = []
        self._answer, self._wait, self._is_cut = answer, wait, is_cut
        self._ended = threading.Event()
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self.sock.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self.requests.append(connection.recv(65_536).decode())
                self._ended.wait(self._wait)
                connection.sendall(self._answer)
            if self._is_cut:
                connection.close()
            else:
                self._kept.append(connection)

    def stop(self) -> None:
        self._ended.set()
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._thread.join()
        for connection in self._kept:
            connection.close()


def answer(value: Any, status: str = "200 OK") -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def listing(*models: str | dict[str, Any]) -> dict[str, Any]:
    """A list of models: of names, or of what a server says besides."""
    given = [it if isinstance(it, dict) else {"id": it} for it in models]
    return {
        "object": "list",
        "data": [{"object": "model", "created": 1, "owned_by": "library", **it} for it in given],
    }


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    running: list[Raw] = []

    def start(*args: Any, **options: Any) -> Raw:
        running.append(Raw(*args, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Says where the five are; those that are not named, at a port where nobody listens."""
    nobody = socket.socket()
    nobody.bind(
        ("127.0.0.1", 0)
    )  # bound and not listening: connections are refused, and no other test gets it
    closed = nobody.getsockname()[1]

    def put(seconds: float = 5.0, **given: int) -> None:
        servers = tuple(replace(it, port=given.get(it.name, closed)) for it in local.SERVERS)
        monkeypatch.setattr(local, "SERVERS", servers)
        monkeypatch.setattr(local, "NOTICE", seconds)  # a busy machine may take longer than the real one
        monkeypatch.setattr(local, "_found", None)
        for name in local.QUIET:
            monkeypatch.setenv(name, "")

    yield put
    nobody.close()


def label(page: Any) -> dict[str, Any]:
    """What the local page says of its model."""
    token = page.url.partition("token=")[2]
    address = f"http://127.0.0.1:{page.port}/api/state"
    return dict(httpx2.get(address, headers={"Authorization": f"Bearer {token}"}).json()["model"])


# -- noticed ------------------------------------------------------------------


def test_the_usual_ports() -> None:
    assert {it.name: it.port for it in local.SERVERS} == {
        "ollama": 11434, "lmstudio": 1234, "llamacpp": 8080, "vllm": 8000, "jan": 1337
    }  # fmt: skip
    assert local.NOTICE == 0.05


def test_what_answers_is_offered_in_the_line_of_the_understudy(
    raw: Any, ports: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ollama, llama = (
        raw(answer(listing("llama3.2:latest", "qwen3:8b"))),
        raw(answer(listing("/models/small.gguf"))),
    )
    ports(ollama=ollama.port, llamacpp=llama.port)
    kit.Chat()
    assert capsys.readouterr().out == (
        f'{NO_KEY} A model server answers at Ollama\'s port {ollama.port}: model="ollama:llama3.2" takes it.'
        f' A model server answers at llama.cpp\'s port {llama.port}: model="llamacpp:" takes it.\n'
    )
    reply = kit.Chat(show=False)("Hello")  # once in a process
    assert 'model="ollama:llama3.2"' in reply.notes[0]
    assert len(ollama.requests) == len(llama.requests) == 1
    with kit.chatgpt() as page:
        assert 'model="ollama:llama3.2" takes it' in label(page)["offer"]


def test_nothing_is_sent_but_the_question(raw: Any, ports: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        if name != "OPENAI_API_KEY":  # with which nobody is looked for
            monkeypatch.setenv(name, value)
    server = raw(answer(listing("m")))
    ports(vllm=server.port)
    assert "vllm:m" in ModelClient().notes[0]
    assert server.requests == [
        f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff garbage \r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{\"object\": \"list\"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        answer(b"<html>Jupyter Server</html>"),
        answer({"detail": "Not Found"}, "404 Not Found"),
        answer(listing("m"), "401 Unauthorized"),
        answer(["m"]),
        answer({"models": ["m"]}),
        answer({"object": "list", "data": "m"}),
        answer({"object": "list", "data": [1, None]}),
        answer({"object": "list", "data": [{"id": "cus_1", "object": "customer"}]}),  # another API's list
        answer({"object": "list", "data": None}),  # Ollama without a model
        answer(listing({"id": 3}, {"id": ""})),
        answer(b"[" * 100_000),
        answer(listing("nomic-embed-text:latest", "embeddinggemma", "text-embedding-bge-small", "qwen3-reranker")),
        answer(listing({"id": "a", "type": "embeddings"}, {"id": "b", "capabilities": ["embedding"]})),
        answer(listing({"id": "c", "owned_by": "notebook-plugin-kit"})),
    ],
)  # fmt: skip
def test_what_is_no_model_server_is_silent(raw: Any, ports: Any, content: bytes) -> None:
    ports(vllm=raw(content).port)
    assert ModelClient().notes == [NO_KEY]


def test_a_model_that_chats_is_offered_before_one_that_embeds(raw: Any, ports: Any) -> None:
    many = listing(
        "nomic-embed-text:latest",
        {"id": "x", "capabilities": ["embedding"]},
        {"id": "llama3.2:1b", "capabilities": ["completion", "embedding"]},
    )
    ports(ollama=raw(answer(many)).port)
    assert 'model="ollama:llama3.2:1b"' in local.offer()


def test_a_hostile_name_is_text(raw: Any, ports: Any) -> None:
    server = raw(answer(listing("evil\x1b[31m\u202e\nname" + "x" * 5_000)))
    ports(ollama=server.port)
    with pytest.raises(kit.ChatError) as caught:
        kit.Chat(model="ollama:other")
    for text in (local.offer(), str(caught.value)):
        assert "evil" in text
        assert len(text) < 1_000
        assert not {"\x1b", "\u202e"} & set(text)


def test_the_kits_own_servers_are_none(todo: kit.Plugin, ports: Any, raw: Any) -> None:
    app = kit.Plugin("models", description_for_model="Lists models, as an API of its own.")

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return listing("not-for-chats")

    with kit.serve(app) as server, understudy.serve() as other, kit.chatgpt() as page:
        ports(vllm=server.port, llamacpp=other.port, jan=page.port)
        assert ModelClient().notes == [NO_KEY]
        assert list(server.calls) == []  # not even asked: its log is the user's


def test_slow_hanging_and_closing_ones_cost_the_time_of_all_together(raw: Any, ports: Any) -> None:
    late = answer(listing("m"))
    servers = [raw(late, wait=3), raw(b"", wait=3), raw(late[:60], is_cut=False), raw(b"")]
    names = ("ollama", "lmstudio", "llamacpp", "vllm")
    ports(seconds=0.05, **{name: server.port for name, server in zip(names, servers, strict=True)})
    start = time.perf_counter()
    assert ModelClient().notes == ModelClient().notes == [NO_KEY]
    assert (
        time.perf_counter() - start < 1
    )  # 0.05 on a machine that does nothing else; each of them waits for 3
    assert all(len(server.requests) <= 1 for server in servers)  # once in a process


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, "1") for name in local.QUIET), ("KIT_MODEL", "understudy"), ("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")],
)  # fmt: skip
def test_where_nobody_is_looked_for(
    raw: Any, ports: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    server = raw(answer(listing("m")))
    ports(ollama=server.port)
    monkeypatch.setenv(name, value)
    assert "ollama:" not in " ".join(ModelClient().notes)
    assert server.requests == []


def test_this_machines_ports_are_not_seen_by_tests() -> None:
    assert os.environ["PYTEST_CURRENT_TEST"]
    assert local.offer() == ""


# -- taken --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ollama:llama3.2", ("ollama", "llama3.2")),
        ("ollama:llama3.2:1b", ("ollama", "llama3.2:1b")),
        ("ollama:hf.co/x/y:Q4_K_M", ("ollama", "hf.co/x/y:Q4_K_M")),
        ("llama.cpp:", ("llamacpp", "")),
        ("LM Studio: m", ("lmstudio", "m")),
        ("llama3.2:1b", None),
        ("ollama3:8b", None),
        ("ollama", None),
        ("ft:gpt-4o-mini:me::1", None),
        ("gpt-5-mini", None),
        ("", None),
        (None, None),
    ],
)
def test_names_that_name_a_server(text: str | None, expected: tuple[str, str] | None) -> None:
    found = local.named(text)
    assert (found and (found[0].name, found[1])) == expected


@pytest.fixture
def ollama(ports: Any) -> Iterator[Scripted]:
    with Scripted(models=["llama3.2:latest", "llama3.2:1b", "nomic-embed-text:latest"]) as running:
        ports(ollama=running.port)
        yield running


@pytest.mark.parametrize(
    ("model", "sent"), [("llama3.2", "llama3.2"), ("llama3.2:1b", "llama3.2:1b"), ("", "llama3.2:latest")]
)
def test_it_answers_and_gets_nothing_of_the_environment(
    ollama: Scripted, server: kit.Server, monkeypatch: pytest.MonkeyPatch, model: str, sent: str
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    local.taken.cache_clear()
    ollama.enqueue("", ("list_todos", '{"username": "sam"}'))
    ollama.enqueue("Nothing.")
    chat = kit.Chat(server, model=f"ollama:{model}", show=False)
    reply = chat("What is there?")
    assert (reply.text, reply.notes) == ("Nothing.", [])
    assert {body["model"] for _, body in ollama.requests} == {sent}
    assert {body["max_output_tokens"] for _, body in ollama.requests} == {4096}  # it is not OpenAI's
    assert f"Chat with {sent}" in repr(chat)
    for headers in ollama.headers:
        names = {name.lower() for name in headers}
        assert not names & {
            "authorization",
            "openai-organization",
            "openai-project",
            "x-gateway",
            "proxy-authorization",
        }
        assert KEY not in str(headers)


def test_the_environment_the_page_and_evaluate_take_it_too(
    ollama: Scripted, todo: kit.Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kit.chatgpt(model="ollama:llama3.2") as page:
        assert label(page) == {
            "name": "llama3.2",
            "is_understudy": False,
            "note": "Ollama on this machine",
        }
    for name in ("llama3.2", "llama3.2:1b"):
        ollama.enqueue(f"I am {name}.")
    names = ["ollama:llama3.2", "ollama:llama3.2:1b"]
    result = kit.evaluate(
        todo, [("Hello", "none")], models=names, at_once=1, prices=dict.fromkeys(names, (1.0, 1.0))
    )
    assert result.models == names
    assert result.cost == pytest.approx(result.usage.total_tokens / 1e6)
    monkeypatch.setenv("OPENAI_MODEL", "ollama:llama3.2:1b")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ollama.enqueue("Hello.")
    assert kit.Chat(show=False)("Hello").text == "Hello."
    assert [body["model"] for _, body in ollama.requests] == ["llama3.2", "llama3.2:1b", "llama3.2:1b"]


def test_a_file_is_named_by_its_end(ports: Any) -> None:
    with Scripted(models=["/models/small.gguf"]) as running:
        ports(llamacpp=running.port)
        assert ModelClient(model="llamacpp:small.gguf").name == "/models/small.gguf"
        assert ModelClient(model="llamacpp:").name == "/models/small.gguf"


def test_a_model_or_server_that_is_not_there(ollama: Scripted, raw: Any, ports: Any) -> None:
    with pytest.raises(
        kit.ChatError,
        match=r'no model .lama4.*\nThere is: "ollama:llama3.2:latest", "ollama:llama3.2:1b".*`ollama pull lama4`',
    ):
        kit.Chat(model="ollama:lama4")
    with pytest.raises(
        kit.ChatError, match=r"LM Studio does not answer at 127.0.0.1:\d+.\nStart it: `lms server start`"
    ):
        kit.Chat(model="lmstudio:")
    app, locked = raw(answer({"detail": "Not Found"}, "404 Not Found")), raw(answer({}, "401 Unauthorized"))
    empty = raw(answer(listing("nomic-embed-text")))
    ports(vllm=app.port, jan=locked.port, lmstudio=empty.port)
    with pytest.raises(kit.ChatError, match=r"is not vLLM: it lists no models \(status 404\).\nStop it"):
        kit.Chat(model="vllm:m")
    with pytest.raises(
        kit.ChatError, match=rf"Jan .* wants a key.*\nSet OPENAI_BASE_URL=http://127.0.0.1:{locked.port}/v1"
    ):
        kit.Chat(model="jan:")
    with pytest.raises(kit.ChatError, match=r"has no model that chats.\nThere is: none"):
        kit.Chat(model="lmstudio:")
    with pytest.raises(kit.ChatError, match="has no model 'other'"):  # before any case is asked
        kit.evaluate(
            kit.Plugin("p", description_for_model="p"),
            [("Hello", "none")],
            models=["gpt-5", "lmstudio:other"],
        )


def test_a_server_that_ends_meanwhile(ports: Any) -> None:
    with Scripted(models=["m"]) as running:
        ports(vllm=running.port)
        chat = kit.Chat(model="vllm:m", show=False)
    with pytest.raises(
        kit.ChatError, match=r"cannot be reached.*\nIs vLLM still running\? Start it: `vllm serve"
    ):
        chat("Hello")


def test_the_understudy_answers_in_its_place_where_it_should(
    ports: Any, server: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports()
    monkeypatch.setenv("KIT_MODEL", "understudy")
    assert kit.Chat(server, model="ollama:llama3.2", show=False)("What is on sam's list?").calls[0].ok


def test_a_client_of_ones_own_and_another_address_are_as_they_were(
    ports: Any, ollama: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scripted() as other:
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "llama3.2:1b")
        other.enqueue("From elsewhere.")
        assert kit.Chat(show=False)("Hello").text == "From elsewhere."
        assert other.requests[0][1]["model"] == "llama3.2:1b"
    assert ollama.requests == []


@pytest.mark.parametrize("model", ["ollama:", "ollama:llama3.2", "llamacpp:small.gguf"])
def test_a_tape_plays_without_the_server(ports: Any, tmp_path: Any, model: str) -> None:
    with Scripted(models=["llama3.2:latest", "/models/small.gguf"]) as running:
        ports(ollama=running.port, llamacpp=running.port)
        running.enqueue("Hello.")
        with kit.record(tmp_path / "tape.yaml"):
            assert kit.Chat(model=model, show=False)("Hi").text == "Hello."
    ports()
    with kit.record(tmp_path / "tape.yaml"):
        assert kit.Chat(model=model, show=False)("Hi").text == "Hello."
