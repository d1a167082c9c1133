"""`kit export` into the folder of an earlier one: its user's changes and lines, the NAME.new beside them, and whose folder it is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import indent

import pytest
from test_notebook import PLUGIN, write

import kit
from kit.project.update import OWN_LINES, RECORD, Update, own_lines

ONE = {"app.py": b"1\n", "tests/test_app.py": b"test\n", "Dockerfile": b"FROM a\n"}


def wrote(folder: Path, files: dict[str, bytes], **options: bool) -> Update:
    update = Update(folder, files, **options)
    update.write()
    return update


def test_a_new_version_is_told_until_it_is_dealt_with(tmp_path: Path) -> None:
    wrote(tmp_path, ONE)
    (tmp_path / "app.py").write_bytes(b"mine\n")
    assert wrote(tmp_path, ONE).notes == ["app.py: kept with your changes."]
    two = {**ONE, "app.py": b"2\n"}
    for _ in range(3):
        (note,) = wrote(tmp_path, two).notes
        assert "app.py.new, until you delete that" in note
        assert (tmp_path / "app.py.new").read_bytes() == b"2\n"
    (note,) = wrote(tmp_path, {**ONE, "app.py": b"3\n"}).notes
    assert (tmp_path / "app.py.new").read_bytes() == b"3\n"
    (tmp_path / "app.py.new").unlink()  # merged by hand
    assert wrote(tmp_path, {**ONE, "app.py": b"3\n"}).notes == ["app.py: kept with your changes."]
    assert not (tmp_path / "app.py.new").exists()
    wrote(tmp_path, {**ONE, "app.py": b"4\n"})
    (tmp_path / "app.py").write_bytes(b"4\n")  # taken over
    assert wrote(tmp_path, {**ONE, "app.py": b"4\n"}).notes == []
    assert not (tmp_path / "app.py.new").exists()


def test_a_new_version_that_its_user_edits_is_not_lost(tmp_path: Path) -> None:
    wrote(tmp_path, ONE)
    (tmp_path / "app.py").write_bytes(b"mine\n")
    wrote(tmp_path, {**ONE, "app.py": b"2\n"})
    (tmp_path / "app.py.new").write_bytes(b"half merged\n")
    update = wrote(tmp_path, {**ONE, "app.py": b"2\n"}, force=True)
    assert update.notes == [
        "app.py: your changes were overwritten; app.py.new is still there, with your changes."
    ]
    assert (tmp_path / "app.py.new").read_bytes() == b"half merged\n"


def test_no_file_blocks_another(tmp_path: Path) -> None:
    wrote(tmp_path, ONE)
    (tmp_path / "app.py").unlink()
    (tmp_path / "app.py").mkdir()  # a folder in the place of a file, and a file in that of a folder
    (tmp_path / "tests" / "test_app.py").unlink()
    (tmp_path / "tests").rmdir()
    (tmp_path / "tests").write_text("mine")
    update = wrote(tmp_path, {**ONE, "Dockerfile": b"FROM b\n"})
    assert (tmp_path / "Dockerfile").read_bytes() == b"FROM b\n"
    assert update.blocked == {"app.py", "tests/test_app.py"}
    assert update.notes == [
        "app.py: not written: app.py is something else of yours.",
        "tests/test_app.py: not written: tests is something else of yours.",
    ]
    assert (tmp_path / "tests").read_text() == "mine"


def test_own_lines_are_no_change(tmp_path: Path) -> None:
    def needs(pin: str, *own: str) -> dict[str, bytes]:
        return {**ONE, "requirements.txt": "\n".join([f"a=={pin}", OWN_LINES, *own, ""]).encode()}

    wrote(tmp_path, needs("1"))
    file = tmp_path / "requirements.txt"
    assert own_lines(tmp_path, "requirements.txt") == []
    file.write_text(file.read_text() + "b  # mine\n\n--extra-index-url https://example.com")
    own = own_lines(tmp_path, "requirements.txt")
    assert own == ["b  # mine", "", "--extra-index-url https://example.com"]
    assert wrote(tmp_path, needs("2", *own)).outcomes["requirements.txt"] == "updated"
    assert file.read_text() == f"a==2\n{OWN_LINES}\n" + "\n".join(own) + "\n"
    file.write_text(file.read_text().replace("a==2", "a==1.5"))  # above the mark it is one
    assert "requirements.txt.new" in wrote(tmp_path, needs("3", *own)).notes[0]
    assert own_lines(tmp_path, "requirements.txt.new") == own


def test_another_plugins_folder_is_refused(tmp_path: Path) -> None:
    Update(tmp_path, ONE, notebook="a.ipynb", plugin="todo").write()
    for notebook, plugin in (("a.ipynb", "shop"), ("b.ipynb", "todo")):
        with pytest.raises(kit.KitError, match=r"'todo' of a\.ipynb.*\n.*--force"):
            Update(tmp_path, ONE, notebook=notebook, plugin=plugin)
    Update(tmp_path, ONE, True, notebook="b.ipynb", plugin="shop").write()
    record = json.loads((tmp_path / RECORD).read_text())
    assert (record["notebook"], record["plugin"]) == ("b.ipynb", "shop")
    # an earlier kit's record has no names: the folder becomes that of the next export
    (tmp_path / RECORD).write_text(json.dumps({"files": record["files"]}))
    Update(tmp_path, ONE, notebook="c.ipynb", plugin="c").write()


def test_a_line_of_its_user_is_used_in_the_proof(tmp_path: Path) -> None:
    """The notebook asks for a package without importing it, which nobody can see; one that is not here is told."""
    hidden = (
        "#| export\nfrom importlib.metadata import version\n\n"
        "@todo.get('/n')\ndef n() -> int:\n    return len(version('jin' + 'ja2')) > 0"
    )
    path, out = write(tmp_path / "todo.ipynb", PLUGIN, hidden), tmp_path / "out"
    first = kit.export(path, out)
    assert not first.ok  # 500 where jinja2 is none of the requirements
    needed = out / "requirements.txt"
    needed.write_text(
        needed.read_text()
        + "jinja2\nno-such-package-anywhere\nuvicorn>=0.1\nfastapi<0.2 ; python_version < '3'\n"
    )
    again = kit.export(path, out)
    assert again.ok, again
    assert again.files["requirements.txt"] == "updated"
    text = needed.read_text()
    assert f"markupsafe=={version('markupsafe')}\n" in text  # what jinja2 needs in turn
    assert "uvicorn==" not in text  # the user's line is the only one
    assert text.endswith(
        "\njinja2\nno-such-package-anywhere\nuvicorn>=0.1\nfastapi<0.2 ; python_version < '3'\n"
    )
    number = text.splitlines().index("no-such-package-anywhere") + 1
    note = f"requirements.txt, line {number}: no-such-package-anywhere is not installed here; the proof ran without it."
    assert [it for it in again.notes if "proof" in it] == [note]


def test_a_change_that_does_not_start_blocks_nothing_else(tmp_path: Path) -> None:
    path, out = write(tmp_path / "todo.ipynb", PLUGIN), tmp_path / "out"
    kit.export(path, out)
    app = out / "app.py"
    app.write_text("import no_such_thing_at_all\n" + app.read_text())
    more = "#| export\n@todo.get('/more')\ndef more() -> int:\n    return 1"
    with pytest.raises(
        kit.KitError, match=r"no_such_thing_at_all(.|\n)*You changed app\.py; without that it starts"
    ):
        kit.export(write(path, PLUGIN, more), out)
    assert "/more" in (out / "openapi.json").read_text()
    assert "def more" in (out / "app.py.new").read_text()
    assert app.read_text().startswith("import no_such_thing_at_all\n")


def test_a_change_may_use_what_its_user_has_beside_it(tmp_path: Path) -> None:
    path, out = write(tmp_path / "todo.ipynb", PLUGIN), tmp_path / "out"
    kit.export(path, out)
    (out / "shelf").mkdir()
    (out / "shelf" / "words.py").write_text("WORD = 'one'\n")
    (out / "shelf" / "words.txt").write_text("two")
    app = out / "app.py"
    app.write_text(app.read_text() + "\nfrom shelf.words import WORD\nopen('shelf/words.txt').read()\n")
    assert kit.export(path, out).ok


LATE = "import sys, time\nprint('loading the model', file=sys.stderr)\ntime.sleep(300)"


@pytest.mark.parametrize("in_lifespan", [False, True])
def test_a_plugin_that_starts_late_is_told_of_the_option(tmp_path: Path, in_lifespan: bool) -> None:
    lifespan = f"#| export\nasync def lifespan(app):\n{indent(LATE, '    ')}\n    yield"
    cells = (
        (lifespan, PLUGIN.replace("description_for", "lifespan=lifespan, description_for"))
        if in_lifespan
        else (f"#| export\n{LATE}", PLUGIN)
    )
    command = [sys.executable, "-m", "kit", "export", str(write(tmp_path / "todo.ipynb", *cells)), "out"]
    done = subprocess.run(
        [*command, "--start-timeout", "8"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "took longer than 8 s to start. The last line that it wrote: loading the model" in done.stderr
    assert "--start-timeout SECONDS" in done.stderr
    assert not (tmp_path / "out").exists()
