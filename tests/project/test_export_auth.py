"""An exported app asks for what the notebook's plugin asks for; a token in a cell and an auth that nothing checks are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_export import served
from test_notebook import write

import kit

TOKEN = "violet-horse-battery"
OTHER = "copper-kettle-lamp"
ME = (
    "#| export\n@todo.get('/me')\ndef me(user: kit.User) -> str:\n    return user",
    "#| export\n@todo.get('/open', openapi_extra={'security': []})\ndef opened() -> int:\n    return 1",
)
KINDS = {
    "service": "kit.ServiceHttp(tokens=os.environ['TODO_TOKENS'].split(','))",
    "user": "kit.UserHttp('basic', verify=by_name)",
    "oauth": "kit.OAuth('https://todo.example/login', 'https://todo.example/token',"
    " verify=kit.JWTVerifier('http://127.0.0.1:9', 'https://todo.example'))",
}


def notebook(folder: Path, auth: str) -> Path:
    cells = (
        "#| export\nimport os\nimport kit\n\ndef by_name(sent: str) -> str:\n"
        "    return 'sam' if sent == os.environ.get('TODO_TOKENS') else ''",
        f"#| export\ntodo = kit.Plugin('todo', description_for_model='Keeps todos.', auth={auth})",
        *ME,
    )
    return write(folder / "todo.ipynb", *cells)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_exported_with_its_auth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TODO_TOKENS", f"{OTHER},{TOKEN}")
    made = kit.export(notebook(tmp_path, KINDS[kind]), tmp_path / "out")
    assert made.ok, made
    asked = next(row for row in made.parity.rows if "/me" in row.what)
    # the proof asks with a token that the environment has; it has none of a user
    assert asked.export.startswith("200" if kind == "service" else "401")
    assert next(row for row in made.parity.rows if "/open" in row.what).export.startswith("200")
    assert ("with a token" in repr(made)) == (kind != "service")
    texts = [file.read_bytes() for file in made.path.rglob("*") if file.is_file()]
    assert not any(secret.encode() in text for text in texts for secret in (TOKEN, OTHER))
    assert ("joserfc==" in (made.path / "requirements.txt").read_text()) == (kind == "oauth")
    sent = {"service": f"Bearer {TOKEN}", "user": "Basic YTpi", "oauth": "Bearer a.b.c"}[kind]
    with served(made.path, TODO_TOKENS=TOKEN if kind == "service" else "a:b") as ask:
        assert ask("GET", "/open") == (200, 1)
        assert ask("GET", "/me")[0] == 401
        assert ask("GET", "/me", Authorization="Bearer wrong")[0] == 401
        expected = {"service": (200, "service"), "user": (200, "sam")}.get(kind)
        if expected:
            assert ask("GET", "/me", Authorization=sent) == expected
        assert ask("GET", "/.well-known/openapi.json")[1]["security"]
    if kind == "service":
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        done = subprocess.run(tests, cwd=made.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert "4 passed" in done.stdout


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("kit.ServiceHttp()", "nothing checks the calls"),
        ("kit.ServiceHttp(tokens=os.environ.get('NO_SUCH_TOKEN'))", "A token of kit.ServiceHttp is None"),
        ("kit.ServiceHttp(tokens='violet-horse')", "Read it from os.environ"),
        ("kit.ServiceHttp(tokens=[word for word in ('violet-horse', 'b')])", "Read it from os.environ"),
    ],
)
def test_what_would_not_protect_is_refused(tmp_path: Path, auth: str, words: str) -> None:
    path = notebook(tmp_path, auth)
    with pytest.raises(kit.NotebookError, match=words) as caught:
        kit.export(path, tmp_path / "out")
    assert "violet" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_names_of_tokens_are_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMS", TOKEN)
    path = notebook(tmp_path, "kit.ServiceHttp(tokens={'samantha': os.environ['SAMS']})")
    made = kit.export(path, tmp_path / "out")
    assert made.ok
    assert next(row for row in made.parity.rows if "/me" in row.what).export == "200, 10 bytes"
