"""The public names, the cost of importing them, and errors that carry their facts."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import kit
from kit import errors
from kit.hosts import find
from kit.plugin.settings import from_environment
from kit.project.update import Update

EVERY = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_survives_pickling_with_its_facts(kind: type[kit.KitError]) -> None:
    facts = {field.name: f"some {field.name}" for field in fields(kind) if field.kw_only}
    make: Any = kind
    error = make("It is broken.", remedy="Fix it.", **facts)
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(copied) is kind
        assert str(copied) == "It is broken.\nFix it."
        assert vars(copied) == vars(error) == {"problem": "It is broken.", "remedy": "Fix it.", **facts}


def test_facts_are_declared() -> None:
    make: Any = kit.SpecError
    with pytest.raises(TypeError):
        make("It is broken.", sorce="somewhere")
    with pytest.raises(TypeError):
        make("It is broken.")


def test_a_refused_export_and_a_busy_database_can_be_caught_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(kit.ExportError):
        Update(tmp_path, {})
    monkeypatch.setattr("kit.plugin.engines.WAIT", 0.1)
    first, second = (kit.database(f"sqlite:///{tmp_path}/data.db") for _ in range(2))
    with first.write(), pytest.raises(kit.DatabaseBusy) as busy, second.write():
        pass
    assert busy.value.database.endswith("data.db")
    with pytest.raises(kit.DatabaseError) as missing:
        kit.database(f"sqlite:///{tmp_path}/no/data.db")
    assert not isinstance(missing.value, kit.DatabaseBusy)
    with pytest.raises(kit.UnknownHost) as unknown:
        find("copilt")
    assert unknown.value.host == "copilt"
    with pytest.raises(kit.ProjectError) as project:
        kit.Project(tmp_path)
    assert project.value.folder == str(tmp_path)
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(kit.SettingsError) as setting:
        from_environment()
    assert setting.value.setting == "LOG_FORMAT"


def test_every_error_is_public_and_in_the_drawn_tree() -> None:
    for kind in EVERY:
        assert getattr(kit, kind.__name__) is kind
        assert kind.__name__ in (errors.__doc__ or "")


def test_every_public_name_exists_and_is_documented() -> None:
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
        "opentelemetry",
        "typer",
    )
    code = f"import sys, kit; kit.NoAuth; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
