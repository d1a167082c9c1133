"""Alembic in an export: tables change with the notebook, on SQLite and PostgreSQL, and their rows stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.project import migrations
from kit.project.folder import write_files

pytest.importorskip("alembic", reason="Alembic is not installed")

HEAD = """
import enum
import json
import kit
from sqlmodel import Field, SQLModel, select

class Kind(enum.Enum):
    tea = "t"
    milk = "m"
"""
BUYER = """
class Buyer(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
"""
SALE = """
class Sale(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    buyer_id: int | None = Field(default=None, foreign_key="buyer.id", ondelete="CASCADE")
"""
END = """
data = kit.database("sqlite:///shop.db").create(SQLModel)
plugin = kit.Plugin("shop", description_for_model="Sells.")

@plugin.get("/sales")
def sales() -> list[Sale]:
    with data.read() as session:
        return list(session.exec(select(Sale)))

if __name__ == "__main__":
    with data.write() as session:
        session.add(buyer := Buyer(name="sam"))
        session.flush()
        session.add(Sale(buyer_id=buyer.id))
    print(json.dumps([sale.model_dump(mode="json") for sale in sales()]))
"""
MORE = """    is_paid: bool = False
    kind: Kind = Kind.milk
    note: str = "it's new"
    price: float = 1.5
    discount: int | None = None
"""
OTHER = """
class Refund(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    sale_id: int = Field(foreign_key="sale.id")
"""
FIRST = HEAD + BUYER + SALE + END
SECOND = HEAD + BUYER + SALE + MORE + OTHER + END


def exported(folder: Path, app: str, scratch: Path) -> list[str]:
    """Writes the app and what the export adds for its tables."""
    scratch.mkdir()
    files, notes = migrations.written({"app.py": app.encode()}, folder, scratch)
    write_files(folder, {"app.py": app.encode(), **files})
    return notes


def run(folder: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def upgraded(folder: Path, url: str) -> str:
    done = run(folder, url, "-m", "alembic", "upgrade", "head")
    assert done.returncode == 0, done.stderr
    return done.stderr


def rows(folder: Path, url: str) -> list[dict[str, object]]:
    done = run(folder, url, "app.py")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def revisions(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("migrations/versions/*.py"))


@pytest.mark.parametrize("is_made_by_the_app", [False, True])
def test_a_changed_table_is_named_at_the_start_and_changed_by_the_command(
    tmp_path: Path, url: str, is_made_by_the_app: bool
) -> None:
    folder = tmp_path / "shop"
    assert exported(folder, FIRST, tmp_path / "1") == []
    assert revisions(folder) == ["0001_the_tables.py"]
    if not is_made_by_the_app:
        upgraded(folder, url)
    assert rows(folder, url) == [{"id": 1, "buyer_id": 1}]
    (note,) = exported(folder, SECOND, tmp_path / "2")
    assert "0002_change_the_tables.py changes the tables: read it" in note
    done = run(folder, url, "-m", "kit", "serve", "app.py")
    assert done.returncode == 1
    assert "The table sale was created earlier, without discount, is_paid, kind, note, price." in done.stderr
    assert "python -m alembic upgrade head" in done.stderr
    assert "p%40ss" not in done.stderr
    upgraded(folder, url)
    assert "Running upgrade" not in upgraded(folder, url)  # again: nothing to do
    old, new = rows(folder, url)
    assert old == {"id": 1, "buyer_id": 1, "is_paid": False, "kind": "m", "note": "it's new", "price": 1.5, "discount": None}  # fmt: skip
    assert new["id"] == 2
    assert exported(folder, SECOND, tmp_path / "3") == []
    assert len(revisions(folder)) == 2


def test_tables_that_a_later_version_made_are_taken_as_they_are(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "shop"
    exported(folder, FIRST, tmp_path / "1")
    exported(folder, SECOND, tmp_path / "2")
    before = rows(folder, url)  # creates what the second version has
    upgraded(folder, url)
    assert rows(folder, url)[:1] == before


def test_several_pods_may_upgrade_at_once(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "shop"
    exported(folder, FIRST, tmp_path / "1")
    if url.startswith("sqlite"):
        pytest.skip("a file has one server")
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = {**os.environ, "DATABASE_URL": url}
    pods = [
        subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [pod.communicate(timeout=60)[1] for pod in pods]
    assert [pod.returncode for pod in pods] == [0, 0, 0], said
    assert sum("Running upgrade" in text for text in said) == 1


def test_what_its_user_wrote_stays(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    exported(folder, FIRST, tmp_path / "1")
    file = folder / "migrations/versions/0001_the_tables.py"
    file.write_text(file.read_text() + "# mine\n")
    url = f"sqlite:///{tmp_path / 'data.db'}"
    upgraded(folder, url)
    (folder / "app.py").write_text(SECOND)
    done = run(folder, url, "-m", "alembic", "revision", "--autogenerate", "-m", "by hand")
    assert done.returncode == 0, done.stderr
    assert exported(folder, SECOND, tmp_path / "2") == []
    assert len(revisions(folder)) == 2
    assert file.read_text().endswith("# mine\n")


def test_a_revision_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (note,) = exported(tmp_path / "shop", "import nothing_of_this_name", tmp_path / "1")
    assert note.startswith("No revision of the tables was written: ModuleNotFoundError")
    assert (tmp_path / "shop/alembic.ini").is_file()
