"""What cannot be exported is reported with its cell, its line and a remedy, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_notebook import ADD, MISTAKES, PLUGIN, write

import kit
from kit.project import leaks, requirements

GET = "#| export\n@todo.get('/n')\ndef number() -> int:\n    return {}"
WRONG: dict[str, tuple[str, str]] = {
    "kit.serve": ("server = kit.serve(todo)", r"line 2, calls kit\.serve.*Move that line"),
    "kit.serve in with": ("with kit.serve(todo) as server:\n    pass", r"line 2, calls kit\.serve"),
    "serve by another name": ("from kit import serve as go\ngo(todo)", r"line 3, calls kit\.serve"),
    "uvicorn.run": ("import uvicorn\nuvicorn.run(todo)", r"line 3, calls uvicorn\.run"),
    "a key of OpenAI": ("KEY = 'sk-abcdefghijklmnop'", r"line 2, has what looks like a secret: a text of a form"),
    "a key in a comment": ("x = 1  # ghp_abcdefghijklmnop1234", r"line 2, has what looks like a secret"),
    "a password": ("password = 'hunter2'", r"line 2, has what looks like a secret: the value of password"),
    "a token compared": (
        "def f(token: str) -> bool:\n    return token == 'abc123'", r"line 3, .* the value of token"),
    "a default of the environment": (
        "import os\nSECRET = os.environ.get('APP_SECRET', 'changeme')", r"line 3, .*the value of APP_SECRET"),
    "a password in a URL": ("URL = 'postgresql://me:pass@host/db'", r"line 2, has what looks like a secret"),
    "tokens in a set": ("TOKENS = {'abcd', 'efgh'}", r"line 2, .*the value of TOKENS"),
    "a long random text": ("salt = 'c2f0e1a9b8d7465f93a1b2c3d4e5f607'", r"line 2, .*a long random text"),
    "the key set for the library": (
        "import os\nos.environ['OPENAI_API_KEY'] = 'abcdefgh'", r"line 3, .*the value of OPENAI_API_KEY"),
    "somebody's home": ("DATA = '/home/sam/data.csv'", r"line 2, names a folder of this machine: DATA"),
    "a package that is not installed": (
        "def later():\n    import no_such_thing\n", r"line 3, imports 'no_such_thing', which is not installed"),
    "a name that a server looks for": ("plugin = {}", r"calls something `plugin`.*give that name to todo"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_exported_names_its_cell(tmp_path: Path, kind: str) -> None:
    source, words = WRONG[kind]
    path = write(tmp_path / "todo.ipynb", "import kit", PLUGIN, f"#| export\n{source}")
    with pytest.raises(kit.NotebookError, match=f"(?s)Cell 3.*{words}") as caught:
        kit.export(path, tmp_path / "out")
    assert caught.value.cell == 3
    for secret in ("hunter2", "sk-abc", "abc123", "changeme", "c2f0e1"):
        assert secret not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_does_not_load_does_not_export(tmp_path: Path, kind: str) -> None:
    sources, words, cell = MISTAKES[kind]
    path = write(tmp_path / "my plugin.ipynb", *sources)
    with pytest.raises(kit.NotebookError, match=f"(?s){words}") as caught:
        kit.export(path, tmp_path / "out")
    assert caught.value.cell == cell
    assert str(path) in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "source",
    [
        "import os\nTOKEN = os.environ.get('TODO_TOKEN', '')",
        "password = ''",
        "from fastapi.security import OAuth2PasswordBearer\nscheme = OAuth2PasswordBearer(tokenUrl='token')",
        "from fastapi.security import APIKeyHeader\napi_key = APIKeyHeader(name='X-API-Key')",
        "auth = kit.ServiceHttp('bearer', verification_tokens={'openai': 'c2f0e1a9b8d7465f93a1b2c3d4e5f607'})",
        "KEY = 'sk-this-is-a-test-key'  # public: the stand-in takes any",
        "ID = '550e8400-e29b-41d4-a716-446655440000'",
        "def f(authorization: str) -> bool:\n    return authorization == f'Bearer {todos}'",
        "if __name__ == '__main__':\n    kit.serve(todo)",
        "try:\n    import no_such_thing\nexcept ImportError:\n    no_such_thing = None",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import no_such_thing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from no_such_thing import X",
    ],
)
def test_what_only_looks_like_it_is_exported(tmp_path: Path, source: str) -> None:
    path = write(tmp_path / "todo.ipynb", PLUGIN, f"#| export\n{source}")
    assert kit.export(path, tmp_path / "out").ok


def test_a_secret_of_the_environment_in_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TODO_TOKEN", "violet-horse")
    leaking = GET.format("1").replace("def number()", "def number(token: str = os.environ['TODO_TOKEN'])")
    path = write(tmp_path / "todo.ipynb", PLUGIN, f"#| export\nimport os\n{leaking}")
    with pytest.raises(
        kit.NotebookError, match=r"openapi\.json would reveal too much: it holds the value of TODO_TOKEN"
    ):
        kit.export(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_path_of_the_machine_in_a_document(tmp_path: Path) -> None:
    telling = GET.format("1").replace("def number() -> int:", "def number(at: str = str(Path.cwd())) -> int:")
    path = write(tmp_path / "todo.ipynb", PLUGIN, f"#| export\nfrom pathlib import Path\n{telling}")
    with pytest.raises(
        kit.NotebookError, match=r"openapi\.json would reveal too much: line \d+ names a folder"
    ):
        kit.export(path, tmp_path / "out")


def test_a_secret_beside_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("x = 1\nAPI_KEY = 'hunter2'\n")
    path = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport helper")
    with pytest.raises(
        kit.NotebookError, match=r"helper\.py beside the notebook, line 2, has what looks like a secret"
    ):
        kit.export(path, tmp_path / "out")


def test_variables_that_are_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TODO_TOKEN", "MAIL_KEY", "MAIL_HOST"):
        monkeypatch.delenv(name, raising=False)
    reading = "#| export\nimport os\nTOKEN = os.environ['TODO_TOKEN']\nKEY = os.environ['MAIL_KEY']"
    path = write(tmp_path / "todo.ipynb", PLUGIN, reading, GET.format("len(os.environ['MAIL_HOST'])"))
    with pytest.raises(
        kit.NotebookError,
        match=r"(?s)MAIL_KEY \(Cell 2, line 4\); TODO_TOKEN \(Cell 2, line 3\).*Set MAIL_KEY, TODO_TOKEN here and on the server",
    ):
        kit.export(path, tmp_path / "out")
    monkeypatch.setenv("TODO_TOKEN", "1")
    monkeypatch.setenv("MAIL_KEY", "1")
    made = kit.export(path, tmp_path / "out")
    assert made.notes[0].startswith("Proved without MAIL_HOST, not set here")


def test_a_variable_that_only_the_process_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TODO_TOKEN", raising=False)
    reading = "#| export\nimport os\ndef token():\n    return os.environ['TODO_TOKEN']\nTOKEN = token()"
    path = write(tmp_path / "todo.ipynb", PLUGIN, reading)
    with pytest.raises(
        kit.NotebookError, match=r"(?s)Cell 2.*KeyError: 'TODO_TOKEN'.*Set TODO_TOKEN here and on the server"
    ):
        kit.export(path, tmp_path / "out")


def test_a_file_beside_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "cities.csv").write_text("Paris\nOslo\n")
    reading = "#| export\nfrom pathlib import Path\nCITIES = Path('cities.csv').read_text().split()"
    path = write(tmp_path / "todo.ipynb", PLUGIN, reading, GET.format("len(CITIES)"))
    with pytest.raises(kit.NotebookError, match=r"(?s)Cell 2.*FileNotFoundError.*include=\['cities\.csv'\]"):
        kit.export(path, tmp_path / "out")
    made = kit.export(path, tmp_path / "out", include=["cities.csv"])
    assert made.ok
    assert (tmp_path / "out" / "cities.csv").read_text() == "Paris\nOslo\n"
    assert next(row for row in made.parity.rows if row.what == "GET /n").notebook == "200, 1 bytes"
    with pytest.raises(kit.NotebookError, match=r"no file \.\./x\.csv beside"):
        kit.export(path, tmp_path / "b", include=["../x.csv"])


def test_a_neighbour_with_the_name_of_an_exported_file(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("X = 1\n")
    path = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nfrom app import X")
    with pytest.raises(
        kit.NotebookError, match=r"app\.py beside the notebook has the name of a file that the export writes"
    ):
        kit.export(path, tmp_path / "out")


def test_a_difference_is_reported(tmp_path: Path) -> None:
    telling = GET.format("1 if __file__.endswith('app.py') else 2")
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, telling), tmp_path / "out")
    assert not made.ok
    assert [(row.what, row.differs) for row in made.parity.differences] == [("GET /n", "body")]
    assert "1 of 3 answers differ" in repr(made)


def test_an_error_of_both_is_reported(tmp_path: Path) -> None:
    made = kit.export(write(tmp_path / "todo.ipynb", PLUGIN, GET.format("1 / 0")), tmp_path / "out")
    assert made.ok
    assert "the notebook itself fails at: GET /n" in repr(made)


def test_an_app_that_ends_python(tmp_path: Path) -> None:
    path = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport os\nos._exit(3)")
    with pytest.raises(kit.KitError, match="could not be served"):
        kit.export(path, tmp_path / "out")


def test_a_lifespan_that_fails(tmp_path: Path) -> None:
    failing = (
        "#| export\nfrom contextlib import asynccontextmanager\nimport kit\n@asynccontextmanager\nasync def lifespan(app):\n"
        "    raise RuntimeError('no queue')\n    yield\n"
        "todo = kit.Plugin('todo', description_for_model='Keeps todos.', lifespan=lifespan)"
    )
    with pytest.raises(kit.KitError, match="RuntimeError: no queue"):
        kit.export(write(tmp_path / "todo.ipynb", failing), tmp_path / "out")


def test_the_command_reports_it(tmp_path: Path) -> None:
    path = write(tmp_path / "todo.ipynb", PLUGIN, ADD, "#| export\nkit.serve(todo)")
    done = subprocess.run(
        [sys.executable, "-m", "kit", "export", str(path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("kit: Cell 3 of ")
    assert "Traceback" not in done.stderr


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    before = psutil.Process(os.getpid()).children()
    kit.export(write(tmp_path / "todo.ipynb", PLUGIN, ADD), tmp_path / "out")
    assert psutil.Process(os.getpid()).children() == before


def test_short_words_are_not_paths_of_the_machine(tmp_path: Path) -> None:
    assert leaks.path_in("get('/srv')", Path("/srv")) is None
    assert leaks.path_in("open('/srv/data.csv')", Path("/srv")) == (1, "/srv/")


def test_a_folder_beside_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "static" / "deep").mkdir(parents=True)
    (tmp_path / "static" / "deep" / "a.txt").write_text("a")
    (tmp_path / "static" / ".env").write_text("A=1")
    mounting = "#| export\nfrom fastapi.staticfiles import StaticFiles\ntodo.mount('/s', StaticFiles(directory='static'))"
    path = write(tmp_path / "todo.ipynb", PLUGIN, mounting)
    with pytest.raises(
        kit.NotebookError, match=r"(?s)Cell 2.*include=\['static'\] \(--include static\) adds it"
    ):
        kit.export(path, tmp_path / "out")
    made = kit.export(path, tmp_path / "out", include=["static"])
    assert made.notes == []
    assert (tmp_path / "out" / "static" / "deep" / "a.txt").read_text() == "a"
    assert not (tmp_path / "out" / "static" / ".env").exists()


def test_what_another_start_changes_is_not_a_difference(tmp_path: Path) -> None:
    random = GET.replace("-> int", "-> float").format("seed")
    path = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport random\nseed = random.random()", random)
    made = kit.export(path, tmp_path / "out")
    assert made.ok
    assert "new each time" in repr(made)
    assert "the same except for 1 that the notebook itself changes" in repr(made)


def test_a_cell_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.project.proof.START_TIMEOUT", 2.0)
    path = write(tmp_path / "todo.ipynb", PLUGIN, "#| export\nimport time\ntime.sleep(3600)")
    with pytest.raises(kit.KitError, match=r"could not be served: it took longer than 2 s"):
        kit.export(path, tmp_path / "out")


def test_packages_that_no_other_machine_could_install() -> None:
    class Installed:
        name = "acme"

        def __init__(self, url: str, installer: str = "pip") -> None:
            self.texts = {"direct_url.json": f'{{"url": "{url}"}}', "INSTALLER": installer}

        def read_text(self, name: str) -> str | None:
            return self.texts.get(name)

    with pytest.raises(kit.KitError, match="acme is installed from a folder of this machine"):
        requirements._check_origin(Installed("file:///home/sam/acme"))  # type: ignore[arg-type]
    requirements._check_origin(Installed("file:///croot/acme", "conda"))  # type: ignore[arg-type]
    requirements._check_origin(Installed("https://example.com/acme.whl"))  # type: ignore[arg-type]
