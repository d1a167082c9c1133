"""The libraries that the page brings along: each as npm has it, with its licence, and served."""

from __future__ import annotations

import hashlib
import json

import httpx2

from kit.web.page import LocalChatGPT
from kit.web.requests import BUNDLED

PACKAGES = json.loads((BUNDLED / "packages.json").read_text(encoding="utf-8"))


def test_each_library_is_as_npm_has_it(page: LocalChatGPT) -> None:
    parts = [package[kind] for package in PACKAGES for kind in ("file", "license")]
    assert {it.name for it in BUNDLED.iterdir()} == {part["as"] for part in parts} | {"packages.json"}
    for part in parts:
        content = (BUNDLED / part["as"]).read_bytes()
        # npm pack gives the same: `python tests/bundled.py`
        assert hashlib.sha256(content).hexdigest() == part["sha256"], part["as"]
        answer = httpx2.get(f"http://127.0.0.1:{page.port}/static/{part['as']}")
        assert (answer.status_code, answer.content == content) == (
            (200, True) if part["as"].endswith(".js") else (404, False)
        )
    assert {package["terms"] for package in PACKAGES} <= {"MIT", "BSD-3-Clause"}
    assert sum(len((BUNDLED / package["file"]["as"]).read_bytes()) for package in PACKAGES) < 450_000
