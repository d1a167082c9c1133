"""The local ChatGPT's server: who may use it, what it finds, what it keeps. Without a browser."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from strangers import Stranger, manifest, openapi
from tabs import Tab, kinds, lines, said

import kit
from kit.web.page import LocalChatGPT

# -- who may use it -----------------------------------------------------------------


def test_the_page_requires_its_token(page: LocalChatGPT) -> None:
    base = f"http://127.0.0.1:{page.port}"
    assert httpx2.get(page.url).status_code == 200
    for path in ("/", "/?token=", "/?token=wrong", "/?token=%C3%A4"):
        answer = httpx2.get(base + path)
        assert answer.status_code == 403
        assert "token" in answer.text
    for token in ("", "Bearer", "Bearer wrong"):
        assert httpx2.get(f"{base}/api/state", headers={"Authorization": token}).status_code == 401
    assert httpx2.get(f"{base}/static/page.js").status_code == 200  # contains no secret
    for path in ("/static/", "/static/app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert httpx2.get(base + path).status_code == 404


def test_another_host_name_is_refused(page: LocalChatGPT) -> None:
    """A name that DNS rebinding points to this machine."""
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil", ""):
        assert httpx2.get(page.url, headers={"Host": host}).status_code in (400, 403), host
    for host in ("localhost", f"localhost:{page.port}", f"[::1]:{page.port}"):
        assert httpx2.get(page.url, headers={"Host": host}).status_code == 200, host


def test_another_page_is_rejected_even_with_the_token(tab: Tab) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8888"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = tab.http.get("/api/state", headers=headers)
        assert answer.status_code == 403, headers
        assert "access-control-allow-origin" not in answer.headers
    assert tab.http.get("/api/state", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_what_the_page_may_load(page: LocalChatGPT) -> None:
    policy = httpx2.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "img-src 'self' data:;" in policy, "a picture's address can carry a conversation away"


def test_half_a_character_and_odd_numbers_break_nothing(tab: Tab) -> None:
    name = tab.post("conversations")["id"]
    path = f"/api/conversations/{name}"
    said = tab.http.post(f"{path}/say", content=b'{"text": "half \\ud800 of it"}')
    assert said.status_code == 200
    for start in ("\u00b2", "9" * 5000, "-1", "x"):
        assert tab.http.get(f"{path}/events", params={"start": start}).status_code == 200
    assert tab.http.post(f"{path}/plugins", json={"enabled": 5}).status_code == 200
    assert tab.http.get("/api/state").status_code == 200
    assert "half \ufffd of it" in tab.http.get(f"{path}/events").text.encode().decode("unicode-escape")


def test_behind_a_proxy_the_browsers_host_name_is_admitted(
    server: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_BROWSER_URL", "https://hub.example/user/sam/proxy/{port}")
    with kit.chatgpt(server, instructions="behind a proxy") as page:
        assert page.url.startswith(f"https://hub.example/user/sam/proxy/{page.port}/?token=")
        token = page.url.partition("?")[2]
        here = f"http://127.0.0.1:{page.port}/?{token}"
        assert httpx2.get(here, headers={"Host": "hub.example"}).status_code == 200
        assert httpx2.get(here, headers={"Host": "evil.example"}).status_code == 403


# -- the page as an object ------------------------------------------------------------


def test_opened_again_the_page_goes_on(server: kit.Server) -> None:
    with kit.chatgpt(server) as page:
        assert kit.chatgpt(server) is page
        assert kit.chatgpt(server) is page
        with kit.chatgpt(server, instructions="Be brief.") as other:
            assert other is not page
        assert repr(page) == f"Local ChatGPT at {page.url}"
    assert not page.is_running
    with kit.chatgpt(server) as new:
        assert new is not page


def test_an_unknown_option(server: kit.Server) -> None:
    with pytest.raises(kit.KitError, match="'colour'"):
        kit.chatgpt(server, colour="red")


def test_a_plugin_that_cannot_be_installed_opens_no_page() -> None:
    with pytest.raises(kit.InstallError, match="cannot be reached"):
        kit.chatgpt("localhost:1")


# -- plugins --------------------------------------------------------------------------


def test_each_step_of_finding_a_plugin(tab: Tab, server: kit.Server) -> None:
    steps = tab.find(f"localhost:{server.port}")
    assert [step.get("step") for step in steps] == ["Fetched", "Fetched", "Read", "Validated", "Found", None]
    assert steps[0]["text"].endswith("/.well-known/ai-plugin.json")
    assert steps[0]["detail"].startswith("200, ")
    assert steps[4]["text"] == "3 functions"
    found = steps[-1]["found"]
    assert found["name"] == "TODO Plugin"
    assert [one["name"] for one in found["functions"]] == ["add_todo", "list_todos", "delete_todo"]
    assert found["image"].startswith("static/logos/")


def test_what_was_repaired_is_listed(tab: Tab) -> None:
    document = openapi(servers=[{"url": "https://elsewhere.example"}])
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", logo_url="", name_for_human="x" * 40)),
        "/o.json": (200, {}, document),
    }
    with Stranger(pages) as stranger:
        steps = tab.find(stranger.url)
        read = next(step for step in steps if step.get("step") == "Read")
        assert any("elsewhere.example" in item["text"] for item in read["items"])
        judged = next(step for step in steps if step.get("step") == "Validated")
        assert not judged["ok"]
        assert [item["place"].partition(",")[0] for item in judged["items"]] == ["error", "warning"]
        assert "found" in steps[-1]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ({}, "404"),
        ({"/.well-known/ai-plugin.json": (200, {}, "<html>")}, "ai-plugin.json"),
        (
            {"/.well-known/ai-plugin.json": (200, {}, manifest("https://evil.example/o.json"))},
            "another domain",
        ),
        ({"/.well-known/ai-plugin.json": (200, {}, manifest("/o.json")), "/o.json": (500, {}, "no")}, "500"),
    ],
)
def test_a_broken_plugin_is_refused_with_the_reason(tab: Tab, pages: dict[str, Any], words: str) -> None:
    with Stranger(pages) as stranger:
        last = tab.find(stranger.url)[-1]
    assert words in last["error"]
    assert last["remedy"]
    assert len(tab.get("state")["plugins"]) == 1


@pytest.mark.parametrize(
    "url", ["localhost:1", "", "  ", "ftp://x.example", "/etc/passwd", "file:///etc/passwd"]
)
def test_what_is_not_an_address(tab: Tab, url: str) -> None:
    answer = tab.http.post("/api/plugins", json={"url": url})
    assert lines(answer)[-1]["error"]


def test_a_file_of_this_machine_is_not_an_address(tab: Tab, tmp_path: Any) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(openapi()))
    assert "error" in tab.find(str(file))[-1]


def test_a_token_goes_to_the_plugin_and_nowhere_else(tab: Tab, caplog: pytest.LogCaptureFixture) -> None:
    auth = {"type": "user_http", "authorization_type": "bearer"}
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", auth=auth)),
        "/o.json": (200, {}, openapi()),
        "/things": (200, {}, ["one"]),
    }
    with Stranger(pages) as stranger:
        tab.install(stranger.url, token="s3cret-t0ken")
        everything = [tab.get("state"), tab.events()]
        tab.post(f"conversations/{tab.id}/plugins", enabled=["strange"])
        everything.append(tab.say("List the things"))
        everything += [tab.get(f"conversations/{tab.id}/export/{form}") for form in ("cell", "test")]
        sent = [
            headers.get("authorization") for _, path, headers, _ in stranger.requests if path == "/things"
        ]
    assert sent == ["Bearer s3cret-t0ken"]
    assert "s3cret-t0ken" not in json.dumps(everything) + caplog.text
    assert 'auth=os.environ["KIT_TOKEN"]' in everything[-1]["text"]


def test_two_plugins_never_share_a_token_in_the_code_of_an_export(tab: Tab) -> None:
    auth = {"type": "user_http", "authorization_type": "bearer"}

    def pages(name: str) -> dict[str, Any]:
        about = manifest("/o.json", auth=auth, name_for_model=name)
        return {"/.well-known/ai-plugin.json": (200, {}, about), "/o.json": (200, {}, openapi())}

    with Stranger(pages("one")) as one, Stranger(pages("two")) as two:
        tab.install(one.url, token="s3cret-of-one")
        tab.install(two.url, token="s3cret-of-two")
        tab.post(f"conversations/{tab.id}/plugins", enabled=["one", "two"])
        tab.say("Hello")
        text = tab.get(f"conversations/{tab.id}/export/cell")["text"]
    assert f'kit.install({one.url!r}, auth=os.environ["KIT_TOKEN_ONE"])' in text
    assert f'kit.install({two.url!r}, auth=os.environ["KIT_TOKEN_TWO"])' in text


def test_a_token_is_forgotten_and_kept_over_a_refresh(tab: Tab) -> None:
    auth = {"type": "service_http", "authorization_type": "bearer"}
    about = manifest("/o.json", auth=auth)
    pages = {"/.well-known/ai-plugin.json": (200, {}, about), "/o.json": (200, {}, openapi())}
    with Stranger(pages) as stranger:
        found = tab.find(stranger.url)[-1]["found"]
        assert found["wants"] == "token"
        assert found["verification"]["is_found"] is False
        auth["verification_tokens"] = {"openai": found["verification"]["token"]}  # type: ignore[assignment]
        assert tab.find(stranger.url)[-1]["found"]["verification"]["is_found"] is True
        assert tab.post("plugins/strange", token="s3cret-t0ken")["wants"] == ""
        assert tab.post("plugins/strange/refresh")["has_secret"] is True
        assert tab.post("plugins/strange/forget")["wants"] == "token"
        assert "s3cret" not in json.dumps(tab.get("state"))


def test_an_answer_of_an_authorization_server_that_nobody_waits_for(page: LocalChatGPT) -> None:
    base = f"http://127.0.0.1:{page.port}/oauth/callback"
    for query in ("", "?state=<script>&code=x", "?error=access_denied"):
        answer = httpx2.get(base + query)
        assert answer.status_code == 400
        assert "Nobody is signing in here" in answer.text
        assert "script>" not in answer.text
    assert httpx2.get(base + "/../api/state").status_code in (401, 404)


def test_refresh_and_uninstall(tab: Tab, server: kit.Server, todo: kit.Plugin) -> None:
    @todo.get("/count")
    def count_all() -> int:
        return 3

    assert tab.post("plugins/todo/refresh")["function_count"] == 4
    tab.http.delete("/api/plugins/todo")
    assert tab.get("state")["plugins"] == []
    assert "error" in tab.post("plugins/todo/refresh")


# -- a conversation -------------------------------------------------------------------


def test_a_turn_asks_and_calls(tab: Tab, server: kit.Server) -> None:
    events = tab.say("Add 'buy milk' to sam's list")
    assert kinds(events) == ["user", "call", "question", "answer", "result", "done"]
    call, result = (next(e for e in events if e["type"] == kind) for kind in ("call", "result"))
    assert call["plugin"] == "TODO Plugin"
    assert call["arguments"] == {"username": "sam", "todo": "buy milk"}
    assert result["ok"]
    assert result["outcome"] == "200"
    assert result["url"].startswith(server.url)
    assert "buy milk" in said(events)
    assert tab.get("state")["conversations"][0]["title"] == "Add 'buy milk' to sam's list"


def test_deny_and_always_allow(tab: Tab, server: kit.Server) -> None:
    events = tab.say("Add 'buy milk' to sam's list", "deny")
    assert next(e for e in events if e["type"] == "result")["outcome"] == "not sent"
    assert not [call for call in server.calls if call.method == "POST"]
    assert "question" in kinds(tab.say("Add 'buy milk' to sam's list", "always"))
    assert "question" not in kinds(tab.say("Add 'eggs' to sam's list"))
    assert "question" in kinds(tab.say("Delete todo 1 of sam", "deny"))  # another operation


def test_the_events_are_the_same_for_a_second_tab(tab: Tab) -> None:
    tab.say("Add 'buy milk' to sam's list")
    assert tab.events() == tab.events()
    assert [e["type"] for e in tab.events()] == [e["type"] for e in tab.events(0)]


def test_one_turn_at_a_time(tab: Tab) -> None:
    tab.act("say", text="Add 'buy milk' to sam's list")
    answer = tab.http.post(f"/api/conversations/{tab.id}/say", json={"text": "And eggs"})
    assert answer.status_code == 409
    assert "still being written" in answer.json()["error"]
    tab.act("stop")
    events = tab.events()
    assert (events[-1]["text"], events[-1]["retry"]) == ("Stopped.", "Add 'buy milk' to sam's list")
    assert kinds(tab.say("Show me sam's list"))[-1] == "done"


def test_a_call_is_edited_and_sent_again(tab: Tab, server: kit.Server) -> None:
    tab.say("Add 'buy milk' to sam's list")

    def again(answer: str, **arguments: str) -> list[dict[str, Any]]:
        start = tab.next()
        tab.act("again", n=1, arguments=arguments)
        return tab.answered(start, answer)

    question, _, sent = again("allow", username="ann", todo="tea")
    assert (question["method"], question["url"]) == ("POST", f"{server.url}/users/ann/todos")
    assert question["arguments"] == {"username": "ann", "todo": "tea"}
    assert (sent["type"], sent["ok"]) == ("again", True)
    assert server.calls[-1].path == "/users/ann/todos"
    assert kinds(again("deny", username="ann", todo="coffee")) == ["question", "answer"]
    assert len([call for call in server.calls if call.method == "POST"]) == 2
    assert again("allow", username="ann")[-1]["outcome"] == "not sent"
    assert "error" in tab.act("again", n=9, arguments={})


def test_the_plugin_is_followed_while_its_author_works(tab: Tab, todo: kit.Plugin) -> None:
    tab.say("Show me sam's list")

    @todo.get("/weather/{city}", summary="The weather of a city")
    def weather(city: str) -> str:
        return f"sunny in {city}"

    events = tab.say("What is the weather of Oslo?")
    assert any("was read again" in e.get("text", "") for e in events if e["type"] == "note")
    assert next(e for e in events if e["type"] == "call")["operation"] == "weather"


def test_a_stopped_server_is_reported_and_the_chat_goes_on(tab: Tab, server: kit.Server) -> None:
    server.stop()
    events = tab.say("Show me sam's list")
    assert any("stays as it was installed" in e.get("text", "") for e in events)
    assert next(e for e in events if e["type"] == "result")["outcome"] == "no answer"
    assert kinds(events)[-1] == "done"


def test_several_plugins_and_none(tab: Tab) -> None:
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json")),
        "/o.json": (200, {}, openapi()),
        "/things": (200, {}, ["hammer"]),
    }
    with Stranger(pages) as stranger:
        tab.install(stranger.url)
        tab.post(f"conversations/{tab.id}/plugins", enabled=["todo", "strange"])
        events = tab.say("List the things")
        assert next(e for e in events if e["type"] == "call")["plugin"] == "Strange"
        tab.post(f"conversations/{tab.id}/plugins", enabled=[])
        assert "call" not in kinds(tab.say("List the things"))


def test_an_export_runs(tab: Tab, tmp_path: Any) -> None:
    assert "conversation is empty" in tab.get(f"conversations/{tab.id}/export/cell")["error"]
    tab.say("Show me sam's list")
    tab.say("Delete todo 1 of sam", "deny")
    cell = tab.get(f"conversations/{tab.id}/export/cell")["text"]
    namespace: dict[str, Any] = {}
    exec(cell, namespace)
    assert [item["content"] for item in namespace["chat"].history if item.get("role") == "user"] == [
        "Show me sam's list",
        "Delete todo 1 of sam",
    ]
    test = tab.get(f"conversations/{tab.id}/export/test")["text"]
    exec(test, namespace)
    namespace["test_conversation"]()
    broken = test.replace("list_todos", "add_todo")
    exec(broken, namespace)
    with pytest.raises(AssertionError):
        namespace["test_conversation"]()


def test_conversations_are_bounded(page: LocalChatGPT) -> None:
    tab = Tab(page)
    for _ in range(120):
        tab.post("conversations")
    assert len(page._state.conversations) <= 100
    answer = tab.http.get(f"/api/conversations/{tab.id}")
    assert answer.status_code == 409
    assert "no longer exists" in answer.json()["error"]
    tab.http.close()


def test_invalid_requests(tab: Tab) -> None:
    for content in (b"[1]", b"{", b"\xff", b"x" * 1_100_000):
        answer = tab.http.post(f"/api/conversations/{tab.id}/say", content=content)
        assert answer.status_code == 409
        assert answer.json()["error"]
    assert "missing" in tab.act("say", text="  ")["error"]
    assert "is not possible" in tab.act("dance")["error"]
    assert "no form" in tab.get(f"conversations/{tab.id}/export/poem")["error"]
