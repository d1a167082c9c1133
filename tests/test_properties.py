"""Whatever comes in, what comes out is a result or an error of the kit's: for manifests, specs, arguments, notebooks.

The understudy's requests are in understudy/test_requests.py. `HYPOTHESIS_PROFILE=long` tries other cases, and more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anything import ANYTHING, ODD, TEXT, shaped
from hypothesis import assume, example, given
from hypothesis import strategies as st

import kit
from kit.demo import make_plugin
from kit.manifest import Manifest
from kit.notebook.source import Notebook
from kit.openapi.documents import parse, read_json
from kit.openapi.spec import Spec

# -- manifests --------------------------------------------------------------------

FIELDS = {
    "name_for_model": "todo",
    "name_for_human": "TODO",
    "description_for_model": "Keeps todos.",
    "description_for_human": "Keeps todos.",
    "auth": None,
    "logo_url": "/logo.svg",
    "contact_email": "support@example.com",
    "legal_info_url": "https://todo.example.com/legal",
    "public_url": "https://todo.example.com",
    "cors_origins": ("https://chatgpt.com",),
}
MANIFEST = make_plugin().manifest.render("https://todo.example.com")


def shown(manifest: Manifest) -> None:
    json.dumps(manifest.render("https://todo.example.com"))
    assert repr(manifest)
    assert manifest._repr_html_()


@given(fields=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANYTHING)))
@example(fields={"description_for_model": None})
@example(fields={"legal_info_url": {}})
@example(fields={"public_url": {}})
@example(fields={"cors_origins": None})
@example(fields={"cors_origins": "https://chatgpt.com"})
def test_any_fields_are_a_plugin_or_a_manifest_error(fields: dict[str, Any]) -> None:
    given_fields: dict[str, Any] = {**FIELDS, **fields}
    try:
        plugin = kit.Plugin(**given_fields)
    except kit.ManifestError as error:
        assert error.violations
        assert str(error).encode("utf-8", "backslashreplace")
    else:
        shown(plugin.manifest)


@given(document=shaped(MANIFEST))
def test_any_manifest_from_elsewhere_is_read(document: Any) -> None:
    if isinstance(document, dict):
        manifest = Manifest.read(document)
        shown(manifest)
        assert all(isinstance(each, str) for problem in manifest.problems for each in problem)


# -- specs and arguments ------------------------------------------------------------

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "T", "version": "1", "description": "d"},
    "servers": [{"url": "https://todo.example.com/{a}", "variables": {"a": {"default": "v1", "enum": ["v1"]}}}],
    "security": [{"key": []}],
    "paths": {
        "/todos/{user}": {
            "parameters": [{"$ref": "#/components/parameters/user"}],
            "get": {
                "operationId": "list_todos",
                "summary": "List",
                "tags": ["todo"],
                "parameters": [
                    {"name": "q", "in": "query", "style": "form", "explode": True, "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "c", "in": "cookie", "content": {"application/json": {"schema": {"type": "object"}}}},
                ],
                "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}},
            },
            "post": {
                "operationId": "add",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}, "multipart/form-data": {"schema": {"type": "object"}}},
                },
                "responses": {},
            },
        }
    },
    "components": {
        "parameters": {"user": {"name": "user", "in": "path", "required": True, "schema": {"type": ["string", "null"], "pattern": "^a+$"}}},
        "schemas": {"Node": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "child": {"$ref": "#/components/schemas/Node"}}}},
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    },
}  # fmt: skip


@given(document=shaped(SPEC))
def test_any_spec_is_read_or_refused(document: Any) -> None:
    try:
        spec = Spec(parse(json.dumps(document)), source="x")
    except kit.SpecError as error:
        assert str(error).encode("utf-8", "backslashreplace")
        return
    assert spec._repr_html_()
    assert repr(spec).encode("utf-8", "backslashreplace")


@given(text=st.one_of(TEXT, st.binary(max_size=40), st.text("[]{}:,-& *!'\"\n\t#|>a1", max_size=40)))
def test_any_text_is_a_document_or_a_spec_error(text: str | bytes) -> None:
    for read in (parse, read_json):
        try:
            read(text)
        except (kit.SpecError, ValueError) as error:
            assert isinstance(error, kit.SpecError) is (read is parse)


@pytest.fixture(scope="module")
def installed() -> Iterator[kit.InstalledPlugin]:
    with kit.serve(make_plugin()) as server:
        yield kit.install(server)


NAMES = ("username", "number", "todo", "other", "new")


@given(
    operation=st.sampled_from(["add_todo", "list_todos", "delete_todo"]),
    arguments=st.one_of(
        st.fixed_dictionaries({"username": TEXT, "number": ANYTHING, "todo": ANYTHING}),
        st.fixed_dictionaries({"username": TEXT, "todo": TEXT}),
        st.dictionaries(st.sampled_from(NAMES), ANYTHING),
    ),
)
def test_any_arguments_are_sent_or_refused(
    installed: kit.InstalledPlugin, operation: str, arguments: dict[str, Any]
) -> None:
    assume("\\ud800" not in ascii(arguments))
    try:
        result = installed.call(operation, **arguments)
    except kit.KitError:
        return
    assert result.status is None or result.status < 500
    json.dumps(result.for_model())
    assert repr(result)
    assert result._repr_html_()


# -- notebooks ------------------------------------------------------------------------

CELL = {"cell_type": "code", "id": "a", "metadata": {}, "source": ["#| export\n", "x = 1\n"], "outputs": []}
CODE = st.text("ab=1 \n\t()[]'\"#%!?:|\\\ufeff\x00\ud800\x0c\r\u2028", max_size=30).map(
    lambda text: f"#| export\n{text}"
)


def check(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document))
    try:
        Notebook(path).check()
    except kit.NotebookError as error:
        assert str(error).encode("utf-8", "backslashreplace")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks") / "odd.ipynb"


@given(document=shaped({"cells": [CELL, {**CELL, "source": "%time\nx"}], "metadata": {}, "nbformat": 4}))
def test_any_notebook_is_read_or_refused(path: Path, document: Any) -> None:
    check(path, document)


@given(source=CODE)
def test_any_code_is_read_or_refused(path: Path, source: str) -> None:
    check(path, {"cells": [{**CELL, "source": source}, {**CELL, "source": source[10:]}], "nbformat": 4})


DEEP = [
    "+".join(["1"] * 5000),
    "-" * 5000 + "1",
    "a" + ".b" * 5000,
    "(" * 500 + ")" * 500,
    "[" * 300 + "]" * 300,
]


@pytest.mark.parametrize("source", [*DEEP, *(f"'{text}'" for text in ODD)], ids=lambda text: ascii(text)[:12])
def test_code_that_breaks_readers(path: Path, source: str) -> None:
    check(path, {"cells": [{**CELL, "source": f"#| export\nx = {source}"}], "nbformat": 4})


def test_a_cell_that_begins_with_a_byte_order_mark_is_marked(path: Path) -> None:
    path.write_text(json.dumps({"cells": [{**CELL, "source": "\ufeff#| export\nx = 1"}], "nbformat": 4}))
    assert [cell.source for cell in Notebook(path).exported] == ["#| export\nx = 1"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        (
            "class E(Exception):\n    def __str__(self): raise ValueError\nraise E()",
            "its text cannot be shown",
        ),
        (f"x = {DEEP[0]}", "is too deep"),
    ],
)
def test_what_no_server_should_meet_names_its_cell(path: Path, code: str, words: str) -> None:
    path.write_text(json.dumps({"cells": [{**CELL, "source": f"#| export\n{code}"}], "nbformat": 4}))
    with pytest.raises(kit.NotebookError, match=words) as caught:
        kit.load(path)
    assert caught.value.cell == 1


def test_what_python_itself_gets_wrong_about_depth_is_said_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(source: str) -> None:  # as Python 3.11 now and then does
        raise SystemError("AST constructor recursion depth mismatch (before=150, after=-2276)")

    path.write_text(json.dumps({"cells": [{**CELL, "source": "#| export\nx = 1"}], "nbformat": 4}))
    monkeypatch.setattr("kit.notebook.source.ast.parse", parse)
    with pytest.raises(kit.NotebookError, match="is too deep"):
        Notebook(path).check()
