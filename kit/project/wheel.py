"""The installed kit as a wheel: it is in no package index, so a project brings it along."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTION = "notebook-plugin-kit"
PACKAGE = Path(__file__).parent.parent
# The part of the kit that a server needs, by rooms. A name more makes every exported project larger.
SERVING = (
    "__init__", "__main__", "errors", "addresses", "jupyter", "markup", "names", "redaction", "sockets", "openapi", "diagrams",
    "manifest", "plugin", "notebook", "runner",
)  # fmt: skip
SERVING_NEEDS = ("fastapi", "pydantic", "python-multipart", "uvicorn", "httptools", "pyyaml")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: the same wheel has the same bytes


def write_wheel(folder: Path) -> Path:
    """Writes the wheel of the kit that runs into `folder` and gives its path. Needs no tool, no network."""
    installed = distribution(DISTRIBUTION)
    info = _information("METADATA", "entry_points.txt", "licenses/")
    return _write(folder, installed.version, _package(), info)


def write_serving_wheel(folder: Path) -> Path:
    """The same for the part of the kit that a server needs: no notebook, no model, and of the command `kit serve`.

    It goes by the kit's own name, so that the whole kit takes its place where that is installed.
    """
    installed = distribution(DISTRIBUTION)
    wanted = {"py", *SERVING}  # py.typed
    parts = {name: data for name, data in _package().items() if re.split("[/.]", name)[1] in wanted}
    version = f"{installed.version}+serving"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {DISTRIBUTION}",
        f"Version: {version}",
        "Summary: The part of the kit that serves a plugin.",
        f"Requires-Python: {installed.metadata['Requires-Python']}",
        *(f"Requires-Dist: {needed}" for needed in serving_requirements()),
    ]
    metadata = "\n".join([*lines, ""]).encode()
    command = b"[console_scripts]\nkit = kit.runner.command:main\n"
    info = {"METADATA": metadata, "entry_points.txt": command, **_information("licenses/")}
    return _write(folder, version, parts, info)


def serving_requirements() -> list[str]:
    """What the serving part needs, as the kit's own metadata says it."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    parsed = [Requirement(text) for text in distribution(DISTRIBUTION).requires or ()]
    return [str(it) for it in parsed if it.marker is None and canonicalize_name(it.name) in SERVING_NEEDS]


def _information(*wanted: str) -> dict[str, bytes]:
    """These files of the installed kit's metadata."""
    places = {
        file.as_posix().partition(".dist-info/")[2]: file for file in distribution(DISTRIBUTION).files or ()
    }
    found = {place: file for place, file in places.items() if place.startswith(wanted)}
    return {place: Path(str(file.locate())).read_bytes() for place, file in found.items()}


def _write(folder: Path, version: str, contents: dict[str, bytes], info: dict[str, bytes]) -> Path:
    stem = f"{DISTRIBUTION.replace('-', '_')}-{version}"
    place = f"{stem}.dist-info"
    info["WHEEL"] = b"Wheel-Version: 1.0\nGenerator: kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {**contents, **{f"{place}/{name}": data for name, data in info.items()}}
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{place}/RECORD"] = f"{record}{place}/RECORD,,\n".encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o100644 << 16  # rw-r--r--
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def tutorial_folder() -> Path:
    """Where the tutorial's notebooks are: within the installed kit, or beside it in a checkout."""
    inside = PACKAGE / "tutorial"
    return inside if inside.is_dir() else PACKAGE.parent / "notebooks"


def tutorial_files() -> list[Path]:
    """The notebooks and their pictures, relative to `tutorial_folder()`.

    Only the numbered ones: a notebook of the reader's own beside them must not travel in a wheel.
    """
    folder = tutorial_folder()
    found = [*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("images/*")]
    return sorted(path.relative_to(folder) for path in found if is_ours(path, folder))


def is_ours(path: Path, folder: Path) -> bool:
    """Whether it is a file of the kit, not what a tool left in `folder`: `.ipynb_checkpoints`, `.DS_Store`."""
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
