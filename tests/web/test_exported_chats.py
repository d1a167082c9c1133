"""A conversation of the local ChatGPT as a test and as a cell: they run, and make no call that was not allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from strangers import Stranger, manifest, openapi
from tabs import Tab

import kit
from kit.web.page import LocalChatGPT

PLUGIN = """
#| export
import kit

plugin = kit.Plugin("notes", name_for_human="Notes", description_for_model="Notes of people.")
notes: list[str] = []

@plugin.get("/notes", summary="List the notes")
def list_notes() -> list[str]:
    return notes

@plugin.post("/notes", summary="Add a note")
def add_note(text: str) -> list[str]:
    notes.append(text)
    return notes
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    file = tmp_path / "plugin.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PLUGIN.strip())]), file)
    return file


@pytest.fixture
def page(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalChatGPT]:
    monkeypatch.chdir(notebook.parent)
    with kit.chatgpt("plugin.ipynb") as running:
        yield running


def exported(tab: Tab, form: str) -> str:
    return str(tab.get(f"conversations/{tab.id}/export/{form}")["text"])


def run(test: str, folder: Path, **environment: str) -> str:
    """The outcome of the test, run as a person runs it, in another folder and when the page is gone."""
    folder.mkdir()
    (folder / "test_conversation.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**kept, **environment}, timeout=120
    )
    return ended.stdout.strip().splitlines()[-1] + ("" if ended.returncode == 0 else ended.stdout)


def test_of_a_notebook_after_denials_stops_and_removals(
    tab: Tab, page: LocalChatGPT, notebook: Path, tmp_path: Path
) -> None:
    tab.say("Add the note 'one'", "deny")
    tab.say("Add the note 'one'", "allow")
    tab.act("say", text="Add the note 'two'")
    tab.act("stop")
    assert tab.events()[-1]["text"] == "Stopped."
    tab.say("Add the note 'three'", "always")
    tab.say("Add the note 'four'", "never asked")
    tab.say("List the notes")
    with Stranger(
        {"/.well-known/ai-plugin.json": (200, {}, manifest("/o.json")), "/o.json": (200, {}, openapi())}
    ) as stranger:
        tab.post(f"conversations/{tab.id}/plugins", enabled=["notes", tab.install(stranger.url)["id"]])
        tab.post(f"conversations/{tab.id}/plugins", enabled=["notes"])
    tab.http.delete("/api/plugins/notes")
    tab.say("List the notes")  # no plugin is left: nothing is called
    test, cell = exported(tab, "test"), exported(tab, "cell")
    page.stop()
    assert f"kit.serve(kit.load({str(notebook)!r}))" in test
    assert "'two'" not in test
    assert "1 of 7 turns" in test
    assert run(test, tmp_path / "elsewhere").startswith("1 passed")
    wrong = test.replace("'text': 'four'", "'text': 'five'")
    assert "1 failed" in run(wrong, tmp_path / "wrong")
    # run without anybody to ask, the cell adds no note
    added = f"{cell}\nprint([c.outcome for c in reply.calls])".replace("chat('List", "reply = chat('List", 1)
    ended = subprocess.run([sys.executable, "-c", added], capture_output=True, text=True, input="", timeout=120)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().endswith("['200']")


def test_a_call_that_was_never_allowed_is_in_no_export(tab: Tab) -> None:
    start = tab.next()
    tab.act("say", text="Add the note 'one'")
    path = f"/api/conversations/{tab.id}/events?start={start}"
    with tab.http.stream("GET", path) as response:
        for line in response.iter_lines():
            if '"question"' in line:
                tab.act("stop")
    assert "nothing to test" in tab.get(f"conversations/{tab.id}/export/test")["error"]
    assert "confirm=True" in exported(tab, "cell")


def test_two_plugins_have_two_tokens(tab: Tab) -> None:
    auth = {"type": "user_http", "authorization_type": "bearer"}

    def pages(name: str) -> dict[str, Any]:
        about = manifest("/o.json", auth=auth, name_for_model=name)
        return {"/.well-known/ai-plugin.json": (200, {}, about), "/o.json": (200, {}, openapi())}

    with Stranger(pages("a_b")) as one, Stranger(pages("a_b")) as two:
        ids = [tab.install(it.url, token=f"s3cret-{n}")["id"] for n, it in enumerate((one, two))]
        tab.post(f"conversations/{tab.id}/plugins", enabled=ids)
        tab.say("Hello")
        tab.post(f"plugins/{ids[0]}/forget")
        text = exported(tab, "cell")
    assert f'kit.install({one.url!r}, auth=os.environ["KIT_TOKEN_A_B"])' in text
    assert f'kit.install({two.url!r}, auth=os.environ["KIT_TOKEN_A_B_2"])' in text
