"""The form to try an operation, in a real Chromium: made of any schema, used by keyboard, sent, answered, taken along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
from arguments import NoValue, arguments
from collection import documents, each_run
from fastapi import Form, Header, Query, Response, UploadFile
from pydantic import BaseModel, Field

import kit
from kit.evals.cases import read
from kit.forms.form import about
from kit.forms.page import _script

pytest.importorskip("playwright")
from lab import ROOT, browser_program, browsing
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.skipif(browser_program() is None, reason="no Chromium: apt-get install chromium")

PICTURES = ROOT / "build" / "screenshots"
HOSTILE = '</script><img src=x onerror="window.ran=1">'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f00030301"
    "01003f6e6a5d0000000049454e44ae426082"
)


class Address(BaseModel):
    street: str
    code: str = Field(pattern=r"^\d{5}$", description="Five digits")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(9, ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class NewTodo(BaseModel):
    text: str = Field(description="What there is to do", min_length=1, examples=["buy milk"])
    due: date | None = Field(None, description="The day it must be done by")
    at: datetime | None = None
    tags: list[str] = Field([], max_length=3)
    home: Address | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    extra: dict[str, Any] = {}
    counts: dict[str, int] = {}
    password: str | None = None
    parts: list[NewTodo] = []


def make_plugin() -> kit.Plugin:
    plugin = kit.Plugin(
        "todo", description_for_model="Keeps todos.", description_for_human=f"Todos. {HOSTILE}"
    )

    @plugin.post("/{user}/todos", summary="Add a todo", status_code=201)
    def add_todo(
        user: str,
        new: NewTodo,
        priority: Literal["low", "high"] = "low",
        count: Annotated[int, Query(ge=1, le=10)] = 1,
        x_trace: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        return {**new.model_dump(exclude_unset=True), "user": user, "priority": priority, "trace": x_trace}

    @plugin.get("/picture", summary=f"A picture {HOSTILE}")
    def picture() -> Response:
        return Response(PNG, media_type="image/png")

    @plugin.post("/files")
    def upload(file: UploadFile, note: Annotated[str, Form()] = "") -> str:
        return f"{file.filename}: {file.size} bytes, {note or 'no note'}"

    @plugin.get("/things")
    def things(words: Annotated[list[str], Query()], big: int = 2**60, flag: bool = False) -> dict[str, Any]:
        return {"words": words, "big": big, "flag": flag}

    @plugin.get("/keys")
    def keys(api_key: str) -> dict[str, str]:
        return {"token": api_key, "name": "a key"}

    return plugin


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[kit.Server]:
    with kit.serve(make_plugin()) as running:
        yield running


class Tab:
    """A tab with one form, used as a person would."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.slips: list[str] = []
        page.on("pageerror", lambda error: self.slips.append(str(error)))
        page.on("console", lambda it: self.slips.append(it.text) if "Content Security" in it.text else None)

    def open(self, source: Any, operation: str, **values: Any) -> Tab:
        self.page.goto(kit.form(source, operation, values).url)
        return self

    def field(self, name: str) -> Any:
        return self.page.get_by_label(re.compile(rf"^{re.escape(name)}\b"))

    def send(self, name: str = "Send") -> str:
        self.page.get_by_role("button", name=name, exact=True).click()
        state = self.page.get_by_role("status").filter(has_text="Answered")
        expect(state).to_be_visible()
        return state.inner_text()

    def answer(self) -> Any:
        return json.loads(self.page.get_by_role("region", name="The answer of").inner_text())

    def written(self, name: str) -> str:
        self.page.get_by_role("button", name=name, exact=True).click()
        return self.page.get_by_role("region", name=f"The call as {name.lower()}").inner_text()

    def findings(self) -> list[str]:
        """What axe-core finds, of any weight."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        violations = axe.run(self.page).response["violations"]
        return [f"{it['id']}: {node['html']}" for it in violations for node in it["nodes"]]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    made = Tab(context.new_page())
    yield made
    ran = made.page.evaluate("window.ran")
    context.close()
    assert made.slips == []
    assert ran is None


# -- fields of any schema -------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench(browser: Browser) -> Iterator[Page]:
    """A blank page with the scripts, in which forms are made of schemas."""
    page = browser.new_page()
    script = _script().partition("const docs = ")[0]
    page.set_content("<body></body>")
    page.add_script_tag(content=f"{script} window.kit = {{ dom, fields, form, written, direct }};")
    yield page
    page.close()


MAKE = """all => all.map(about => {
    const made = new kit.form.OperationForm(about, () => {});
    return [made.form.querySelectorAll("input, select, textarea").length, made.root.usesJson];
})"""
FILL = """all => all.map(([about, text]) => {
    const made = new kit.form.OperationForm(about, () => {});
    made.root.fill(kit.dom.jsonValue(text));
    const seen = made.root.problems().map(([slot, words]) => `${slot.title} ${words}`);
    return [kit.dom.jsonText(made.read(), 0), seen, made.root.usesJson];
})"""


@each_run
def test_every_operation_of_every_document_has_a_form(bench: Page, run: str) -> None:
    """And what its schema allows can be filled in: it is read again as it was, and nothing is wrong with it."""
    files = list(documents(run))
    files = files[:: max(1, len(files) // 100)]
    made = json_only = filled = 0
    for file in files:
        try:
            plugin = kit.install(file, base_url="https://api.example.com")
        except kit.KitError:
            continue
        tools = list(plugin.by_name.values())[:40]
        forms = [about(tool) for tool in tools]
        made += len(bench.evaluate(MAKE, forms))
        given = []
        for tool, form in zip(tools[:10], forms, strict=False):
            try:
                value = arguments(tool.parameters, seed=len(given))
            except (NoValue, KeyError, RecursionError):
                continue
            if not any(it.get("format") == "binary" for it in form["schema"]["properties"].values()):
                given.append((form, json.dumps(value)))
        for (form, text), (read_again, seen, uses_json) in zip(
            given, bench.evaluate(FILL, given), strict=True
        ):
            assert json.loads(read_again) == json.loads(text), (file.name, form["operation"])
            filled += 1
            assert seen == [] or "" in _texts(json.loads(text)), (file.name, form["operation"], seen)
            json_only += uses_json
    assert made >= {"own": 30, "corpus": 450}[run]
    assert filled >= {"own": 25, "corpus": 300}[run]
    assert json_only <= filled // 10  # where a schema says what no field can show


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value. An empty one is what a form calls missing, until one sends it anyway."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


SCHEMAS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "string"}, ["", "a", "two\nlines", "\r", "\ud800", " spaces "]),
    ({"type": ["string", "null"]}, ["", None, "null"]),
    (
        {"type": "string", "format": "date-time"},
        ["2024-02-29T12:34:56Z", "2024-02-29T12:34:56+02:00", "soon"],
    ),
    ({"type": "string", "format": "date"}, ["2024-02-29", "tomorrow"]),
    ({"type": "string", "format": "time"}, ["12:34:56", "12:34:56Z"]),
    ({"type": "integer"}, [0, -1, 2**63, -(2**70), 10**20]),
    ({"type": "number"}, [0.1, -2.5, 1e300, 3]),
    ({"type": ["integer", "string"]}, [5, "5", ""]),
    ({"enum": ["a", 1, None, True, {"x": []}]}, ["a", 1, None, True, {"x": []}]),
    ({"const": "only"}, ["only"]),
    ({"type": "boolean"}, [True, False]),
    ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, [True, False, None]),
    ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[], [[]], [[1], [2, 3]]]),
    (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        [["a", 1], ["a"], ["a", 1, {}]],
    ),
    ({"type": ["array", "null"], "items": {"type": "string"}}, [[], None, ["", "a"]]),
    ({"type": "object"}, [{}, {"a": [1, {"b": None}]}]),
    ({}, [None, 0, "", [], {"a": 1}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"a": 1, "": 2, "__proto__": 3}]),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "additionalProperties": {"type": "integer"},
        },
        [{}, {"a": "x"}, {"a": "x", "b": 1}],
    ),
    (
        {"type": "object", "properties": {"a": {"type": "string"}}},
        [{}, {"a": ""}, {"a": "x", "b": 1}, {"a": 5}],
    ),
    (
        {"$ref": "#/$defs/Node"},
        [{"value": 1}, {"value": 1, "next": {"value": 2, "next": {"value": 3}}, "all": [{"value": 4}]}],
    ),
    (
        {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": kind}, kind: {"type": "integer"}},
                    "required": ["kind"],
                }
                for kind in ("cat", "dog")
            ]
        },
        [{"kind": "cat"}, {"kind": "dog", "dog": 1}],
    ),
    (
        {
            "allOf": [
                {"$ref": "#/$defs/Node"},
                {"properties": {"more": {"type": "string"}}, "required": ["more"]},
            ]
        },
        [{"value": 1, "more": "x"}],
    ),
    ({"type": "string", "not": {"const": "a"}}, ["b"]),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, ["a", 1]),
    ({"type": "object", "minProperties": 1, "patternProperties": {"^x": {"type": "string"}}}, [{"xa": "b"}]),
]
NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["value"],
}


@pytest.mark.parametrize("required", [True, False])
def test_whatever_a_schema_allows_has_a_place_in_its_form(bench: Page, required: bool) -> None:
    given = []
    for schema, values in SCHEMAS:
        parameters = {
            "type": "object",
            "properties": {"it": schema},
            "required": ["it"] if required else [],
            "$defs": {"Node": NODE},
        }
        form = {
            "operation": "try",
            "text": "",
            "schema": parameters,
            "places": {},
            "secret": [],
            "values": {},
        }
        given += [(form, json.dumps({"it": value})) for value in values]
        given += [] if required else [(form, "{}")]
    for (form, text), (again, _, _) in zip(given, bench.evaluate(FILL, given), strict=True):
        assert json.loads(again) == json.loads(text), form["schema"]["properties"]


# -- one form, as a person uses it ------------------------------------------------------------


def test_filled_in_sent_and_answered(tab: Tab, server: kit.Server) -> None:
    tab.open(server, "add_todo", user="sam")
    page = tab.page
    expect(tab.field("user")).to_have_value("sam")
    expect(tab.field("text")).to_have_value("buy milk")  # its example
    expect(page.get_by_text("What there is to do")).to_be_visible()
    tab.field("due").fill("2026-12-24")
    tab.field("priority").select_option("high")
    tab.field("count").fill("3")
    for word in ("home", "shop"):
        page.get_by_role("button", name="Add to tags").click()
        page.keyboard.type(word)
    page.get_by_role("button", name="Remove tags 1").click()
    page.get_by_role("button", name="Add home").click()
    page.keyboard.type("Elm Street")
    tab.field("code").fill("12345")
    page.get_by_label("Kind of pet").select_option("Dog")
    page.get_by_role("button", name="Add to tricks").click()
    page.keyboard.type("roll")
    tab.field("extra").fill('{"big": 12345678901234567890}')
    page.get_by_role("button", name="Add to counts").click()
    page.keyboard.type("eggs")
    page.keyboard.press("Tab")
    page.keyboard.type("12")
    assert tab.findings() == []
    assert re.fullmatch(r"✓ Answered: 201, \d+ ms", tab.send())
    answer = tab.answer()
    assert answer.pop("extra") == {"big": 12345678901234567890}
    assert answer == {
        "text": "buy milk", "due": "2026-12-24", "tags": ["shop"], "home": {"street": "Elm Street", "code": "12345"},
        "pet": {"kind": "dog", "tricks": ["roll"]}, "counts": {"eggs": 12}, "parts": [],
        "user": "sam", "priority": "high", "trace": None,
    }  # fmt: skip
    assert server.calls[-1].path == "/sam/todos?priority=high&count=3"
    assert tab.findings() == []


def test_what_does_not_fit_is_said_at_its_field_and_can_be_sent_anyway(tab: Tab, server: kit.Server) -> None:
    tab.open(server, "add_todo", user="sam", home={"street": "Elm Street", "code": "1"})
    before = len(server.calls)
    tab.field("text").fill("")
    tab.field("count").fill("11")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("alert").filter(has_text="3 values do not fit")).to_be_visible()
    first = tab.field("count")
    expect(first).to_be_focused()
    assert first.get_attribute("aria-invalid") == "true"
    expect(first).to_have_accessible_description("count must be at most 10, not 11")
    expect(tab.field("code")).to_have_accessible_description(
        re.compile("Five digits code must match the pattern")
    )
    assert tab.findings() == []
    first.fill("9")
    expect(first).not_to_have_attribute("aria-invalid", "true")  # while one corrects it
    tab.field("text").fill("x")
    tab.field("code").fill("12345")
    # what only the process can check, by the whole schema
    tab.field("due").evaluate("it => { it.type = 'text'; it.value = '24 December' }")
    tab.page.get_by_role("button", name="Send", exact=True).click()
    tab.page.get_by_role("alert").filter(has_text="does not fit").or_(
        tab.page.get_by_role("status").filter(has_text="Answered")
    ).wait_for()
    assert len(server.calls) in (before, before + 1)
    tab.field("count").fill("11")
    tab.page.get_by_role("button", name="Send", exact=True).click()
    assert "422" in tab.send("Send anyway")
    expect(tab.field("count")).to_have_accessible_description(
        re.compile("was refused: Input should be less than or equal to 10")
    )
    expect(tab.field("due")).to_have_accessible_description(
        re.compile("was refused: Input should be a valid date")
    )
    expect(tab.field("count")).to_be_focused()
    assert "  status: 422\n" in tab.written("Case") + "\n"


def test_pictures_and_files(tab: Tab, server: kit.Server) -> None:
    tab.open(server, "picture").send()
    picture = tab.page.get_by_role("img", name="The picture that picture answered")
    assert picture.evaluate("it => it.naturalWidth") == 1
    tab.open(server, "upload")
    tab.field("file").set_input_files({"name": "café.txt", "mimeType": "text/plain", "buffer": b"12345"})
    tab.send()
    assert tab.page.get_by_role("region", name="The answer of").inner_text() == "café.txt: 5 bytes, no note"
    assert 'file=Path("café.txt")' in tab.written("Code")
    assert tab.findings() == []


def test_the_call_as_code_as_a_test_and_as_a_case(tab: Tab, server: kit.Server, tmp_path: Any) -> None:
    """Each runs, and none has a secret."""
    tab.open(server, "things", words=["a b", "'\"", "\u202e"], big=2**60 + 1)
    tab.send()
    made: dict[str, Any] = {}
    exec(
        tab.written("Code")
        + "result = "
        + re.findall(r"^plugin\.call.*", tab.written("Code"), re.M | re.S)[0],
        made,
    )
    assert made["result"].data == {"words": ["a b", "'\"", "\u202e"], "big": 2**60 + 1, "flag": False}
    tested: dict[str, Any] = {}
    text = tab.written("Test")
    exec(text, tested)
    tested["test_things"]()
    assert ".expect(200, {" in text
    tab.open(server, "add_todo", user="sam", password="hunter2", home={"street": "a", "code": "12345"})
    tab.send()
    (tmp_path / "cases.yaml").write_text(tab.written("Case"))
    (case,) = read(tmp_path / "cases.yaml")
    (call,) = case.turns[0].calls or ()
    assert call.operation == "add_todo"
    assert call.arguments["home"] == {"street": "a", "code": "12345"}
    assert case.turns[0].say.startswith("Add a todo: user 'sam'")
    code = tab.written("Code")
    assert 'password=os.environ["PASSWORD"]' in code
    shown = tab.page.locator(".written").inner_text() + tab.written("Test") + tab.written("Case")
    assert "hunter2" not in shown + code + tab.page.locator("details").first.inner_text()


def test_a_secret_is_in_nothing_that_is_written(tab: Tab, server: kit.Server) -> None:
    for address in (kit.form(server, "keys").url, f"{server.url}/docs#keys"):
        tab.page.goto(address)
        field = tab.field("api_key")
        assert field.get_attribute("type") == "password"
        field.fill("hunter 2")
        tab.send()
        text = "".join(tab.written(name) for name in ("Code", "Test", "Case"))
        assert (
            "hunter"
            not in text + tab.page.locator("details details, .operation > div > details").first.inner_text()
        )
        assert 'api_key=os.environ["API_KEY"]' in text
        assert '.expect(200, {"token": ..., "name": "a key"})' in text


def test_a_token_is_typed_in_and_never_written(tab: Tab) -> None:
    plugin = kit.Plugin(
        "safe", description_for_model="Has a token.", auth=kit.ServiceHttp(tokens="s3cret-token")
    )

    @plugin.get("/secret")
    def whisper() -> str:
        return "psst"

    tab.open(plugin, "whisper")
    assert "401" in tab.send()
    tab.open(plugin, "whisper")
    tab.page.get_by_label("Token").fill("s3cret-token")
    assert "200" in tab.send()
    everything = tab.page.content() + "".join(tab.written(name) for name in ("Code", "Test", "Case"))
    assert "s3cret" not in everything
    assert 'auth=os.environ["KIT_TOKEN"]' in tab.written("Code")


def test_in_a_cell_and_in_a_notebook_that_is_opened_again(
    tab: Tab, server: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data["text/html"]))
    kit.form(server, "picture")._ipython_display_()
    tab.page.goto(f"{server.url}/legal")  # any page of this machine, as JupyterLab's is
    draw = "html => { document.body.innerHTML = html }"
    with tab.page.expect_response(re.compile("static/tryout.js")):
        tab.page.evaluate(draw, shown[0])
    (frame,) = (it for it in tab.page.frames if "/form?" in it.url)
    frame.get_by_role("button", name="Send", exact=True).click()
    frame.get_by_role("img", name="The picture that picture answered").wait_for()
    tab.page.evaluate(draw, re.sub(r"127.0.0.1:\d+", "127.0.0.1:1", shown[0]))
    expect(tab.page.get_by_text("run this cell to try it")).to_be_visible()


# -- /docs ----------------------------------------------------------------------------------------


def test_docs_has_a_form_for_each_operation_and_calls_it_from_the_browser(
    tab: Tab, server: kit.Server
) -> None:
    page, asked = tab.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/docs#things")
    section = page.locator("#things")
    section.get_by_role("button", name="Remove words 1").click()
    for word in ("a&b", "c d"):
        section.get_by_role("button", name="Add to words").click()
        page.keyboard.type(word)
    page.keyboard.press("Enter")
    expect(section.get_by_role("status")).to_have_text(re.compile("✓ Answered: 200 OK"))
    assert json.loads(section.get_by_role("region", name="The answer of").inner_text()) == {
        "words": ["a&b", "c d"], "big": 2**60, "flag": False,
    }  # fmt: skip
    assert tab.findings() == []
    page.get_by_text("/{user}/todos").click()
    section = page.locator("#add_todo")
    section.get_by_label(re.compile("^user")).fill("../sam")
    section.get_by_label(re.compile("^x-trace")).fill("7")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("status")).to_have_text(re.compile("404|201"))
    section.get_by_label(re.compile("^user")).fill("sam & co")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("status")).to_have_text(re.compile("✓ Answered: 201"))
    answer = json.loads(section.get_by_role("region", name="The answer of").inner_text())
    assert (answer["user"], answer["trace"], answer["text"]) == ("sam & co", "7", "buy milk")
    page.locator("#upload summary").first.click()
    section = page.locator("#upload")
    section.get_by_label(re.compile("^file")).set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"123"}
    )
    section.get_by_label(re.compile("^note")).fill("hello")
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("region", name="The answer of")).to_have_text("a.txt: 3 bytes, hello")
    page.locator("#picture summary").first.click()
    page.locator("#picture").get_by_role("button", name="Send").click()
    expect(page.get_by_role("img", name="The picture that picture answered")).to_be_visible()
    assert {url.split("/")[2] for url in asked if not url.startswith(("data:", "blob:"))} == {
        server.url.split("/")[2]
    }


def test_docs_takes_a_token(tab: Tab) -> None:
    plugin = kit.Plugin(
        "safe", description_for_model="Has a token.", auth=kit.ServiceHttp(tokens="s3cret-token")
    )

    @plugin.get("/secret")
    def whisper() -> str:
        return "psst"

    with kit.serve(plugin) as server:
        tab.page.goto(f"{server.url}/docs")
        tab.page.get_by_label("Token").fill("s3cret-token")
        assert "200" in tab.send()
        assert "s3cret" not in tab.page.content()
