"""Any FastAPI app can be served: its title becomes legal names, and what the document leaves out is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

import kit
from kit.manifest import LIMITS, legal_name
from kit.plugin.app import MOUNTED


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Übersicht der Züge", "ubersicht_der_zuge"),
        ("Straßenbahn", "strassenbahn"),
        ("天气服务", "plugin"),
        ("***", "plugin"),
        ("Payments and Invoicing Service of the Example Company", "payments_and_invoicing_service_of_the_example_comp"),
        ("Ünï " * 40, ("uni_" * 40)[:50].strip("_")),
        ("2048 API", "2048_api"),
    ],
)  # fmt: skip
def test_an_app_of_any_title_is_wrapped(title: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = FastAPI(title=title, description="word " * 3000)
    plugin = kit.Plugin.wrap(app)
    assert plugin.manifest.name_for_model == name
    assert plugin.manifest.violations() == []
    assert plugin.manifest.name_for_human[:5] == title.strip()[:5]
    assert (repr(name) in capsys.readouterr().err) is (title not in ("***", "2048 API") or name == "plugin")


@pytest.mark.parametrize("wrong", ["天气", "a b", "ü", "-", "x" * 60 + "!", "_" * 60 + "é", ""])
def test_the_name_that_a_remedy_proposes_is_legal(wrong: str) -> None:
    with pytest.raises(kit.ManifestError) as caught:
        kit.Plugin(wrong, description_for_model="x")
    for proposed in re.findall(r"'([^']*)' is legal", caught.value.problem):
        kit.Plugin(proposed, description_for_model="x")
    assert re.fullmatch(r"\w+", legal_name(wrong), re.ASCII)
    assert len(legal_name(wrong)) <= LIMITS["name_for_model"]


def test_operations_that_yield_make_the_document_3_2() -> None:
    plugin = kit.Plugin("rows", description_for_model="x")

    @plugin.get("/plain")
    def plain() -> int:
        return 1

    assert plugin.openapi()["openapi"] == "3.1.0"

    @plugin.get("/rows")
    def rows() -> Iterator[int]:
        yield 1

    assert plugin.openapi()["openapi"] == "3.2.0"
    assert kit.install(plugin).spec.version == "3.2"


@pytest.mark.parametrize("is_stacked", [True, False])
def test_of_one_function_the_get_has_the_plain_name(is_stacked: bool) -> None:
    plugin = kit.Plugin("items", description_for_model="x")

    def item(number: int) -> int:
        return number

    if is_stacked:
        plugin.delete("/items/{number}")(item)
        plugin.get("/items/{number}")(item)
    else:
        plugin.api_route("/items/{number}", methods=["GET", "DELETE"])(item)
    names = {name: operation.method for name, operation in plugin.spec.operations.items()}
    assert names == {"item": "GET", "item_delete_items_number": "DELETE"}


def test_mounted_applications_are_told_and_files_are_not(tmp_path: Any) -> None:
    plugin, inner = kit.Plugin("outer", description_for_model="x"), FastAPI()

    @inner.get("/ping")
    def ping() -> str:
        return "pong"

    plugin.mount("/inner", inner)
    plugin.mount("/files", StaticFiles(directory=tmp_path))
    assert plugin.spec.problems == [("/paths/~1inner", MOUNTED)]
    assert ("/paths/~1inner", MOUNTED) in kit.install(plugin).problems
    assert ("/paths/~1inner", MOUNTED) in kit.Plugin.wrap(_with(inner)).spec.problems


def _with(inner: FastAPI) -> FastAPI:
    app = FastAPI(title="App")
    app.mount("/inner", inner)
    return app
