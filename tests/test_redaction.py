"""What looks like a secret is hidden wherever it is shown, and everything else is left alone."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from logging.handlers import BufferingHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from scripted import Scripted
from starlette.testclient import TestClient

import kit
from kit.plugin import accesslog
from kit.redaction import hide
from kit.server import tunnels
from kit.web.transcript import as_code

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW0ifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq8Zt3kLw\n-----END RSA PRIVATE KEY-----"
P = "Pl4nt3dS3cr3t"
# Texts that contain a secret, and the parts of them that must not be shown.
FORMS: dict[str, tuple[str, ...]] = {
    "OpenAI": ("mine is sk-proj-abcDEF0123456789", "abcDEF"),
    "Stripe": ("sk_live_4eC39HqLyjWDarjtT1", "4eC39Hq"),
    "GitHub": ("use ghp_0123456789abcdefghijABCDEFGHIJ", "0123456789abc"),
    "GitHub OAuth": ("gho_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F"),
    "GitHub fine": ("github_pat_11ABCDEFG0123456789_abcdefgh", "11ABCDEFG"),
    "AWS": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "AWS, for a while": ("ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    "AWS secret": ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "wJalrX", "bPxRfiCY"),
    "Slack": ("xoxb-123456789012-abcdefGHIJKL", "123456789012", "abcdefGHIJKL"),
    "Google": ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "SyA12345"),
    "JSON Web Token": (JWT, "c2lnbmF0dXJl", "eyJzdWIi"),
    "private key": (PEM, "MIIEow", "q8Zt3kLw"),
    "private key, escaped": (PEM.replace("\n", "\\n"), "MIIEow", "q8Zt3kLw"),
    "private key, cut off": (PEM[:60], "MIIEow"),
    "bearer": ("Authorization: Bearer abc123xyz", "abc123xyz"),
    "basic": ("Basic c2FtOmh1bnRlcjI=", "c2FtOmh1"),
    "password in a URL": ("postgresql://app:s3cr3tpw@db/prod", "s3cr3tpw"),
    "password with an @": ("postgresql://app:s3cr3tpw@more@db/prod", "s3cr3tpw", "more@"),
    "pair": ("?user=sam&db_password=hunter22&page=2", "hunter22"),
    "JSON": ('{"clientSecret": "hunter\\"zwei", "n": 1}', "hunter", "zwei"),
    "JSON in JSON": (json.dumps(json.dumps({"pwd": "hunter22"})), "hunter22"),
    "Python": ("{'signing-key': 'hunter22'}", "hunter22"),
    "YAML": ("private_key: hunter22", "hunter22"),
    "header": ("X-Auth-Key: hunter22", "hunter22"),
    "cookie": ('Cookie: sid="hunter22"; theme=dark', "hunter22"),
    "query": (f"/cb?key={P}&code={P}&sig={P}&auth={P}&session={P}&pw={P}&otp=483911&n=1", P, "483911"),
    "presigned": (f"https://b.s3.example/o?X-Amz-Signature={P}&X-Amz-Date=1&x=2", P),
    "shared access": (f"?sv=2022&sig={P}", P),
    "token alone in a URL": (f"https://{P}@github.com/x.git", P),
    "no scheme": (f"cannot connect to app:{P}@db:5432/prod", P),
    "base URL": (f"ConnectError: http://me:{P}@llm.internal:8000/v1", P),
    "webhook": (f"https://hooks.slack.com/services/T000/B000/{P}", P),
    "webhook of Discord": (f"https://discord.com/api/webhooks/123456/{P}", P),
    "SendGrid": ("SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbb", "bbbbbbbbbb"),
    "Telegram": ("https://api.telegram.org/bot1234:AAHdqTcvCH1vGWJxf/getMe", "AAHdqTcv"),
    "small bearer": (f"authorization is bearer {P}", P),
    "curl": (f"curl -u sam:{P} http://x", P),
    "auth of a client": (f'get(url, auth=("sam", "{P}"))', P),
    "segment": (f"/reset/token/{P}/done", P),
    "element": (f"<a><password>{P}</password></a>", P),
    "part without quotes": (f"--x\r\nContent-Disposition: form-data; name=password\r\n\r\n{P}\r\n--x--", P),
    "cut JSON": ('{"n": 1, "password": "' + P, P),
    "wrong JSON": ('{"password": "' + P + '",,}', P),
    "list, cut": ('{"passwords": ["a", "' + P, P),
    "storage account": (f"AccountName=a;AccountKey={P}==;x=1", P),
    "encoded": ("url=postgresql%3A%2F%2Fapp%3As3cr3tpw%40db", "s3cr3tpw"),
}  # fmt: skip
NAMES = (
    "password", "pwd", "passwd", "passphrase", "secret", "token", "api_key", "apiKey", "api-key", "private_key",
    "privateKey", "signing_key", "auth_key", "access_key", "client_secret", "Authorization", "credential",
    "credentials", "Cookie", "Set-Cookie", "X-Auth-Token", "db_password", "userPassword", "password_hash",
    "accesstoken", "userAPIKey", "JWTToken", "PHPSESSID", "Mcp-Session-Id",
)  # fmt: skip
HARMLESS = (
    "max_tokens=100", "a commit: 3f2a9c1e5b7d4f60718293a4b5c6d7e8f9012345", "9b2e4f6a-1c3d-4e5f-8a7b-0123456789ab",
    "https://example.com:8000/users/sam?page=2#top", "http://localhost:8000?mail=sam@example.com", "Sam <sam@example.com>",
    "passenger=2&secretary=3", "Password: at least 8 characters", "def f(token: str, password: str) -> None:",
    "a risk-averse disk-utility", "the key is under the mat", "12:30:45", '{"tokens": 12, "total_tokens": 7}', "50% off",
    "token_type=bearer", "mailto:sam@example.com", "https://sam@example.com/x", "/api/tokens/list", "basic and bearer auth",
    "key: value", "code=200", "auth=None", "<b>code</b>", '"token": null',
)  # fmt: skip


@pytest.fixture(scope="module")
def vault() -> Iterator[kit.Server]:
    plugin = kit.Plugin("vault", description_for_model="Keeps notes.")

    @plugin.post("/notes")
    def add_note(note: dict[str, Any], q: str = "") -> dict[str, Any]:
        return note

    with kit.serve(plugin) as server:
        yield server


def sent(server: kit.Server, text: str) -> kit.Server:
    server.calls.clear()
    with httpx2.Client(base_url=server.url) as client:
        client.post("/notes", params={"q": text}, json={"note": text, "list": [{"deep": text}], text: 1})
        client.post("/notes/", content=text.encode())  # not JSON
        client.get(f"/{quote(text)}")
    return server


def calls(server: kit.Server, text: str, **_: Any) -> str:
    log = sent(server, text).calls
    one = [f"{call!r} {call.path} {call.request!r} {call.response!r}" for call in log]
    return repr(log) + log._repr_html_() + "".join(one)


def sequence(server: kit.Server, text: str, **_: Any) -> str:
    drawn = sent(server, text).calls.sequence()
    return repr(drawn) + drawn._repr_html_() + drawn.svg + drawn.words


def watch(server: kit.Server, text: str, capsys: Any, **_: Any) -> str:
    watched = kit.watch(server)
    sent(server, text)
    watched.stop()
    return repr(watched) + watched._repr_html_() + capsys.readouterr().out


def lines(server: kit.Server, text: str, formatter: logging.Formatter) -> str:
    handler = BufferingHandler(1000)
    log = logging.getLogger("kit.requests")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        TestClient(make_logged(server.plugin)).post("/notes", params={"q": text}, json={})
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("it says %s and %r", text, {"note": text})
    finally:
        log.removeHandler(handler)
    assert len(handler.buffer) == 2
    return "\n".join(map(formatter.format, handler.buffer))


def make_logged(plugin: kit.Plugin) -> Any:
    app = accesslog.AccessLog(plugin)

    async def logged(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return logged


def json_log(server: kit.Server, text: str, **_: Any) -> str:
    return lines(server, text, accesslog.JsonLines())


def text_log(server: kit.Server, text: str, **_: Any) -> str:
    return lines(server, text, accesslog.TextLines("%(message)s"))


def api_error(server: kit.Server, text: str, scripted: Scripted, **_: Any) -> str:
    scripted.enqueue(text, status=401)
    with pytest.raises(kit.ChatError) as caught:
        make_chat(scripted)("hello")
    return str(caught.value) + repr(caught.value)


def make_chat(scripted: Scripted, *plugins: Any) -> kit.Chat:
    import openai

    client = openai.OpenAI(api_key="none", base_url=scripted.base_url, max_retries=0)
    return kit.Chat(*plugins, client=client, model="m")


def transcript(server: kit.Server, text: str, scripted: Scripted, capsys: Any, **_: Any) -> str:
    scripted.enqueue("", ("add_note", json.dumps({"q": text, "note": text})))
    scripted.enqueue(f"It was {text}")
    reply = make_chat(scripted, server)(f"Mine is {text}")
    (call,) = reply.calls
    assert call.arguments["q"] == text  # what is sent and what the program gets is unchanged
    return repr(reply) + reply._repr_html_() + repr(reply.sequence()) + repr(call) + call._repr_html_()


def page_export(server: kit.Server, text: str, **_: Any) -> str:
    user = {"type": "user", "text": text, "plugins": []}
    call = {"type": "call", "n": 1, "operation": "add_note", "arguments": {"note": text}, "asks": True}
    result = {"type": "result", "n": 1, "arguments": {"note": text}, "ok": True, "outcome": "200"}
    log = SimpleNamespace(all=[user, call, result, {"type": "done"}])
    conversation: Any = SimpleNamespace(log=log, used={})
    return as_code(conversation, "cell") + as_code(conversation, "test")


def tunnel(server: kit.Server, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **_: Any) -> str:
    program = tmp_path / "cloudflared"
    (tmp_path / "output").write_text(text)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/output\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(kit.ServeError) as caught:
        kit.serve(server.plugin, public_url=tunnels.cloudflared)
    return str(caught.value)


@pytest.fixture(scope="module")
def scripted() -> Scripted:
    return Scripted()


OUTLETS: list[Callable[..., str]] = [
    calls, sequence, watch, json_log, text_log, api_error, transcript, page_export, tunnel,
]  # fmt: skip


@pytest.mark.parametrize("outlet", OUTLETS, ids=lambda outlet: outlet.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_shows_nowhere(
    form: str, outlet: Callable[..., str], vault: kit.Server, scripted: Scripted, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text, *secrets = FORMS[form]
    shown = outlet(vault, text, scripted=scripted, tmp_path=tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert "***" in shown
    for secret in secrets:
        assert secret not in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_enough(name: str) -> None:
    assert hide({name: "hunter22", "n": [{name: ["hunter22"]}]}) == {name: "***", "n": [{name: "***"}]}
    for text in (
        f"?a=1&{name}=hunter22&b=2",
        f'{{"{name}": "hunter22", "n": ',
        f"('{name}'): 'x', {name}=hunter22",
    ):
        assert "hunter22" not in hide(text)
    part = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nhunter22\r\n--x--'
    assert hide(part) == part.replace("hunter22", "***")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text: str) -> None:
    assert hide(text) == text
    assert hide({"note": [text]}) == {"note": [text]}


def test_an_ambiguous_name_hides_what_looks_made_up() -> None:
    for name in ("key", "code", "auth", "session"):
        assert hide({name: P, "n": [{name: 7}]}) == {name: "***", "n": [{name: 7}]}
        assert hide({name: "buy milk"}) == {name: "buy milk"}
        assert P not in hide(f"{name}={P}")


def test_encoded_twice_is_hidden_too() -> None:
    assert P not in hide("?next=" + quote(quote(f"https://app:{P}@db/x", safe=""), safe=""))


def test_a_call_and_the_log_hide_a_secret_in_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = kit.Plugin("verify", description_for_model="Verifies.")

    @plugin.get("/verify/{token}")
    def verify(token: str) -> str:
        return "yes"

    with kit.serve(plugin) as server:
        call = kit.install(server).call("verify", token="hunter zwei")
        shown = repr(call) + call._repr_html_() + repr(server.calls) + server.calls._repr_html_()
    with kit.serve(kit.Plugin.wrap(plugin)) as server:
        httpx2.get(f"{server.url}/verify/hunter%20zwei")
        shown += repr(server.calls)
    assert "zwei" not in shown
    assert shown.count("/verify/***") > 3


def test_an_error_shows_no_secret_of_its_url() -> None:
    url = f"http://sam:{P}@127.0.0.1:1/x?api_key={P}"
    for error in (
        kit.InstallError(f"{url!r} does not answer.", "Is it right?", source=url),
        kit.KitError(url),
    ):
        assert P not in str(error)
    assert str(kit.KitError("password: too short")) == "password: too short"


def test_what_describes_a_secret_stays() -> None:
    value = {
        "max_tokens": 5, "max_output_tokens": "auto", "usage": {"prompt_tokens": 3, "total_tokens": 7}, "tokens": 12,
        "token_type": "bearer", "has_token": True, "password": None, "token": "", "tokenizer": "cl100k", "passenger": "Sam",
    }  # fmt: skip
    assert hide(value) == value


def test_user_and_host_of_a_url_stay() -> None:
    assert (
        hide("at postgresql://app:s3@cret@db:5432/prod, twice")
        == "at postgresql://app:***@db:5432/prod, twice"
    )


UNITS = ("a", "a+", "-eyJ", "eyJaaaaaaaa-", "x://", "://u:p", "-----BEGIN PRIVATE KEY-----", "Basic  ", "sk-a.",
         "token", 'token="x" ', 'token="\\"', "token='", "secret_", "\ncookie: x", "tokens: [", "aA",
         'Content-Disposition: form-data; name="')  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_stranger_cannot_make_it_slow(unit: str) -> None:
    text = "token=: Bearer gh .eyJ :// form-data cookie " + unit * (1_000_000 // len(unit))
    start = time.process_time()
    hide(text)
    assert time.process_time() - start < 20  # seconds; about 1. Quadratic, a megabyte takes hours


def test_a_body_of_brackets_does_not_break_the_log(vault: kit.Server) -> None:
    vault.calls.clear()
    httpx2.post(f"{vault.url}/notes", content=b"[" * 9000 + b"]" * 9000)
    assert "POST" in repr(vault.calls)
