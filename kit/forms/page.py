"""The pages with forms: one file each, with nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from kit.forms.form import about, authorization
from kit.markup import escape
from kit.openapi.spec import Spec
from kit.tools.tool import make_tools

STATIC = Path(__file__).parent / "static"
_MODULES = (
    "dom",
    "schemas",
    "controls",
    "fields",
    "written",
    "form",
    "direct",
    "docs",
)  # each imports only those before it
_STYLES = ("base.css", "form.css")
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function\b)\*? *([\w$]+))", re.MULTILINE)
_IMPORT = re.compile(r'^import \{(.*?)\} from "\./(\w+)\.js";$', re.MULTILINE)


def docs(spec: Spec, title: str, path: str) -> bytes:
    """The page with a form for every operation of the plugin that serves it at `path`.

    It calls the operations from the browser. A token that is typed in stays in the page's memory.
    """
    operations = []
    for tool in make_tools(spec).values():
        auth = authorization(tool.operation)
        basic = any(it["scheme"] == "basic" for it in auth)
        wants = ("User and password, as user:password" if basic else "Token") if auth else ""
        operations.append({**about(tool), "auth": auth, "wants": wants})
    script, style = _script(), _style()
    # Only what is in this very page: a script in a text of the spec would not run even if it got into the page.
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    head = f'<meta http-equiv="content-security-policy" content="{policy}"><style>{style}</style>'
    data = {"operations": operations, "path": path}
    return _page(title, head, data, f'<script type="module">{script}</script>')


def one(data: dict[str, Any], title: str, script: str, styles: Iterable[str]) -> bytes:
    """The page of one form, which `script` draws: addresses beside its own, as are `styles`."""
    links = "".join(f'<link rel="stylesheet" href="{it}">' for it in styles)
    return _page(title, links, data, f'<script type="module" src="{script}"></script>')


def _page(title: str, head: str, data: dict[str, Any], script: str) -> bytes:
    written = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = written.replace("<", "\\u003c").encode("utf-8", "backslashreplace").decode()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,">{head}</head><body class="one"><main><h1>{escape(title)}</h1>'
        f'<div id="operations"></div></main><script type="application/json" id="about">{safe}</script>'
        f"{script}</body></html>"
    ).encode()


@cache
def _style() -> str:
    return "".join((STATIC / name).read_text(encoding="utf-8") for name in _STYLES)


@cache
def _script() -> str:
    """The modules of `static/` as one script: each is a function that gives what it exports."""
    parts = []
    for name in _MODULES:
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        exports = ", ".join(_EXPORT.findall(text))
        body = _IMPORT.sub(r"const {\1} = \2;", _EXPORT.sub("", text))
        parts.append(f"const {name} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();\n")
    return "".join(parts).replace("</script", "<\\/script")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
