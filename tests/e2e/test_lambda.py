"""The export on AWS Lambda, as far as it can be tested without AWS. What that leaves open: tests/support/lambdas.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lambdas
import pytest
from lambdas import HOST, Function, Refused, event, rest_event
from paths import NOTEBOOKS
from postgres import empty_postgres

import kit

for package in ("awslambdaric", "moto", "samtranslator", "cfnlint", "mangum"):
    pytest.importorskip(package)
if shutil.which("make") is None:
    pytest.skip("make is not installed", allow_module_level=True)

NOTEBOOK = NOTEBOOKS / "04_operations.ipynb"
MANIFEST, SPEC = "/.well-known/ai-plugin.json", "/.well-known/openapi.json"
# moto itself warns about time zones and the like
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lambda") / "todo"
    assert kit.export(NOTEBOOK, folder).ok
    return folder


@pytest.fixture(scope="module")
def artifacts(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lambdas.build(project, tmp_path_factory.mktemp("built") / "Plugin")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lambdas.runtime_site(tmp_path_factory.mktemp("site") / "runtime")


@pytest.fixture(scope="module")
def template(project: Path) -> dict[str, Any]:
    return lambdas.translated(project / "template.yaml")


@pytest.fixture
def url(postgres: str) -> str:
    return empty_postgres(postgres)


@pytest.fixture
def function(artifacts: Path, site: Path, url: str) -> Iterator[Function]:
    with Function(artifacts, "lambda_handler.handler", {"DATABASE_URL": url}, site) as running:
        yield running


def lint(file: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "--regions", lambdas.REGION, "--", str(file)],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_the_template_and_its_translation_are_valid(
    project: Path, template: dict[str, Any], tmp_path: Path
) -> None:
    assert lint(project / "template.yaml") == ""
    (tmp_path / "translated.json").write_text(json.dumps(template))
    # The translator writes a policy name and a condition key that newer rules only warn about.
    assert lint(tmp_path / "translated.json") == ""
    broken = (project / "template.yaml").read_text().replace("BUFFERED", "SOMEHOW")
    (tmp_path / "broken.yaml").write_text(broken)
    (tmp_path / "broken.json").write_text(json.dumps(lambdas.translated(tmp_path / "broken.yaml")))
    assert "SOMEHOW" in lint(tmp_path / "broken.json")


def test_what_is_built(artifacts: Path, tmp_path: Path) -> None:
    for name in ("app.py", "lambda_handler.py", "ai-plugin.json", "openapi.json", "kit", "fastapi", "mangum"):
        assert (artifacts / name).exists(), name
    for name in ("tests", "wheels", "Dockerfile", "openai", "typer", "build.py"):
        assert not (artifacts / name).exists(), name
    assert list(artifacts.glob("__pycache__/app.*.pyc"))
    assert (
        lambdas.zipped(artifacts, tmp_path / "plugin.zip").stat().st_size < 30_000_000
    )  # bytes; Lambda: 50 MB
    native = list(artifacts.rglob("*.so"))
    assert native
    assert not [file for file in native if "x86_64" not in file.name and "linux" in file.name]


def test_deployed_and_fetched_back_it_runs(
    artifacts: Path, site: Path, template: dict[str, Any], url: str, tmp_path: Path
) -> None:
    archive = lambdas.zipped(artifacts, tmp_path / "plugin.zip")
    folder = tmp_path / "task"
    configuration = lambdas.deployed(template, archive, {"DatabaseUrl": url}, folder)
    assert {"AWS::Lambda::Function", "AWS::IAM::Role"} <= set(configuration["Kinds"])
    assert configuration["Runtime"] == f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = configuration["Environment"]["Variables"]
    assert environment["DATABASE_URL"] == url
    with Function(folder, configuration["Handler"], environment, site) as running:
        status, manifest = running.ask("GET", MANIFEST)
        assert status == 200
        assert manifest["api"]["url"] == f"https://{HOST}{SPEC}"
        status, spec = running.ask("GET", SPEC)
        assert spec["servers"] == [{"url": f"https://{HOST}"}]
        assert running.ask("GET", "/users/sam/todos") == (200, [])
        assert running.ask("POST", "/users/sam/todos", {"text": "buy milk"})[0] == 200
        assert running.ask("GET", "/users/sam/todos")[1][0]["text"] == "buy milk"
        assert running.ask("DELETE", "/users/sam/todos/99")[0] == 404
        assert running.ask("POST", "/users/sam/todos", {"no": 1})[0] == 422
        assert running.ask("GET", "/health")[0] == 200
    with Function(
        folder, configuration["Handler"], environment, site
    ) as another:  # a cold start has the data
        assert another.ask("GET", "/users/sam/todos")[1][0]["text"] == "buy milk"


def test_the_files_are_what_the_app_answers(function: Function) -> None:
    """With an Origin the app itself answers; without one the files do, with the same answer."""
    for path in (MANIFEST, SPEC):
        from_file = function.ask("GET", path)
        from_app = function.ask("GET", path, origin="https://chatgpt.com")
        assert from_file == from_app
        assert function.invoke(event("HEAD", path))["body"] == ""
    answer = function.invoke(event("GET", MANIFEST, origin="https://chatgpt.com"))
    assert answer["headers"]["access-control-allow-origin"] == "https://chatgpt.com"


def test_a_rest_api_with_its_stage(function: Function) -> None:
    answer = function.invoke(rest_event("GET", MANIFEST))
    assert json.loads(answer["body"])["api"]["url"] == f"https://{HOST}/prod{SPEC}"
    assert function.invoke(rest_event("GET", "/users/sam/todos"))["statusCode"] == 200


def test_public_url_wins(artifacts: Path, site: Path) -> None:
    environment = {"PUBLIC_URL": "https://todo.example.com/"}
    with Function(artifacts, "lambda_handler.handler", environment, site) as running:
        assert running.ask("GET", MANIFEST)[1]["api"]["url"] == f"https://todo.example.com{SPEC}"


def test_twenty_writes_at_once_in_four_instances(artifacts: Path, site: Path, url: str) -> None:
    running = [Function(artifacts, "lambda_handler.handler", {"DATABASE_URL": url}, site) for _ in range(4)]
    try:
        # An instance answers one event at a time; the four, all cold, work in parallel.
        def write(number: int) -> list[int]:
            return [
                running[number].ask("POST", "/users/sam/todos", {"text": f"{number}-{n}"})[0]
                for n in range(5)
            ]

        with ThreadPoolExecutor(4) as pool:
            statuses = [status for written in pool.map(write, range(4)) for status in written]
        assert statuses == [200] * 20
        todos = running[0].ask("GET", "/users/sam/todos")[1]
        assert sorted(todo["text"] for todo in todos) == sorted(
            f"{i}-{n}" for i in range(4) for n in range(5)
        )
    finally:
        for function in running:
            function.stop()


def test_an_exception_is_an_answer_and_the_next_request_works(
    artifacts: Path, site: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "task"
    shutil.copytree(artifacts, folder)
    source = (folder / "app.py").read_text()
    (folder / "app.py").write_text(
        f"{source}\n@plugin.get('/broken')\ndef broken() -> str:\n    raise RuntimeError('kaput')\n"
    )
    shutil.rmtree(folder / "__pycache__")
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'data.db'}"}
    with Function(folder, "lambda_handler.handler", environment, site) as running:
        status, body = running.ask("GET", "/broken")
        assert status == 500
        assert "kaput" not in json.dumps(body)  # it is in the log
        assert running.ask("GET", "/users/sam/todos") == (200, [])
        running.stop()
        assert b"kaput" in running.log


def test_a_missing_package_is_noticed(artifacts: Path, site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(artifacts, folder, ignore=shutil.ignore_patterns("mangum*"))
    with Function(folder, "lambda_handler.handler", {}, site) as running:
        assert running.ask("GET", MANIFEST)[0] == 200  # from its file: nothing was imported yet
        with pytest.raises(Refused, match="mangum"):
            running.ask("GET", "/users/sam/todos")
