"""The places where an export runs: which files and commands it has for each, and whether their own tools take them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_notebook import write

import kit
from kit.project.places import DEFAULT, PLACES, chosen

LIBRARY = (
    "#| export\nimport os\nimport kit\nfrom sqlmodel import Field, SQLModel, select\n\n"
    "class Book(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n    title: str\n\n"
    "db = kit.database('sqlite:///books.db').create(Book)\n"
    # YAML reads this name as a boolean
    "on = kit.Plugin('on', name_for_human='The \"On\": library', description_for_model='Lends books.')",
    "#| export\n@on.get('/books')\ndef list_books() -> list[Book]:\n    with db.read() as session:\n"
    "        return list(session.exec(select(Book)))\n\n"
    "@on.post('/letters')\ndef send_letter(to: str) -> str:\n    return os.environ['MAIL_KEY'][:0] + to",
)
GAME = (
    "#| export\nimport kit\nscores = {}\ngame = kit.Plugin('guessing_game', description_for_model='Plays.')",
    "#| export\n@game.post('/scores/{name}')\ndef add(name: str) -> int:\n    'Adds a point to the score of a player.'\n    scores[name] = scores.get(name, 0) + 1\n"
    "    return scores[name]",
)
PLAIN = (
    "#| export\nimport kit\nclock = kit.Plugin('clock', description_for_model='Tells the time.')",
    "#| export\n@clock.get('/hours')\ndef hours() -> int:\n    return 24",
)


def exported(folder: Path, cells: tuple[str, ...], for_: Any) -> Path:
    made = kit.export(write(folder / "plugin.ipynb", *cells), folder / "out", for_=for_)
    assert made.ok, made
    return made.path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("library"), LIBRARY, PLACES)


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("game"), GAME, PLACES)


def program(name: str) -> str:
    path = shutil.which(name) or shutil.which(str(Path(sys.executable).parent / name))
    return path or pytest.skip(f"{name} is not installed")


def documents(file: Path) -> list[Any]:
    return list(yaml.safe_load_all(file.read_text()))


def blocks(readme: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


# which are chosen


def test_names_come_as_a_text_or_one_by_one():
    assert chosen(" Fly,cloudrun, ") == chosen(["fly", "cloudrun"]) == ("cloudrun", "fly")
    assert chosen("") == ()
    assert chosen(PLACES) == tuple(PLACES)


def test_an_unknown_place_is_an_error_that_lists_them(tmp_path: Path):
    path = write(tmp_path / "plugin.ipynb", *PLAIN)
    with pytest.raises(kit.ExportError) as caught:
        kit.export(path, tmp_path / "out", for_="cloudrun,heroku")
    assert "'heroku'" in caught.value.problem
    assert all(f"{name} ({place.title})" in caught.value.remedy for name, place in PLACES.items())
    assert not (tmp_path / "out").exists()


def test_the_command_names_them_all():
    done = subprocess.run(
        [sys.executable, "-m", "kit", "export", "--help"], capture_output=True, text=True, check=True
    )
    text = done.stdout.partition("--for")[2].partition("--mcp")[0]
    assert set(re.findall(r"\w+", text)) >= set(PLACES)


def test_a_folder_has_what_its_places_need_and_no_more(tmp_path: Path):
    path = write(tmp_path / "plugin.ipynb", *PLAIN)
    command = [sys.executable, "-m", "kit", "export", path, tmp_path / "out"]

    def export(*options: str) -> tuple[set[str], str]:
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return {file.name for file in (tmp_path / "out").iterdir()}, done.stdout

    first, _ = export("--for", "fly,vercel")
    assert {"Dockerfile", ".dockerignore", "fly.toml", "vercel.json", "vercel_app.py", "app.py"} <= first
    assert not first & {"compose.yaml", "kubernetes.yaml", "template.yaml", "build.py", "render.yaml"}
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "## Fly.io" in readme
    assert not re.search("kubectl|sam build|docker build|modal|gcloud", readme)

    again, _ = export()  # it is still for the same places
    assert again == first
    (tmp_path / "out" / "vercel.json").write_text("{}\n")
    other, said = export("--for", "lambda")
    assert "template.yaml" in other
    assert not other & {"Dockerfile", "fly.toml", "vercel_app.py"}
    assert "vercel.json" in other
    assert "vercel.json: kept with your changes" in said


def test_a_file_of_a_place_that_is_not_chosen_may_be_the_users_own(tmp_path: Path):
    path = write(tmp_path / "plugin.ipynb", *PLAIN)
    (tmp_path / "fly.toml").write_text("app = 'own'\n")
    made = kit.export(path, tmp_path / "out", for_="container", include=["fly.toml"])
    assert (made.path / "fly.toml").read_text() == "app = 'own'\n"


def test_by_default_it_is_for_a_container_kubernetes_and_lambda(tmp_path: Path):
    names = {file.name for file in exported(tmp_path, PLAIN, None).iterdir()}
    assert names >= {file for name in DEFAULT for file in PLACES[name].files}
    assert not names & {"fly.toml", "render.yaml", "modal_app.py", "vercel.json", "plugin.service"}


# what each of them takes


def test_every_command_is_one_that_a_shell_takes(library: Path, game: Path):
    for folder in (library, game):
        found = blocks((folder / "README.md").read_text())
        assert (
            len(found) >= len(PLACES) - 2
        )  # the container and Lambda are rows of a table, Render has no command
        for block in found:
            done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
            assert done.returncode == 0, block + done.stderr


def test_each_place_gets_the_settings_without_which_it_does_not_run(library: Path):
    readme = (library / "README.md").read_text()
    (cloudrun,) = [it for it in blocks(readme) if "gcloud run" in it]
    assert "DATABASE_URL=DATABASE_URL:latest,MAIL_KEY=MAIL_KEY:latest" in cloudrun
    assert 'printf %s "$MAIL_KEY" | gcloud secrets create MAIL_KEY' in cloudrun
    (azure,) = [it for it in blocks(readme) if "az containerapp" in it]
    assert '"DATABASE_URL=$DATABASE_URL" "MAIL_KEY=$MAIL_KEY"' in azure
    (vercel,) = [it for it in blocks(readme) if "vercel deploy" in it]
    assert "vercel env add MAIL_KEY production" in vercel
    (render,) = documents(library / "render.yaml")
    variables = {it.pop("key"): it for it in render["services"][0]["envVars"]}
    assert variables["MAIL_KEY"] == {"sync": False}
    assert variables["DATABASE_URL"]["fromDatabase"]["name"] == render["databases"][0]["name"]
    ci = (library / ".github/workflows/ci.yml").read_text()
    assert "      MAIL_KEY: ${{ secrets.MAIL_KEY }}\n" in ci


def test_state_in_memory_is_in_one_process_everywhere(game: Path):
    readme = (game / "README.md").read_text()
    assert "--max-instances 1" in readme
    assert "--ha=false" in readme
    assert "--min-replicas 1 --max-replicas 1" in readme
    assert "vercel env add" not in readme
    assert tomllib.loads((game / "fly.toml").read_text())["http_service"]["auto_stop_machines"] == "off"
    assert documents(game / "render.yaml")[0]["services"][0]["numInstances"] == 1
    assert "max_containers=1" in (game / "modal_app.py").read_text()
    kinds = {it["kind"]: it for it in documents(game / "kubernetes.yaml")}
    assert kinds["Deployment"]["spec"]["replicas"] == 1
    assert kinds["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert not kinds.keys() & {"HorizontalPodAutoscaler", "PodDisruptionBudget"}


def test_kubernetes_scales_and_asks_whether_it_is_ready(library: Path):
    kinds = {it["kind"]: it for it in documents(library / "kubernetes.yaml")}
    names = {it["metadata"]["name"] for it in kinds.values()}
    assert names == {"on"}
    scaler, budget, deployment = (
        kinds[kind]["spec"] for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment")
    )
    assert scaler["scaleTargetRef"]["name"] == "on"
    assert "replicas" not in deployment  # or each `kubectl apply` would undo what the scaler has done
    assert budget["selector"] == deployment["selector"]
    (container,) = deployment["template"]["spec"]["containers"]
    paths = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}


def test_the_image_may_be_a_digest(library: Path, tmp_path: Path):
    (block,) = [it for it in blocks((library / "README.md").read_text()) if "kubectl apply" in it]
    (line,) = [it for it in block.splitlines() if it.startswith("sed ")]
    image = f"registry.example.com/on@sha256:{'0' * 64}"
    done = subprocess.run(
        ["bash", "-c", line.partition(" | ")[0]],
        cwd=library, env={"IMAGE": image, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    deployment = next(iter(yaml.safe_load_all(done.stdout)))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image
    validate = program("kubernetes-validate")
    (tmp_path / "filled.yaml").write_text(done.stdout)
    subprocess.run([validate, "--strict", tmp_path / "filled.yaml"], check=True, capture_output=True)


def test_every_container_listens_where_its_place_looks(library: Path):
    fly = tomllib.loads((library / "fly.toml").read_text())
    assert fly["app"] == "on"
    assert fly["env"]["PORT"] == str(fly["http_service"]["internal_port"]) == "8000"
    assert fly["kill_signal"] == "SIGTERM"  # Fly's default is another
    (render,) = documents(library / "render.yaml")
    assert {"key": "PORT", "value": "8000"} in render["services"][0]["envVars"]
    _, front, text = (library / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert (card["sdk"], card["app_port"], card["title"]) == ("docker", 8000, "on")
    assert card["colorFrom"] in ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
    assert text.startswith("\n# ")
    assert "gcloud run deploy on --source . --port 8000 " in text
    assert "--target-port 8000 " in text


def test_nothing_private_goes_into_what_is_sent(library: Path):
    """.env and .venv: what each of these tools leaves out."""
    assert ".*" in (library / ".dockerignore").read_text().splitlines()
    assert ".*" in (library / ".vercelignore").read_text().splitlines()
    assert ".env" in (library / ".gitignore").read_text().splitlines()
    assert "--exclude .env --exclude '.venv/*'" in (library / "README.md").read_text()


def test_vercel_finds_the_plugin(library: Path):
    settings = json.loads((library / "vercel.json").read_text())
    (build,) = settings["builds"]
    assert (library / build["src"]).read_text().endswith("from app import plugin as app  # noqa: F401\n")
    assert settings["routes"][0]["dest"] == build["src"]


def test_modals_own_client_takes_it(library: Path, game: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("modal")
    for folder, secrets in ((library, 1), (game, 0)):
        text = (folder / "modal_app.py").read_text()
        assert text.count("Secret.from_name") == secrets
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        spec = importlib.util.spec_from_file_location("modal_app", folder / "modal_app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "modal_app", module)
        spec.loader.exec_module(module)
        assert module.app.name == {library: "on", game: "guessing-game"}[folder]


def test_systemd_takes_the_unit(library: Path, game: Path, tmp_path: Path):
    verify = program("systemd-analyze")
    for folder in (library, game):
        text = (folder / "plugin.service").read_text()
        home = re.search(r"^WorkingDirectory=(.*)$", text, re.MULTILINE)
        assert home
        command = f"{home[1]}/.venv/bin/kit serve app.py --port 8000"
        assert f"ExecStart={command}\n" in text
        unit = tmp_path / f"{folder.parent.name}.service"
        # it looks whether the program is there
        unit.write_text(text.replace(f"{home[1]}/.venv/bin/kit", "/bin/true"))
        done = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True)
        assert unit.name not in done.stderr, done.stderr
        unit.write_text(unit.read_text().replace("ProtectSystem", "ProtectsSystem"))
        done = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True)
        assert "ProtectsSystem" in done.stderr


# CI


def test_the_workflow_is_pinned_and_may_only_read(library: Path):
    file = library / ".github/workflows/ci.yml"
    text = file.read_text()
    (workflow,) = documents(file)
    assert workflow["permissions"] == {"contents": "read"}
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it) for it in used)
    assert "cache: pip" in text
    subprocess.run(
        [program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", file],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.skipif(
    os.environ.get("KIT_INTEROP") != "1",
    reason="installs packages into environments of its own: set KIT_INTEROP=1",
)
def test_its_commands_pass_in_a_fresh_export(game: Path, tmp_path: Path):
    folder = shutil.copytree(game, tmp_path / "clone")
    (workflow,) = documents(folder / ".github/workflows/ci.yml")
    steps = [it for it in workflow["jobs"]["test"]["steps"] if "run" in it]
    assert [re.split("[ -]", it["run"])[0] for it in steps] == [
        "python",
        "ruff",
        "mypy",
        "python",
        "python",
        "kit",
    ]
    venv.create(tmp_path / "environment", with_pip=True)
    path = f"{tmp_path / 'environment' / 'bin'}:/usr/bin:/bin"
    for step in steps:
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=folder, env={"PATH": path, "HOME": str(Path.home()), **step.get("env", {})}, capture_output=True, text=True,
        )  # fmt: skip
        assert step.get("continue-on-error") or done.returncode == 0, step["run"] + done.stdout + done.stderr
