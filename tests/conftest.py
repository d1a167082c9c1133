"""Fixtures that several tests use: a TODO plugin, a server for it, a kernel, OpenAI's own API description."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from kernel import Kernel
from openaischemas import OpenAISchemas
from paths import shared
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

# The files that start browsers, kernels, databases and other processes, or read the whole corpus; the longest
# first, so that no worker starts one of them when the other is about to finish.
SLOW = (
    "lab",
    "corpus",
    "chatgpt_page",
    "page_text",
    "form",
    "export",
    "lambda",
    "readme_commands",
    "exported_settings",
    "lambda_build",
    "kernel",
    "export_errors",
    "export_again",
    "new_for_real",
    "proof",
    "export_auth",
    "auth",
    "endurance",
    "export_stopped",
    "served",
    "deploy_places",
    "exported_chats",
    "project",
    "migrations",
    "databases",
    "away",
    "repeats",
    "workers",
    "behind_proxies",
    "metrics",
    "listening",
    "cli",
    "hotswap",
    "shutdown",
    "mcp",
    "microsoft",
    "mcp_asking",
    "containers",
    "connections",
    "notebook",
    "tape_notebooks",
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
        "KIT_TAPES",
        "KIT_RECORD",
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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if shared("corpus") is None:
        terminalreporter.write_line(
            "no corpus at ../shared: only the documents of tests/support/collection.py were read"
        )


@pytest.fixture(scope="session")
def openai_schemas() -> OpenAISchemas:
    return OpenAISchemas(shared("corpus", "schemas", "openai-openapi.yaml"))
