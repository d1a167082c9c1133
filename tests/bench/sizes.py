"""Large documents from bytes to tools: the kit beside other OpenAPI readers, and as a document grows.

The peers' versions conflict (fastapi-mcp needs mcp 1, fastmcp mcp 2): those that this interpreter does not have
are in `build/peers/NAME`, an environment for each, which `python tests/bench peers` makes.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent.parent / "build" / "peers"
SLOW = 10  # seconds; above that, one run is enough
LIMIT = 300  # seconds until a reader is killed
ROUNDS = 3

Table = list[tuple[str, ...]]
Job = tuple[str, str, Path]  # interpreter, reader, file
Result = dict[str, Any]  # what `readers.py` prints

# name -> (what it imports, what pip installs)
NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fastmcp": (("fastmcp", "yaml"), ("fastmcp", "pyyaml")),
    "fastapi-mcp": (("fastapi_mcp", "yaml"), ("fastapi-mcp", "mcp<2", "pyyaml")),
    "langchain": (
        ("langchain_classic", "langchain_community", "openapi_pydantic"),
        ("langchain-classic", "langchain-community", "openapi-pydantic"),
    ),
    "semantic-kernel": (("semantic_kernel",), ("semantic-kernel",)),
}
DOCUMENTS = {
    "Kubernetes": "kubernetes__swagger2.json",
    "Stripe": "apisguru__stripe.com.json",
    "Plaid (YAML)": "plaid__2020-09-14.yml",
}
NOTES = """
From the bytes of a file to the list of tools, each in its own process. Imports do not count: they happen
before the clock starts, by reading a document of one operation. The best of 3 runs, or the only one if it
takes more than 10 s. Memory is the peak of the process, and the part of it after the imports.
Kubernetes is Swagger 2.0, which only the kit reads: the peers get it as OpenAPI 3.1 from
kit.render(file, "actions"), which is not timed. kit, langchain and semantic-kernel read YAML themselves;
fastmcp and fastapi-mcp get the result of yaml.load with CSafeLoader, which is timed.
"""


def sizes() -> list[tuple[Table, str]]:
    """Two tables, each with its notes."""
    files = _documents()
    if isinstance(files, str):
        return [([], files)]
    with tempfile.TemporaryDirectory() as folder:
        return [(_readers(files, Path(folder)), NOTES), (_growth(files["Kubernetes"], Path(folder)), "")]


def _documents() -> dict[str, Path] | str:
    """The documents by name, or a sentence on those that are missing."""
    from paths import SHARED

    files = {name: SHARED / "corpus" / "openapi" / file for name, file in DOCUMENTS.items()}
    absent = [path.name for path in files.values() if not path.exists()]
    return f"sizes: not in ../shared/corpus/openapi: {', '.join(absent)}" if absent else files


def _readers(files: dict[str, Path], folder: Path) -> Table:
    import kit

    kubernetes = folder / "kubernetes3.json"
    kubernetes.write_text(json.dumps(kit.render(files["Kubernetes"], "actions")))
    rows: Table = [
        ("document", "reader", "seconds", "/ kit", "peak MB", "/ kit", "after imports", "operations")
    ]
    pythons = {peer: python for peer in NEEDS if (python := _python(peer))}
    for name, file in files.items():
        converted = kubernetes if name == "Kubernetes" else file
        jobs = {"kit": (sys.executable, "kit", file)}
        jobs |= {peer: (python, peer, converted) for peer, python in pythons.items()}
        result = _best(jobs)
        rows.append(_row(name, "kit", result["kit"], result["kit"]))
        for peer in NEEDS:
            if peer in result:
                reader = f"{peer} {result[peer].get('version', '')}".strip()
                rows.append(_row("", reader, result[peer], result["kit"]))
            else:
                rows.append(("", peer, *["-"] * 5, "not installed: python tests/bench peers"))
    return rows


def _row(document: str, reader: str, result: Result, ours: Result) -> tuple[str, ...]:
    if "error" in result:
        why = textwrap.shorten(result["error"], 70, placeholder=" ...")
        return (document, reader, *["-"] * 5, f"none: {why}")
    return (
        document,
        reader,
        f"{result['seconds']:.2f}",
        f"{result['seconds'] / ours['seconds']:.1f}x",
        f"{result['peak']:.0f}",
        f"{result['peak'] / ours['peak']:.1f}x",
        f"{result['peak'] - result['before']:.0f}",
        f"{result['operations']:,}",
    )


def _growth(file: Path, folder: Path) -> Table:
    """How the kit's time grows with the number of operations."""
    rows: Table = [("of Kubernetes", "operations", "ms", "µs per operation")]
    document = json.loads(file.read_bytes())
    jobs: dict[str, Job] = {}
    for part in (8, 4, 2, 1):
        smaller = folder / f"{part}.json"
        smaller.write_text(json.dumps(_cut(document, part)))
        jobs[f"1/{part}"] = (sys.executable, "kit", smaller)
    for name, result in _best(jobs).items():
        took, count = result["seconds"], result["operations"]
        rows.append((name, f"{count:,}", f"{took * 1e3:.0f}", f"{took / count * 1e6:.0f}"))
    return rows


def _cut(document: dict[str, Any], part: int) -> dict[str, Any]:
    """Every operation in `part` of a Swagger 2.0 document, and the definitions that they reach."""
    paths: dict[str, dict[str, Any]] = {}
    number = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            if number % part == 0:
                shared = {key: value for key, value in item.items() if key == "parameters"}
                paths.setdefault(path, shared)[method] = operation
            number += 1
    reached: dict[str, Any] = {}
    waiting = [json.dumps([paths, document["parameters"]])]
    while waiting:
        for name in re.findall(r'"#/definitions/([^"]+)"', waiting.pop()):
            if name not in reached:
                reached[name] = document["definitions"][name]
                waiting.append(json.dumps(reached[name]))
    return {**document, "paths": paths, "definitions": reached}


# -- processes and environments ------------------------------------------------------


def _best(jobs: dict[str, Job]) -> dict[str, Result]:
    """The fastest run of each. They take turns, so that a machine that slows down slows all of them."""
    best: dict[str, Result] = {}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            before = best.get(name)
            if before is None:
                best[name] = _run(*job)
            elif "error" not in before and before["seconds"] < SLOW:
                again = _run(*job)
                if again.get("seconds", SLOW) < before["seconds"]:
                    best[name] = again
    return best


def _run(python: str, reader: str, file: Path) -> Result:
    command = [python, str(HERE / "readers.py"), reader, str(file)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT)
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"no end within {LIMIT} s"}
    except (ValueError, IndexError):
        last = done.stderr.decode(errors="replace").splitlines()[-1:]
        return {"error": f"exit status {done.returncode} {' '.join(last)}"}


def _python(peer: str) -> str | None:
    """The interpreter that has a peer: this one, or that of its environment."""
    if all(importlib.util.find_spec(module) for module in NEEDS[peer][0]):
        return sys.executable
    own = PEERS / peer / "bin" / "python"
    return str(own) if own.exists() else None


def peers() -> None:
    """Makes an environment for each peer that this interpreter does not have."""
    for name, (_, packages) in NEEDS.items():
        if _python(name):
            print(f"{name}: is there")
            continue
        print(f"{name}: pip install {' '.join(packages)} into build/peers/{name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS / name)], check=True)
        own = str(PEERS / name / "bin" / "python")
        subprocess.run([own, "-m", "pip", "install", "-q", *packages], check=True)
