"""What a stranger's server can do to the one who calls it: little, and it is said."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from strangers import RawStranger, Stranger, manifest, openapi

import kit
from kit import loop
from kit.client import answers, installed, network

Speak = Callable[[socket.socket], None]
TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


# -- names and addresses ---------------------------------------------------------------


class Names:
    """A name server: the addresses that it gives for a name, one after another; the last one stays."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> list[Any]:
        if host in ("evil.example.com", b"evil.example.com"):
            self.asked += 1
            host = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return _real(host, port, *args, **more)


_real = socket.getaddrinfo


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Names]:
    def use(*answers: str) -> Names:
        names = Names(*answers)
        monkeypatch.setattr(socket, "getaddrinfo", names)
        return names

    return use


@pytest.fixture
def a_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes 127.0.0.1 for an address of the internet, so that a server can be there; 127.0.0.2 stays private."""
    monkeypatch.setattr(network, "is_public", lambda address: address == "127.0.0.1")


def test_a_name_that_leads_elsewhere_after_the_check_is_connected_to_where_it_was_checked(
    resolve: Callable[..., Names], a_public_one: None
) -> None:
    pages: dict[str, Any] = {
        "/.well-known/ai-plugin.json": (
            200,
            {"connection": "close"},
            manifest("/openapi.json", auth={"type": "user_http"}),
        ),
        "/openapi.json": (200, {"connection": "close"}, openapi()),
        "/things": (200, {"connection": "close"}, ["public"]),
    }
    with Stranger(pages) as stranger, RawStranger(lambda c: c.sendall(TEXT + b"\r\n"), "127.0.0.2") as inside:
        names = resolve("127.0.0.1")
        plugin = kit.install(f"http://evil.example.com:{stranger.port}", token="TOKEN")
        assert names.asked == 2  # once for each connection, and the answer was used
        assert stranger.requests[0][2]["host"] == f"evil.example.com:{stranger.port}"
        assert plugin.call("list_things").data == ["public"]
        assert stranger.requests[-1][2]["authorization"] == "Bearer TOKEN"
        names.answers = ["127.0.0.1", "127.0.0.2"]  # an answer to a check, and another to the connection
        assert plugin.call("list_things").data == ["public"]
        refused = plugin.call("list_things")  # each connection is checked anew
        assert refused.status is None
        assert "leads to 127.0.0.2, which is in a private network" in refused.data["error"]
        assert inside.connections == 0
        assert len(stranger.requests) == 4


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
)
def test_no_private_address_is_connected_to(
    address: str, resolve: Callable[..., Names], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(address)
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("a socket was used"))
    with pytest.raises(
        kit.InstallError, match=f"leads to {address}, which is in a private network"
    ) as caught:
        kit.install("https://evil.example.com", token="TOKEN")
    assert "install it by that address" in caught.value.remedy


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [*_real("93.184.216.34", 80), *_real("10.0.0.5", 80)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: both)
    with pytest.raises(kit.InstallError, match=r"leads to 10\.0\.0\.5"):
        kit.install("https://evil.example.com")


def test_through_a_proxy_what_is_known_of_a_name_is_checked(
    resolve: Callable[..., Names], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = json.dumps(openapi()).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(spec),
        spec,
    )
    with RawStranger(lambda c: c.sendall(answer)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        resolve("93.184.216.34")
        assert kit.install("http://evil.example.com/spec.json").tool_names == ["list_things"]
        assert proxy.heads[0].startswith(b"GET http://evil.example.com/spec.json ")
        resolve("10.0.0.5")
        with pytest.raises(kit.InstallError, match=r"leads to 10\.0\.0\.5"):
            kit.install("http://evil.example.com/spec.json")
        assert len(proxy.heads) == 1


def test_a_certificate_is_checked_against_the_name(
    tmp_path: Path, resolve: Callable[..., Names], a_public_one: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    tls = _certified(tmp_path, "evil.example.com", seen)
    own = network.Network()  # one that reads the certificates anew
    monkeypatch.setattr(network, "network", lambda: own)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with RawStranger(lambda c: c.sendall(TEXT + b"Content-Length: 2\r\n\r\nhi"), tls=tls) as stranger:
        resolve("127.0.0.1")
        plugin = kit.install(f"https://evil.example.com:{stranger.port}/openapi.json")
        assert plugin.call("list_things").data == "hi"
        assert seen[0] == "evil.example.com"
        with pytest.raises(kit.InstallError, match="certificate verify failed"):
            kit.install(f"https://127.0.0.1:{stranger.port}/openapi.json")
        loop.run(own.aclose())


def _certified(folder: Path, name: str, seen: list[str | None]) -> ssl.SSLContext:
    x509 = pytest.importorskip("cryptography.x509")
    import datetime

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.sni_callback = lambda sock, server_name, ctx: seen.append(server_name)
    return context


def test_another_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stranger({"/openapi.json": (200, {}, openapi())}) as stranger:
        both = [*_real("127.0.0.3", stranger.port), *_real("127.0.0.1", stranger.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: both)
        assert kit.install(f"http://box.internal:{stranger.port}/openapi.json").tool_names == ["list_things"]


# -- tokens ----------------------------------------------------------------------------


def test_a_token_goes_to_no_other_server_of_this_machine() -> None:
    with RawStranger(lambda c: c.sendall(TEXT + b"Content-Length: 2\r\n\r\nhi")) as other:
        get = {"operationId": "own", "responses": {}, "servers": [{"url": other.url}]}
        pages: dict[str, Any] = {"/things": (200, {}, "mine"), "/own": (200, {}, "mine too")}
        spec = openapi({**openapi()["paths"], "/own": {"get": get}}, servers=[{"url": other.url}])
        pages["/openapi.json"] = (200, {}, spec)
        with Stranger(pages) as stranger:
            plugin = kit.install(f"{stranger.url}/openapi.json", token="TOKEN")
            assert plugin.base_url == stranger.url
            assert f"{other.url} is not on 127.0.0.1" in str(plugin.problems)
            assert plugin.call("list_things").data == "mine"
            assert plugin.call("own").data == "mine too"
            assert other.heads == []
            named = kit.install(f"{stranger.url}/openapi.json", token="TOKEN", base_url=other.url)
            assert named.call("list_things").data == "hi"  # the user has named it
            assert b"authorization: bearer token" in other.heads[0].lower()


def test_a_token_goes_to_no_other_host_that_a_spec_names(
    resolve: Callable[..., Names], a_public_one: None
) -> None:
    resolve("127.0.0.1")
    pages: dict[str, Any] = {"/things": (200, {}, ["a"])}
    with Stranger(pages) as stranger:
        evil = f"http://evil.example.com:{stranger.port}"
        pages["/openapi.json"] = (200, {}, openapi(servers=[{"url": evil}]))
        plugin = kit.install(f"{stranger.url}/openapi.json", token="TOKEN")
        assert plugin.base_url == evil
        assert f"is not sent to {evil}, which is not the origin that was named" in str(plugin.problems)
        assert plugin.call("list_things").data == ["a"]
        assert "authorization" not in stranger.requests[-1][2]


def test_a_token_that_cannot_be_sent_is_refused_without_its_value() -> None:
    with Stranger({"/openapi.json": (200, {}, openapi())}) as stranger:
        with pytest.raises(kit.InstallError) as refused:
            kit.install(f"{stranger.url}/openapi.json", token="SECRET\r\nX: y")
        assert "SECRET" not in str(refused.value)


# -- cookies ---------------------------------------------------------------------------


def test_each_installed_plugin_has_cookies_of_its_own() -> None:
    paths = {
        "/login": {"post": {"operationId": "login", "responses": {}}},
        "/me": {
            "get": {
                "operationId": "me",
                "parameters": [{"name": "theme", "in": "cookie", "schema": {"type": "string"}}],
                "responses": {},
            }
        },
    }
    me: dict[str, str] = {}

    async def who(scope: Any, body: bytes) -> Any:
        cookies = dict(scope["headers"]).get(b"cookie", b"").decode()
        me["cookies"] = cookies
        return 200, {}, "sam" if "session=1" in cookies else "nobody"

    pages: dict[str, Any] = {
        "/openapi.json": (200, {}, openapi(paths)),
        "/login": (200, {"set-cookie": "session=1; HttpOnly"}, "hello"),
        "/me": who,
    }
    with Stranger(pages) as stranger:
        one, two = (kit.install(f"{stranger.url}/openapi.json", token=token) for token in ("A", "B"))
        one.call("login")
        assert one.call("me").data == "sam"
        assert one.call("me", theme="dark").data == "sam"
        assert me["cookies"] == "theme=dark; session=1"
        assert two.call("me").data == "nobody"


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        (b"a=b; expires=Thu, 01 Jan 99999 00:00:00 GMT", True),
        (b"a=b; expires=Mon, 99-Feb-2026 25:61:61 GMT", True),
        (b"a=b; expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        (b"a=b; max-age=99999999999999999999999", True),
        (b"a=b; domain=example.com", False),
        (b"a=" + b"x" * 5000, False),
        (b"\xe9=\xe9", False),
        (b";;;=;", False),
    ],
)
def test_a_cookie_breaks_nothing(cookie: bytes, sent: bool) -> None:
    answer = TEXT + b"Content-Length: 2\r\nSet-Cookie: %s\r\n\r\nhi" % cookie
    with RawStranger(lambda c: c.sendall(answer)) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json")
        assert [plugin.call("list_things").data for _ in range(2)] == ["hi", "hi"]
        assert (b"cookie: a=b" in stranger.heads[1].lower()) is sent


# -- what was sent over a connection that is gone --------------------------------------


def test_a_request_that_nothing_answered_on_an_old_connection_is_made_once_more() -> None:
    """uvicorn closes the connection after an error in an operation, and does not say so."""
    calls = threading.Event()

    def speak(connection: socket.socket) -> None:
        if not calls.is_set():
            calls.set()
            connection.shutdown(socket.SHUT_RDWR)  # the request came over the spec's connection
        else:
            connection.sendall(TEXT + b"Content-Length: 2\r\n\r\nhi")

    with RawStranger(speak) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json")
        assert plugin.call("list_things").data == "hi"
        assert len(stranger.heads) == 2


@pytest.mark.parametrize(
    ("said", "requests"),
    [(b"", 2), (b"H", 1)],
    ids=["each time nothing, at most twice", "a byte: it may have been done"],
)
def test_a_request_is_not_made_again_and_again(said: bytes, requests: int) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    with RawStranger(speak) as stranger:
        result = kit.install(f"{stranger.url}/openapi.json").call("list_things")
        assert "cannot be reached" in result.data["error"]
        assert len(stranger.heads) == requests


# -- servers that misbehave ------------------------------------------------------------


def says(*parts: bytes, reset: bool = False) -> Speak:
    def speak(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return speak


def on(*parts: bytes, head: bytes = b"", then: bytes = b"") -> Speak:
    """Says `head`, and `then` without an end."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"".join(parts) + head)
        while True:
            connection.sendall(then)

    return speak


def silent(*parts: bytes) -> Speak:
    """Says something, and nothing more."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"".join(parts))
        connection.recv(1)

    return speak


def packed(name: bytes, data: bytes) -> bytes:
    return TEXT + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (name, len(data), data)


BOMB = gzip.compress(bytes(50_000_000))
EMPTY_BLOCKS = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\0\0\0\xff\xff" * 2_000_000  # 10 MB that say nothing
NO_ANSWER: dict[str, tuple[Speak, str]] = {
    "closes": (says(), "cannot be reached: Server disconnected"),
    "resets": (says(reset=True), "cannot be reached"),
    "no HTTP": (says(b"220 smtp.example ESMTP\r\n"), "cannot be reached"),
    "HTTP 0.9": (says(b"<html>hello</html>"), "cannot be reached"),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nContent-Ty"), "cannot be reached"),
    "endless header": (
        on(b"HTTP/1.1 200 OK\r\nX: ", then=b"x" * 9000),
        "more than 102,400 bytes before the body",
    ),
    "endless headers": (on(b"HTTP/1.1 200 OK\r\n", then=b"X-Y: z\r\n" * 999), "before the body"),
    "endless 1xx": (on(then=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 99), "before the body"),
    "a NUL in a header": (says(TEXT + b"X: a\0b\r\n\r\n"), "cannot be reached"),
    "a line break in a header": (says(TEXT + b"X: a\rb\r\n\r\n"), "cannot be reached"),
    "two lengths": (says(TEXT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), "cannot be reached"),
    "a negative length": (says(TEXT + b"Content-Length: -1\r\n\r\n"), "cannot be reached"),
    "a status of words": (says(b"HTTP/1.1 OK\r\n\r\n"), "cannot be reached"),
    "brotli, not asked for": (
        says(packed(b"br", b"\x0b\x02\x80hello\x03")),
        "packed as 'br', and only one of gzip",
    ),
    "an unknown encoding": (says(packed(b"x-own", b"hello")), "packed as 'x-own'"),
    "gzip in gzip": (says(packed(b"gzip, gzip", BOMB)), "packed as 'gzip, gzip'"),
    "no gzip": (says(packed(b"gzip", b"no gzip at all")), "after 0 bytes of the body: it is no gzip"),
    "other words from here on": (
        says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        "cannot be reached",
    ),
    "nothing": (silent(), "No answer within"),
    "one byte of a head": (silent(b"H"), "No answer within"),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "CALL_TIMEOUT", 1.5)


@pytest.mark.parametrize("kind", NO_ANSWER)
def test_what_is_no_answer_is_said_as_it_is(kind: str, quick: None) -> None:
    speak, reason = NO_ANSWER[kind]
    result = _called(speak)
    assert result.status is None
    assert reason in result.data["error"]
    assert len(str(result.data)) < 500


CUT: dict[str, tuple[Speak, str]] = {
    "shorter than its length": (
        says(TEXT + b"Content-Length: 30\r\n\r\nhello"),
        "hello\n[cut off: 5 of 30 bytes came",
    ),
    "reset": (says(TEXT + b"Content-Length: 30\r\n\r\nhello", reset=True), "[cut off: "),
    "a bad chunk": (
        says(TEXT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n"),
        "hello\n[cut off: 5 bytes",
    ),
    "chunks without an end": (
        says(TEXT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        "hello\n[cut off",
    ),
    "half a gzip": (says(packed(b"gzip", gzip.compress(b"hello" * 999)[:-9])), "the gzip in it is cut off]"),
    "too slow": (
        silent(TEXT + b"Content-Length: 30\r\n\r\nhello"),
        "hello\n[cut off: 5 of 30 bytes came, then the time",
    ),
    "a head alone": (
        silent(TEXT + b"Content-Length: 30\r\n\r\n"),
        "[cut off: 0 of 30 bytes came, then the time",
    ),
    "a body without an end": (
        on(TEXT + b"\r\n", then=b"x" * 9000),
        "[cut: the first 100,000 characters of more than",
    ),
    "a bomb": (says(packed(b"gzip", BOMB)), "[cut: the first 100,000 characters of more than"),
    "gzip that holds nothing": (says(packed(b"gzip", EMPTY_BLOCKS)), "bytes of gzip were sent for it"),
}


@pytest.mark.parametrize("kind", CUT)
def test_an_answer_that_is_cut_off_gives_what_came_and_its_status(kind: str, quick: None) -> None:
    speak, end = CUT[kind]
    result = _called(speak)
    assert result.status == 200
    assert end in result.data
    assert len(result.for_model()) <= answers.MAX_RESPONSE


WHOLE: dict[str, tuple[bytes, int, Any]] = {
    "status 999": (b"HTTP/1.1 999 Odd\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi", 999, "hi"),
    "a hint before": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + TEXT + b"Content-Length: 2\r\n\r\nhi", 200, "hi"),
    "gzip": (packed(b"gzip", gzip.compress(b"hi")), 200, "hi"),
    "two gzips in a row": (packed(b"gzip", gzip.compress(b"h") + gzip.compress(b"i")), 200, "hi"),
    "deflate": (packed(b"deflate", zlib.compress(b"hi")), 200, "hi"),
    "deflate without a header": (packed(b"deflate", zlib.compress(b"hi" * 9, wbits=-15)), 200, "hi" * 9),
    "identity": (packed(b"identity", b"hi"), 200, "hi"),
    "a body behind 204": (b"HTTP/1.1 204 No Content\r\n\r\nhello", 204, None),
    "a length in words": (TEXT + b"\r\nhi", 200, "hi"),
    "a redirect to no address": (b"HTTP/1.1 302 Found\r\nLocation: http://a..b/\r\nContent-Length: 0\r\n\r\n", 302, ...),
    "a redirect to a file": (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", 302, ...),
}  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE)
def test_odd_answers_are_read(kind: str, quick: None) -> None:
    said, status, data = WHOLE[kind]
    result = _called(says(said))
    assert result.status == status
    if data is ...:
        assert re.search(r"which is not below 127\.0\.0\.1:\d+\. It was not followed\.", result.data["error"])
    else:
        assert result.data == data


def _called(speak: Speak) -> kit.CallResult:
    """A call to which a server says something odd, and another that shows that the plugin goes on working."""
    after = threading.Event()

    def in_turn(connection: socket.socket) -> None:
        if after.is_set():
            connection.sendall(TEXT + b"Content-Length: 4\r\n\r\nfine")
        else:
            speak(connection)

    with RawStranger(in_turn) as stranger:
        plugin = kit.install(f"{stranger.url}/openapi.json")
        result = plugin.call("list_things")
        after.set()
        assert plugin.call("list_things").data == "fine"
    return result
