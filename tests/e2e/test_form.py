"""The form to try an operation, in a real Chromium: made of any schema, used by keyboard, sent, answered, taken along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
import yaml
from arguments import NoValue, arguments
from collection import documents
from fastapi import Body, Form, Header, Query, Response, UploadFile
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

    @plugin.put("/even")
    def even(number: Annotated[int, Body(embed=True)]) -> int:
        if number % 2:
            raise kit.Forbidden("odd numbers are refused")
        return number

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


@pytest.mark.parametrize("run", ["own", "corpus"])
def test_every_operation_of_every_document_has_a_form(bench: Page, run: str) -> None:
    """And what its schema allows can be filled in: it is read again as it was, and nothing is wrong with it."""
    files = list(documents(run))
    files = files[:: max(1, len(files) // 100)]
    made = json_only = filled = wrong = 0
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
            wrong += bool(seen)
            json_only += uses_json
    print(run, made, filled, wrong, json_only)
    assert made >= {"own": 30, "corpus": 450}[run]
    assert filled >= {"own": 25, "corpus": 300}[run]
