"""Where specs are: the address itself decides, and a host that answers everything ends no search."""

from __future__ import annotations

from typing import Any

import pytest
from strangers import Stranger, manifest, openapi

import kit

PAGE = (200, {"content-type": "text/html"}, "<!doctype html><html></html>")


class Everywhere(dict[str, Any]):
    """Pages of a host that answers every other address with one of its own."""

    def get(self, path: Any, default: Any = None) -> Any:
        return super().get(path, PAGE)


@pytest.mark.parametrize(
    "path",
    ["/v3/api-docs", "/api-json", "/api/schema/", "/swagger/v1/swagger", "/schema?format=json", "/openapi.json?v=1"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [dict, Everywhere])
def test_a_spec_is_found_at_its_own_address(path: str, kind: type[dict[str, Any]]) -> None:
    spec = (200, {}, openapi())
    pages = kind({path: spec, path.partition("?")[0]: spec})
    with Stranger(pages) as stranger:
        assert kit.install(stranger.url + path).tool_names == ["list_things"]


def test_a_manifest_is_found_at_an_address_without_an_ending() -> None:
    with Stranger(
        {"/plugin": (200, {}, manifest("/spec.json")), "/spec.json": (200, {}, openapi())}
    ) as stranger:
        assert kit.install(f"{stranger.url}/plugin").manifest.problems != []


@pytest.mark.parametrize("path", ["", "/", "/app", "/app/"])
def test_a_host_that_answers_everything_with_a_page_does_not_end_the_search(path: str) -> None:
    pages = Everywhere({f"{path.rstrip('/')}/openapi.json": (200, {}, openapi())})
    with Stranger(pages) as stranger:
        plugin = kit.install(stranger.url + path)
        assert plugin.tool_names == ["list_things"]
        assert "is an HTML or XML page" in plugin.problems[0][1]


def test_a_spec_at_the_root_of_a_host_is_found_last() -> None:
    with Stranger({"/": (200, {}, openapi())}) as stranger:
        assert kit.install(stranger.url).tool_names == ["list_things"]


def test_the_error_lists_what_was_tried() -> None:
    pages = Everywhere({"/x/openapi.json": (500, {}, "")})
    with Stranger(pages) as stranger, pytest.raises(kit.InstallError) as caught:
        kit.install(f"{stranger.url}/x?format=json")
    assert caught.value.problem.splitlines()[1:] == [
        f"  {stranger.url}/x?format=json is an HTML or XML page, not JSON or YAML: '<!doctype html><html></html>'",
        f"  {stranger.url}/x/.well-known/ai-plugin.json is an HTML or XML page, not JSON or YAML: '<!doctype html><html></html>'",
        f"  {stranger.url}/x/.well-known/openapi.json is an HTML or XML page, not JSON or YAML: '<!doctype html><html></html>'",
        f"  {stranger.url}/x/.well-known/openapi.yaml is an HTML or XML page, not JSON or YAML: '<!doctype html><html></html>'",
        f"  {stranger.url}/x/openapi.json answers 500",
        f"  {stranger.url}/x/openapi.yaml is an HTML or XML page, not JSON or YAML: '<!doctype html><html></html>'",
    ]
