"""`/docs` of a plugin: a form for each operation, in the place of FastAPI's page, which is blank without the internet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.openapi.spec import Spec

if TYPE_CHECKING:
    from kit.plugin.app import Plugin

PATH = "/docs"
# Who gives one of these wants FastAPI's own pages, or none.
_OWN = {"docs_url", "swagger_ui_parameters", "swagger_ui_init_oauth", "swagger_ui_oauth2_redirect_url"}


def fastapi_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `FastAPI` is given, so that its pages are served only if their author asked for them by its options."""
    pages = {} if options.keys() & _OWN else {"docs_url": None}
    return {**pages, "redoc_url": None, **options}


def has_form(options: Mapping[str, Any]) -> bool:
    """Whether a plugin with these options of FastAPI has the form: not without a public spec, nor with a page of its own."""
    return not options.keys() & _OWN and bool(options.get("openapi_url", True))


class FormPage:
    """The page, made again when an operation has changed."""

    def __init__(self, plugin: Plugin, path: str = PATH) -> None:
        self._plugin, self._path = plugin, path
        self._made: tuple[Any, bytes] = (None, b"")

    def __call__(self, base: str) -> bytes:
        """The page; it is the same for whoever sees the plugin at `base`."""
        from kit.forms.page import docs  # late: most servers never show it

        document = self._plugin.openapi()
        if self._made[0] is not document:
            spec = Spec(document, source=base)
            self._made = document, docs(spec, self._plugin.manifest.name_for_human, self._path)
        return self._made[1]
