"""The local ChatGPT's page in a real Chromium. Screenshots are saved in `build/screenshots`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from authserver import AuthServer, plugin_of
from strangers import Stranger, manifest, openapi

import kit
from kit.web.page import LocalChatGPT

pytest.importorskip("playwright")
from lab import browser_program, browsing
from pagetabs import Tab
from playwright.sync_api import Browser, Route, expect

pytestmark = pytest.mark.skipif(browser_program() is None, reason="no Chromium: apt-get install chromium")

HOSTILE = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>[x](javascript:window.ran=1)'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@pytest.fixture
def local(server: kit.Server) -> Iterator[LocalChatGPT]:
    with kit.chatgpt(server) as running:
        yield running


@pytest.fixture
def tab(browser: Browser, local: LocalChatGPT) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    made = Tab(context.new_page(), local.url)
    yield made
    context.close()
    assert made.slips == []


def stranger_with(answer: Any, **more: Any) -> Stranger:
    """Someone else's plugin, whose only operation returns `answer`."""
    operation = {"operationId": "list_things", "summary": "List the things", "responses": {}, **more}
    document = openapi({"/things": {"get": operation}})
    return Stranger(
        {
            "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json")),
            "/o.json": (200, {}, document),
            "/things": answer,
        }
    )


# -- plugins --------------------------------------------------------------------------


def test_install_a_strangers_plugin_by_its_url(tab: Tab) -> None:
    with stranger_with((200, {}, ["hammer", "nail"])) as stranger:
        tab.find(f"localhost:{stranger.port}")
        steps = tab.page.locator("#steps > li")
        expect(tab.page.get_by_role("heading", name="Strange")).to_be_visible()
        words = "\n".join(steps.all_inner_texts())
        for word in ("Fetched", "ai-plugin.json", "o.json", "Read", "Validated", "Found", "1 function"):
            assert word in words
        tab.picture("found")
        assert tab.findings() == []
        tab.page.get_by_role("button", name="Install plugin").click()
        expect(tab.page.locator("#picked")).to_have_text(re.compile("TODO Plugin.*Strange"))
        tab.say("List the things")
        tab.wait()
        expect(tab.page.locator(".call summary")).to_have_text(re.compile("Used Strange"))
        expect(tab.page.locator(".answer").last).to_contain_text("hammer")


def test_sign_in_expire_and_sign_out(tab: Tab) -> None:
    with AuthServer() as authorities, plugin_of(authorities) as stranger:
        authorities.asks = True
        authorities.redirect_uris = {tab.page.url.partition("?")[0] + "oauth/callback"}

        def sign_in(answer: str) -> str:
            tab.page.get_by_label("Client ID").fill("kit")
            tab.page.get_by_label("Client secret").fill("client-s3cret")
            tab.page.get_by_role("button", name="Sign in", exact=True).click()
            with tab.page.expect_popup() as opened:
                tab.page.get_by_role("link", name="Go on at").click()
            opened.value.get_by_role("link", name=answer).click()
            words = opened.value.locator("body").inner_text()
            opened.value.close()
            return words

        tab.find(stranger.url)
        expect(tab.page.locator("#found")).to_contain_text("oauth/callback")
        tab.picture("sign-in")
        assert tab.findings() == []
        assert "was not allowed" in sign_in("Deny")
        refused = tab.page.locator("#found [role=alert]")
        expect(refused).to_contain_text("was not allowed")

        tab.page.get_by_role("button", name="Find manifest file").click()
        assert "Signed in" in sign_in("Allow")
        expect(tab.page.locator("#store")).to_be_hidden()
        expect(tab.page.locator("#picked")).to_have_text(re.compile("Strange"))
        tab.say("List the things")
        tab.wait()
        expect(tab.page.locator(".answer").last).to_contain_text("sam")

        authorities.expire_all()
        authorities.renews = False
        tab.say("List the things")
        tab.wait()
        tab.page.locator("#pick").click()
        tab.page.get_by_role("button", name="Sign in at Strange").click()
        assert "Signed in" in sign_in("Allow")
        expect(tab.page.locator("#store")).to_be_hidden()
        tab.page.locator("#pick").click()
        tab.page.get_by_role("button", name="Sign out of Strange").click()
        expect(tab.page.get_by_role("button", name="Sign in at Strange")).to_be_visible()
        everything = tab.page.content() + tab.page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert not re.search("(access|refresh)-|client-s3cret", everything)


def test_a_token_is_typed_once_and_forgotten(tab: Tab) -> None:
    auth = {"type": "service_http", "authorization_type": "bearer"}
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", auth=auth)),
        "/o.json": (200, {}, openapi()),
        "/things": (200, {}, ["hammer"]),
    }
    with Stranger(pages) as stranger:
        tab.find(stranger.url)
        expect(tab.page.locator("#found")).to_contain_text("Not in the manifest yet")
        field = tab.page.get_by_label("Its token")
        assert field.get_attribute("type") == "password"
        field.fill("s3cret-of-the-service")
        tab.page.get_by_role("button", name="Install plugin").click()
        expect(tab.page.locator("#store")).to_be_hidden()
        tab.say("List the things")
        expect(tab.page.locator(".answer").last).to_contain_text("hammer")
        assert stranger.requests[-1][2]["authorization"] == "Bearer s3cret-of-the-service"
        tab.page.locator("#pick").click()
        tab.page.get_by_role("button", name="Forget token of Strange").click()
        expect(tab.page.get_by_role("button", name="Sign in at Strange")).to_have_text("Enter token")
        assert "s3cret-of" not in tab.page.content()


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ({}, "answers 404"),
        ({"/.well-known/ai-plugin.json": (200, {}, manifest("https://evil.example/o"))}, "another domain"),
        ({"/.well-known/ai-plugin.json": (200, {}, manifest("/o")), "/o": (200, {}, "<html>hi")}, "/o"),
    ],
)
def test_a_broken_plugin_is_refused_with_the_reason(tab: Tab, pages: dict[str, Any], reason: str) -> None:
    with Stranger(pages) as stranger:
        tab.find(stranger.url)
        refused = tab.page.locator("#found [role=alert]")
        expect(refused).to_contain_text("Not installed")
        expect(refused).to_contain_text(reason)
        tab.picture("refused")
        assert tab.page.get_by_label("Its base URL").input_value() == stranger.url  # nothing typed is lost
        assert not tab.page.get_by_role("button", name="Install plugin").is_visible()


def test_enable_and_uninstall(tab: Tab) -> None:
    tab.page.locator("#pick").click()
    tab.page.get_by_label("TODO Plugin", exact=True).uncheck()
    expect(tab.page.locator("#picked")).to_have_text("No plugin enabled")
    tab.page.keyboard.press("Escape")
    tab.say("Show me sam's list")
    tab.wait()
    assert tab.page.locator(".call").count() == 0
    tab.page.locator("#pick").click()
    tab.page.get_by_role("button", name="Uninstall TODO Plugin").click()
    expect(tab.page.locator("#picked")).to_have_text("No plugins")


# -- a conversation ---------------------------------------------------------------------


def test_converse_allow_unfold(tab: Tab, server: kit.Server) -> None:
    tab.picture("welcome")
    tab.say("Add 'buy milk' to sam's list")
    expect(tab.page.locator(".call")).to_contain_text("wants to call add_todo")
    tab.picture("ask")
    assert tab.findings() == []
    assert not [call for call in server.calls if call.method == "POST"]
    tab.answer("Allow")
    tab.wait()
    call = tab.page.locator(".call")
    expect(call.locator("summary")).to_have_text(re.compile("Used TODO Plugin"))
    expect(call.locator("pre").first).to_be_hidden()
    call.locator("summary").click()
    expect(call.locator("pre").first).to_have_text(
        json.dumps({"username": "sam", "todo": "buy milk"}, indent=2)
    )
    expect(call).to_contain_text("Response from TODO Plugin: 200")
    expect(tab.page.locator(".answer")).to_contain_text("buy milk")
    expect(tab.page.locator("#model")).to_have_text("Understudy")
    tab.picture("unfolded")
    tab.page.get_by_role("button", name="Sequence").click()
    drawn = tab.page.locator(".sequence img")
    expect(drawn).to_be_visible()
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") > 400
    assert "Chat to TODO Plugin: POST /users/sam/todos (200)" in (drawn.get_attribute("alt") or "")
    tab.picture("sequence")
    assert tab.findings() == []


def test_deny_and_always_allow(tab: Tab, server: kit.Server) -> None:
    tab.say("Add 'buy milk' to sam's list")
    tab.answer("Deny")
    tab.wait()
    expect(tab.page.locator(".call summary")).to_have_text(re.compile("Did not use TODO Plugin"))
    tab.say("Add 'eggs' to sam's list")
    tab.answer("Always allow")
    tab.wait()
    tab.say("Add 'tea' to sam's list")
    tab.wait()
    expect(tab.page.locator(".call")).to_have_count(3)
    # a call is shown when it begins, and is in the log when it is answered
    expect(tab.page.locator(".call summary").nth(2)).to_have_text(re.compile("Used TODO Plugin"))
    assert [call.status for call in server.calls if call.method == "POST"] == [200, 200]


def test_edit_a_call_and_send_it_again(tab: Tab) -> None:
    tab.say("Show me sam's list")
    tab.wait()
    tab.page.locator(".call summary").click()
    tab.page.get_by_role("button", name="Edit and send again").click()
    field = tab.page.get_by_label("Arguments as JSON")
    field.fill("{oops")
    tab.page.locator(".call").get_by_role("button", name="Send").click()
    expect(tab.page.locator(".call [role=alert]")).to_contain_text("This is not JSON")
    field.fill('{"username": "ann"}')
    tab.page.locator(".call").get_by_role("button", name="Send").click()
    expect(tab.page.locator(".call")).to_contain_text("Sent again by you")
    expect(tab.page.locator(".call")).to_contain_text("/users/ann/todos")


def test_what_is_typed_answers_no_question(tab: Tab, server: kit.Server) -> None:
    field = tab.page.get_by_label("Message")
    field.click()
    tab.page.keyboard.type("Add 'buy milk' to sam's list")
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.type("and then show me all of it ", delay=30)
    expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
    tab.page.keyboard.type("please ", delay=30)
    tab.page.keyboard.press("Enter")  # kept while the question waits
    expect(field).to_have_value("and then show me all of it please ")
    expect(tab.page.locator(".user")).to_have_text(["You: Add 'buy milk' to sam's list"])
    assert not [call for call in server.calls if call.method == "POST"]
    tab.answer("Deny")
    tab.wait()
    expect(field).to_have_value("and then show me all of it please ")


def test_consent_is_seen_and_taken_back(tab: Tab, server: kit.Server) -> None:
    tab.say("Add 'buy milk' to sam's list")
    expect(tab.page.locator(".ask .request")).to_have_text(f"POST {server.url}/users/sam/todos")
    tab.answer("Always allow")
    tab.wait()
    tab.page.locator("#pick").click()
    expect(tab.page.locator("#plugins")).to_contain_text("Always allowed: add_todo POST")
    tab.picture("allowed")
    assert tab.findings() == []
    tab.page.get_by_role("button", name="Ask again before add_todo").click()
    expect(tab.page.locator("#plugins")).not_to_contain_text("Always allowed")
    tab.page.keyboard.press("Escape")
    tab.say("Add 'tea' to sam's list")
    tab.answer("Deny")
    tab.wait()


@pytest.mark.parametrize("size", [(1100, 720), (360, 640)])
def test_a_question_of_any_length_fits_the_view(browser: Browser, local: LocalChatGPT, size: Any) -> None:
    long = "Donaudampfschiff " * 400
    names = {
        f"argument_{n}": {"type": "string", "default": f"\u202e{n} \u05d0\u05d1 " + "x" * 300}
        for n in range(60)
    }
    schema = {"type": "object", "properties": names, "required": list(names)}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation = {
        "operationId": "send_things",
        "summary": "Send the things",
        "requestBody": body,
        "responses": {},
    }
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, manifest("/o.json", name_for_human=long)),
        "/o.json": (200, {}, openapi({"/things": {"post": operation}})),
        "/things": (200, {}, ["sent"]),
    }
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    tab = Tab(context.new_page(), local.url)
    with Stranger(pages) as stranger:
        tab.install(stranger.url)
        call = {"arguments": {name: it["default"] for name, it in names.items()}, "operation": "send_things"}
        facts = {"method": "POST", "url": f"{stranger.url}/things?{'y' * 3000}", "again": False}
        conversation = local._state.conversation(tab.page.url.partition("#")[2])
        conversation.log.record("user", text="Send", plugins=[])
        conversation.log.record("call", n=1, plugin=long, image="", asks=True, **call)
        conversation.log.record("question", n=1, arguments=call["arguments"], **facts)
        tab.page.reload()
        for name in ("Allow", "Always allow", "Deny"):
            expect(tab.page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
        expect(tab.page.locator(".ask .request")).to_be_in_viewport()
        expect(tab.page.locator(".ask dd").first).to_be_in_viewport()
        shown = tab.page.locator(".ask").inner_text()
        assert "\\u202e" in shown
        assert "\u202e" not in shown
        tab.picture(f"question-{size[0]}")
        assert tab.findings() == []
    context.close()


def test_try_again_sends_the_message_of_its_own_turn(tab: Tab) -> None:
    for text in ("Add 'one' to sam's list", "Add 'two' to sam's list"):
        tab.say(text)
        expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
        tab.page.keyboard.press("Escape")  # stops
        tab.wait()
    tab.page.get_by_role("button", name="Try again").first.click()
    tab.answer("Deny")
    tab.wait()
    expect(tab.page.locator(".user").last).to_contain_text("'one'")


def test_a_draft_stays_with_its_chat(tab: Tab) -> None:
    tab.say("Show me sam's list")
    tab.wait()
    field = tab.page.get_by_label("Message")
    field.fill("half a thought")
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.page.locator(".user")).to_have_count(0)
    expect(field).to_have_value("")
    field.fill("another")
    tab.page.get_by_role("button", name="Show me sam's list", exact=True).click()
    expect(field).to_have_value("half a thought")


def test_a_reload_loses_nothing(tab: Tab) -> None:
    tab.say("Add 'buy milk' to sam's list")
    expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
    tab.page.reload()
    tab.answer("Allow")  # the question is still there
    tab.wait()
    before = tab.page.locator("#log").inner_text()
    tab.page.reload()
    expect(tab.page.locator(".after")).to_be_visible()
    assert tab.page.locator("#log").inner_text() == before


def test_a_chat_that_is_opened_is_requested_once(tab: Tab) -> None:
    tab.say("Add 'buy milk' to sam's list")
    tab.answer("Deny")
    tab.wait()
    urls: list[str] = []
    tab.page.on("request", lambda request: urls.append(request.url))
    tab.page.reload()
    expect(tab.page.locator(".answer")).to_have_count(1)
    expect(tab.page.locator("#chats li")).to_have_count(1)
    tab.wait()
    assert len([url for url in urls if "/events?" in url]) == 1, urls


def test_two_tabs_at_once(tab: Tab, local: LocalChatGPT) -> None:
    other = Tab(tab.page.context.new_page(), local.url)
    tab.say("Add 'buy milk' to sam's list")
    other.say("Add 'tea' to ann's list")
    other.answer("Allow")
    tab.answer("Allow")
    other.wait()
    tab.wait()
    expect(tab.page.locator(".answer")).to_contain_text("buy milk")
    expect(other.page.locator(".answer")).to_contain_text("tea")
    same = Tab(tab.page.context.new_page(), tab.page.url)  # a third one, on the first's chat
    expect(same.page.locator(".answer")).to_contain_text("buy milk")
    expect(same.page.locator("#chats li")).to_have_count(2)
    tab.say("What is on sam's list?")
    tab.wait()
    same.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(same.page.locator(".answer")).to_have_count(2)
    assert same.page.locator("#log").inner_text() == tab.page.locator("#log").inner_text()
    assert other.slips == same.slips == []


def test_a_user_faster_than_the_page_is_not_disturbed(browser: Browser, local: LocalChatGPT) -> None:
    page = browser.new_context().new_page()
    held: list[Route] = []
    page.route("**/api/conversations", lambda route: held.append(route))
    with page.expect_request("**/api/conversations"):
        page.goto(local.url)
    page.locator("#pick").click()
    held[0].continue_()
    expect(page.locator("#welcome")).to_contain_text("TODO Plugin")
    expect(page.locator("#develop")).to_be_visible()
    expect(page.locator("#pick")).to_be_focused()
    page.context.close()


def test_what_is_under_the_mouse_stays_when_the_page_refreshes(tab: Tab) -> None:
    """A click on the page gives it focus, and focus refreshes it: the click must arrive."""
    tab.page.locator("#pick").click()
    box = tab.page.get_by_label("TODO Plugin", exact=True)
    box.hover()
    tab.page.mouse.down()
    with tab.page.expect_response("**/api/state") as response:
        tab.page.evaluate("dispatchEvent(new Event('focus'))")
    response.value.finished()
    tab.page.wait_for_timeout(50)
    tab.page.mouse.up()
    expect(box).not_to_be_checked()
    expect(tab.page.locator("#picked")).to_have_text("No plugin enabled")


def test_an_error_stays_until_something_goes_well(tab: Tab) -> None:
    with stranger_with((200, {}, {"things": 1})) as stranger:
        tab.install(stranger.url)
    tab.page.locator("#pick").click()
    with tab.page.expect_response("**/api/state"):
        tab.page.get_by_role("button", name="Refresh Strange").click()
    expect(tab.page.locator("#lost")).to_contain_text("cannot be reached")
    with tab.page.expect_response("**/api/state"):
        tab.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(tab.page.locator("#lost")).to_be_visible()
    with tab.page.expect_response("**/api/state"):
        tab.page.get_by_role("button", name="Refresh TODO Plugin").click()
    expect(tab.page.locator("#lost")).to_be_hidden()


def test_stop(tab: Tab) -> None:
    tab.say("Add 'buy milk' to sam's list")
    expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
    tab.page.get_by_role("button", name="Stop").click()
    expect(tab.page.locator(".error")).to_contain_text("Stopped")
    tab.page.get_by_role("button", name="Try again").click()
    tab.answer("Allow")
    tab.wait()
    expect(tab.page.locator(".answer")).to_contain_text("buy milk")


def test_export(tab: Tab) -> None:
    tab.say("Show me sam's list")
    tab.wait()
    tab.page.get_by_role("button", name="Export").click()
    code = tab.page.get_by_label("The exported code")
    expect(code).to_contain_text('chat("Show me sam\'s list")')
    tab.page.get_by_role("button", name="Test", exact=True).click()
    expect(code).to_contain_text("def test_conversation")
    tab.picture("export")
    assert tab.findings() == []
    compile(code.inner_text(), "test", "exec")


# -- plugins with faults ------------------------------------------------------------------


async def never(scope: Any, body: bytes) -> Any:
    await asyncio.sleep(60)


async def slow(scope: Any, body: bytes) -> Any:
    await asyncio.sleep(1.5)
    return 200, {}, ["late"]


@pytest.mark.parametrize(
    ("answer", "title", "shown"),
    [
        ((500, {}, "kaput"), "500", "kaput"),
        (
            (200, {"content-type": "text/html", "set-cookie": "id=s3cret"}, "<h1>Hi</h1>"),
            "200",
            "<h1>Hi</h1>",
        ),
        ((200, {}, json.dumps(["x" * 99] * 2000)), "200", "[cut: the first 100,000 characters"),
        ((204, {}, b""), "204", "(nothing)"),
        (slow, "1.5 s", "late"),
    ],
    ids=["500", "html", "200kB", "nothing", "slow"],
)
def test_a_plugin_with_a_fault(tab: Tab, answer: Any, title: str, shown: str) -> None:
    with stranger_with(answer) as stranger:
        tab.install(stranger.url)
        tab.say("List the things")
        tab.wait()
        call = tab.page.locator(".call")
        expect(call.locator("summary")).to_contain_text("Used Strange list_things()")
        expect(call.locator("summary")).to_contain_text(title)
        if title == "500":  # it opens by itself
            tab.picture("failed")
        else:
            call.locator("summary").click()
        expect(call.get_by_role("region", name="Headers of the response")).to_contain_text("server: uvicorn")
        assert "s3cret" not in tab.page.content()
        expect(call.locator("pre").last).to_contain_text(shown)
        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 1100


def test_a_plugin_that_never_answers_can_be_stopped(tab: Tab) -> None:
    with stranger_with(never) as stranger:
        tab.install(stranger.url)
        tab.say("List the things")
        expect(tab.page.locator(".call summary")).to_contain_text("Using Strange")
        tab.page.get_by_role("button", name="Stop").click()
        tab.wait()
        expect(tab.page.locator(".error")).to_contain_text("Stopped")


def test_nothing_of_a_hostile_plugin_runs(tab: Tab) -> None:
    evil = manifest("/o.json", name_for_human=HOSTILE, description_for_human=HOSTILE, logo_url="/logo.svg")
    operation = {"operationId": "list_things", "summary": f"List the things {HOSTILE}", "responses": {}}
    pages = {
        "/.well-known/ai-plugin.json": (200, {}, evil),
        "/o.json": (
            200,
            {},
            openapi({"/things": {"get": operation}}, info={"title": HOSTILE, "version": "1"}),
        ),
        "/logo.svg": (
            200,
            {"content-type": "image/svg+xml"},
            '<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran=1"><script>window.ran=1</script></svg>',
        ),
        "/things": (200, {}, [HOSTILE]),
    }
    urls: list[str] = []
    tab.page.on("request", lambda request: urls.append(request.url))
    with Stranger(pages) as stranger:
        tab.install(stranger.url)
        tab.say("List the things")
        tab.wait()
        tab.page.locator(".call summary").click()
        expect(tab.page.locator(".call pre").last).to_contain_text("window.ran=1")
        tab.say(f"Say {HOSTILE}")
        tab.wait()
        tab.page.get_by_role("button", name="Export").click()
        tab.page.wait_for_timeout(300)
        tab.picture("hostile")
        assert tab.page.evaluate("window.ran") is None
        assert tab.page.evaluate("document.querySelectorAll('a[href^=javascript], #main script').length") == 0
        assert not [url for url in urls if url.startswith(stranger.url)]  # the browser sends it no request


def test_a_picture_shows_beneath_its_call_and_runs_nothing(tab: Tab) -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20" onload="parent.ran=1">'
        '<script>parent.ran=1;window.ran=1</script><rect width="30" height="20" fill="#080"/></svg>'
    )
    sound = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0"
    with stranger_with((200, {"content-type": "image/svg+xml"}, drawing)) as stranger:
        tab.install(stranger.url)
        tab.say("List the things")
        tab.wait()
        picture = tab.page.get_by_role("img", name="image/svg+xml")
        expect(picture).to_be_visible()
        assert picture.evaluate("it => [it.naturalWidth, it.naturalHeight]") == [30, 20]
        assert tab.page.evaluate("window.ran") is None
        stranger.pages["/things"] = (200, {"content-type": "audio/wav"}, sound)
        tab.say("List the things")
        tab.wait()
        expect(tab.page.locator(".call + audio.file")).to_be_visible()
        assert tab.page.locator("audio").evaluate("it => it.error") is None
        assert tab.findings() == []


def test_a_page_of_another_origin_is_rejected(browser: Browser, local: LocalChatGPT) -> None:
    page = browser.new_page()
    page.route(
        "https://evil.example/", lambda route: route.fulfill(body="<h1>evil</h1>", content_type="text/html")
    )
    page.context.grant_permissions(["local-network-access"], origin="https://evil.example")
    page.goto("https://evil.example/")
    token = local.url.partition("token=")[2]
    tried = page.evaluate(
        """async ([base, token]) => {
            const headers = { Authorization: `Bearer ${token}` };
            const ask = (path, options) => fetch(base + path, options).then((a) => a.status, (e) => e.message);
            const frame = document.createElement('iframe');
            frame.src = `${base}/?token=${token}`;
            document.body.append(frame);
            await new Promise((done) => { frame.onload = done; setTimeout(done, 2000); });
            let inside = 'blocked';
            try { inside = frame.contentDocument ? 'readable' : 'blocked'; } catch { /* blocked */ }
            return [await ask('/api/state', { headers }), await ask('/api/conversations', { method: 'POST' }),
                    await ask('/api/conversations', { method: 'POST', mode: 'no-cors' }), inside];
        }""",
        [f"http://127.0.0.1:{local.port}", token],
    )
    assert tried == [*["Failed to fetch"] * 3, "blocked"]
    assert local._state.conversations == {}  # although a POST without CORS arrives
    page.close()


# -- how it looks and is reached -------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_on_a_phone(browser: Browser, local: LocalChatGPT, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme=scheme)
    tab = Tab(context.new_page(), local.url)
    tab.say("Show me sam's list")
    tab.wait()
    tab.page.locator(".call summary").click()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    background = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light")
    assert tab.findings() == []
    tab.picture(f"phone-{scheme}")
    tab.page.get_by_role("button", name="Chats").click()
    expect(tab.page.get_by_role("button", name="New chat")).to_be_focused()
    tab.picture(f"phone-{scheme}-chats")
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_role("button", name="New chat")).to_be_hidden()
    tab.page.locator("#pick").click()
    expect(tab.page.get_by_role("button", name="Uninstall TODO Plugin")).to_be_in_viewport()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
    assert tab.slips == []


def test_the_theme_can_be_chosen(tab: Tab) -> None:
    for name in ("light", "dark"):
        tab.page.get_by_role("button", name="Theme").click()
        expect(tab.page.locator("#theme")).to_have_text(f"Theme: {name}")
    tab.page.reload()
    expect(tab.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert tab.findings() == []
    tab.picture("dark")


def test_the_keyboard_is_enough(tab: Tab) -> None:
    keys = tab.page.keyboard
    expect(tab.page.get_by_label("Message")).to_be_focused()  # the user can type immediately
    keys.type("Add 'buy milk' to sam's list")
    keys.press("Enter")
    expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
    expect(tab.page.get_by_label("Message")).to_be_focused()  # the question takes no focus
    for _ in range(3):
        keys.press("Shift+Tab")
    expect(tab.page.get_by_role("button", name="Allow", exact=True)).to_be_focused()
    keys.press("Enter")
    tab.wait()
    expect(tab.page.get_by_label("Message")).to_be_focused()
    for _ in range(20):
        keys.press("Shift+Tab")
        if tab.page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    keys.press("Enter")
    expect(tab.page.locator(".call pre").first).to_be_visible()
    tab.page.locator("#pick").focus()
    keys.press("Enter")
    keys.press("Tab")
    expect(tab.page.get_by_label("TODO Plugin", exact=True)).to_be_focused()
    keys.press("Space")
    expect(tab.page.locator("#picked")).to_have_text("No plugin enabled")
    expect(tab.page.get_by_label("TODO Plugin", exact=True)).to_be_focused()
    keys.press("Escape")
    expect(tab.page.locator("#pick")).to_be_focused()
    keys.press("Enter")
    tab.page.locator("#develop").focus()
    keys.press("Enter")
    expect(tab.page.get_by_label("Its base URL")).to_be_focused()
    keys.press("Escape")
    expect(tab.page.locator("#store")).to_be_hidden()


def test_an_ended_process_is_reported(tab: Tab, local: LocalChatGPT) -> None:
    local.stop()
    tab.page.get_by_label("Message").fill("Are you there?")
    tab.page.get_by_role("button", name="Send").click()
    expect(tab.page.locator("#lost")).to_contain_text("Run its cell again")
    assert tab.page.get_by_label("Message").input_value() == "Are you there?"


def test_a_function_is_tried_without_a_model(tab: Tab, server: kit.Server) -> None:
    tab.page.get_by_role("button", name="Try add_todo").click()
    form = tab.page.get_by_role("dialog", name="add_todo of TODO Plugin")
    field = form.get_by_label(re.compile("^username"))
    expect(field).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(field).to_have_accessible_description(re.compile("username is required"))
    tab.page.keyboard.type("sam")
    form.get_by_label(re.compile("^todo")).fill("buy milk")
    tab.page.keyboard.press("Enter")
    expect(form.get_by_role("status")).to_have_text(re.compile("✓ Answered: 200"))
    assert [call.status for call in server.calls if call.method == "POST"] == [200]
    tab.picture("try")
    assert tab.findings() == []
    form.get_by_role("button", name="Case", exact=True).click()
    expect(form.get_by_role("region", name="The call as case")).to_contain_text('calls: {"add_todo"')
    form.get_by_role("button", name="Close").click()
    expect(tab.page.get_by_role("button", name="Try add_todo")).to_be_focused()
