"""Fixtures that several tests use: a TODO plugin, a server for it, a kernel, OpenAI's own API description."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oracles
import pytest
from hypothesis import HealthCheck, settings
from kernel import Kernel
from paths import SHARED
from postgres import postgres, url  # noqa: F401

import kit
from kit.demo import make_plugin

# A shell makes its background jobs ignore Ctrl+C, and the servers of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What comes with LangChain takes 1.6 s of processor in each pytest, and in those that the tests start themselves.
os.environ.setdefault("PYTEST_ADDOPTS", "-p no:langsmith_plugin")

# The same cases in each run; `HYPOTHESIS_PROFILE=long` looks for new ones, as many as `KIT_EXAMPLES` says.
_ANY_MACHINE = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
settings.register_profile("same", max_examples=60, derandomize=True, **_ANY_MACHINE)
settings.register_profile("long", max_examples=int(os.environ.get("KIT_EXAMPLES", "2000")), **_ANY_MACHINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# For the notebooks: a chat whose call fails, or that calls nothing where its cell does not say so, is an error.
os.environ.setdefault("KIT_STRICT", "1")
os.environ.setdefault("KIT_MODEL", "understudy")

# The files that start browsers, kernels, databases and other processes, or read the whole corpus; the longest
# first, so that no worker starts one of them when the other is about to finish.
SLOW = (
    "lab",
    "corpus",
    "chatgpt_page",
    "form",
    "export",
    "lambda",
    "kernel",
    "export_errors",
    "export_auth",
    "auth",
    "endurance",
    "export_stopped",
    "project",
    "databases",
    "workers",
    "cli",
    "hotswap",
    "shutdown",
    "mcp",
    "containers",
    "notebook",
    "schemathesis",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}.py": place for place, name in enumerate(SLOW)}
    for item in items:
        if item.path.name in rank or item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
    # then the notebooks, then the quick files: only short ones are left at the end
    items.sort(key=lambda item: rank.get(item.path.name, len(SLOW) + (item.path.suffix != ".ipynb")))


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests never reach a real model, whatever is in the environment."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_MODEL",
        "KIT_MODEL",
        "KIT_STRICT",
        "KIT_BROWSER_URL",
        "JUPYTERHUB_SERVICE_PREFIX",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def todo() -> kit.Plugin:
    return make_plugin()


@pytest.fixture
def server(todo: kit.Plugin) -> Iterator[kit.Server]:
    with kit.serve(todo) as running:
        yield running


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as running:
        yield running


@pytest.fixture(scope="session")
def understudy() -> Iterator[Any]:
    from kit import understudy

    with understudy.serve() as running:
        yield running


def shared(*parts: str) -> Path | None:
    """A file of the corpus beside the checkout, or None without the corpus, which only some tests need."""
    path = SHARED.joinpath(*parts)
    return path if path.exists() else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if shared("corpus") is None:
        terminalreporter.write_line(
            "no corpus at ../shared: only the documents of tests/support/collection.py were read"
        )


@pytest.fixture(scope="session")
def openai_schemas() -> OpenAISchemas:
    return OpenAISchemas(shared("corpus", "schemas", "openai-openapi.yaml"))


class OpenAISchemas:
    """Validates by the types of the package `openai`, and by OpenAI's API description if it is available."""

    def __init__(self, path: Path | None) -> None:
        self._registry: Any = None
        if path is None:
            return
        import yaml
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT202012

        # Parsing 3 MB of YAML takes seconds: done once for each version of the file.
        stat = path.stat()
        cache = (
            Path(tempfile.gettempdir())
            / f"openai-openapi-2-{os.getuid()}-{stat.st_size}-{int(stat.st_mtime)}.pickle"
        )
        if cache.exists():
            document = pickle.loads(cache.read_bytes())
        else:
            document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            _allow_null(document)
            cache.write_bytes(pickle.dumps(document))
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:openai", resource)

    def errors(self, component: str, value: Any) -> list[str]:
        """The errors of `value` as the component of that name."""
        from jsonschema import Draft202012Validator

        errors = oracles.errors(oracles.strict(oracles.OPENAI[component]), value)
        if self._registry is not None:
            reference = {"$ref": f"urn:openai#/components/schemas/{component}"}
            errors += oracles.errors(Draft202012Validator(reference, registry=self._registry), value)
        return errors


def _allow_null(document: Any) -> None:
    """The description is OpenAPI 3.1, but still uses `nullable` in some places, such as `finish_reason`."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            if node.get("nullable") is True and isinstance(node.get("type"), str):
                node["type"] = [node["type"], "null"]
                if "enum" in node:
                    node["enum"] = [*node["enum"], None]
