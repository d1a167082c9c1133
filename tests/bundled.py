"""The libraries of the local ChatGPT's page, as npm has them: `python tests/bundled.py` writes them anew.

Another version of one: change it in `packages.json`, run this, and `tests/web/test_bundled.py`.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "kit" / "web" / "static" / "bundled"
LIST = FOLDER / "packages.json"


def fetched(name: str, version: str) -> tarfile.TarFile:
    """The package of the registry, which npm checks against its integrity."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, capture_output=True)
        (packed,) = Path(folder).iterdir()
        return tarfile.open(fileobj=io.BytesIO(packed.read_bytes()))


def main() -> None:
    packages = json.loads(LIST.read_text(encoding="utf-8"))
    for package in packages:
        with fetched(package["name"], package["version"]) as archive:
            for kind in ("file", "license"):
                member = archive.extractfile(f"package/{package[kind]['from']}")
                assert member is not None
                content = member.read()
                (FOLDER / package[kind]["as"]).write_bytes(content)
                package[kind]["sha256"] = hashlib.sha256(content).hexdigest()
    LIST.write_text(json.dumps(packages, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
