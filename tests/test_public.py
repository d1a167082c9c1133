"""The public names, what importing them costs, and errors that carry their facts."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import kit
from kit import errors

EVERY = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_survives_pickling_with_its_facts(kind: type[kit.KitError]) -> None:
    error = kind("It is broken.", "Mend it.", source="somewhere")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "It is broken.\nMend it."
    assert (again.problem, again.remedy, again.source) == ("It is broken.", "Mend it.", "somewhere")


def test_every_error_is_public_and_in_the_drawn_tree() -> None:
    for kind in EVERY:
        assert getattr(kit, kind.__name__) is kind
        assert kind.__name__ in (errors.__doc__ or "")


def test_every_public_name_is_there_and_documented() -> None:
    for name in kit.__all__:
        assert getattr(kit, name).__doc__, name
    assert sorted(kit.__all__) == kit.__all__
    assert set(kit.__all__) <= set(dir(kit))
    with pytest.raises(AttributeError, match="no attribute 'serv'"):
        kit.serv  # noqa: B018


def test_importing_kit_imports_nothing_heavy() -> None:
    heavy = (
        "fastapi",
        "openai",
        "uvicorn",
        "httpx2",
        "IPython",
        "mcp",
        "langchain",
        "yaml",
        "jsonschema",
        "typer",
    )
    code = f"import sys, kit; kit.NoAuth; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
