"""The installed kit as a wheel: it is in no package index, so a project carries a copy."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTION = "notebook-plugin-kit"
PACKAGE = Path(__file__).parent.parent
# The part of the kit that a server needs, by rooms. Every name makes all exported projects larger.
SERVING = (
    "__init__", "__main__", "errors", "addresses", "auth", "jupyter", "markup", "names", "redaction", "sockets", "traces", "visible", "words",
    "openapi", "diagrams", "manifest", "tools", "forms", "plugin", "notebook", "runner",
)  # fmt: skip
SERVING_NEEDS = ("fastapi", "pydantic", "python-multipart", "uvicorn", "httptools", "pyyaml")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: the same wheel always has the same bytes


def write_wheel(folder: Path) -> Path:
    """Writes the running kit as a wheel into `folder` and returns its path. Needs no tool and no network."""
    installed = distribution(DISTRIBUTION)
    info = _information("METADATA", "entry_points.txt", "licenses/")
    return _write(folder, installed.version, _package(), info)


def write_serving_wheel(folder: Path) -> Path:
    """The same for the part of the kit that a server needs; its only command is `kit serve`.

    It has the kit's own name, so that installing the whole kit replaces it.
    """
    installed = distribution(DISTRIBUTION)
    rooms = {"py", *SERVING}  # py.typed
    parts = {name: data for name, data in _package().items() if re.split("[/.]", name)[1] in rooms}
    version = f"{installed.version}+serving"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {DISTRIBUTION}",
        f"Version: {version}",
        "Summary: The part of the kit that serves a plugin.",
        f"Requires-Python: {installed.metadata['Requires-Python']}",
        *(f"Requires-Dist: {requirement}" for requirement in serving_requirements()),
    ]
    metadata = "\n".join([*lines, ""]).encode()
    command = b"[console_scripts]\nkit = kit.runner.command:main\n"
    info = {"METADATA": metadata, "entry_points.txt": command, **_information("licenses/")}
    return _write(folder, version, parts, info)


def serving_requirements() -> list[str]:
    """What the serving part needs, by the kit's own metadata."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    parsed = [Requirement(text) for text in distribution(DISTRIBUTION).requires or ()]
    return [str(it) for it in parsed if it.marker is None and canonicalize_name(it.name) in SERVING_NEEDS]


def _information(*names: str) -> dict[str, bytes]:
    """These files of the installed kit's metadata."""
    files = (
        (file.as_posix().partition(".dist-info/")[2], file) for file in distribution(DISTRIBUTION).files or ()
    )
    return {name: Path(str(file.locate())).read_bytes() for name, file in files if name.startswith(names)}


def _write(folder: Path, version: str, contents: dict[str, bytes], info: dict[str, bytes]) -> Path:
    stem = f"{DISTRIBUTION.replace('-', '_')}-{version}"
    directory = f"{stem}.dist-info"
    info["WHEEL"] = b"Wheel-Version: 1.0\nGenerator: kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {**contents, **{f"{directory}/{name}": data for name, data in info.items()}}
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{directory}/RECORD"] = f"{record}{directory}/RECORD,,\n".encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o100644 << 16  # rw-r--r--
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def tutorial_folder() -> Path:
    """The folder of the tutorial's notebooks: in the installed kit, or beside it in a checkout."""
    installed = PACKAGE / "tutorial"
    return installed if installed.is_dir() else PACKAGE.parent / "notebooks"


def tutorial_files() -> list[Path]:
    """The notebooks and their pictures, relative to `tutorial_folder()`.

    Only the numbered ones: a notebook of the reader's own beside them must not go into a wheel.
    """
    folder = tutorial_folder()
    paths = [*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("images/*")]
    return sorted(path.relative_to(folder) for path in paths if is_ours(path, folder))


def is_ours(path: Path, folder: Path) -> bool:
    """Whether it is a file that nobody's tool left in `folder`, such as `.ipynb_checkpoints` or `.DS_Store`."""
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts)


def _package() -> dict[str, bytes]:
    files = {
        f"kit/{path.relative_to(PACKAGE).as_posix()}": path
        for path in sorted(PACKAGE.rglob("*"))
        if is_ours(path, PACKAGE) and path.relative_to(PACKAGE).parts[0] != "tutorial"
    }
    files |= {f"kit/tutorial/{name.as_posix()}": tutorial_folder() / name for name in tutorial_files()}
    return {name: path.read_bytes() for name, path in sorted(files.items())}


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
