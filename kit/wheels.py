"""The installed kit as a wheel: it is in no package index, so a project brings it along."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import kit

DISTRIBUTION = "notebook-plugin-kit"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: the same wheel has the same bytes


def write_wheel(folder: Path) -> Path:
    """Writes the wheel of the kit that runs into `folder` and gives its path. Needs no tool, no network."""
    installed = distribution(DISTRIBUTION)
    stem = f"{DISTRIBUTION.replace('-', '_')}-{installed.version}"
    info = f"{stem}.dist-info"
    contents = _package()
    for file in installed.files or ():
        place = file.as_posix().partition(".dist-info/")[2]
        if place.startswith(("METADATA", "entry_points.txt", "licenses/")):
            contents[f"{info}/{place}"] = Path(str(file.locate())).read_bytes()
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
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
    package = Path(kit.__file__).parent
    inside = package / "tutorial"
    return inside if inside.is_dir() else package.parent / "notebooks"


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
    package = Path(kit.__file__).parent
    files = {
        f"kit/{path.relative_to(package).as_posix()}": path
        for path in sorted(package.rglob("*"))
        if is_ours(path, package) and path.relative_to(package).parts[0] != "tutorial"
    }
    files |= {f"kit/tutorial/{name.as_posix()}": tutorial_folder() / name for name in tutorial_files()}
    return {name: path.read_bytes() for name, path in sorted(files.items())}


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
