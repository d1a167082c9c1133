"""Where an exported plugin can run, and which files each of these places needs beside those of every export."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from kit.errors import ExportError

_IMAGE = ("Dockerfile", ".dockerignore")


@dataclass(frozen=True)
class Place:
    """A place by the name that its own documentation gives it. Its commands are a part of README.md."""

    title: str
    files: tuple[str, ...] = ()


PLACES = {
    "container": Place("Docker and Compose", (*_IMAGE, "compose.yaml")),
    "kubernetes": Place("Kubernetes", (*_IMAGE, "kubernetes.yaml")),
    "lambda": Place("AWS Lambda", ("template.yaml", "lambda_handler.py", "Makefile", "build.py")),
    "cloudrun": Place("Google Cloud Run", _IMAGE),
    "fly": Place("Fly.io", (*_IMAGE, "fly.toml")),
    "render": Place("Render", (*_IMAGE, "render.yaml")),
    "spaces": Place("Hugging Face Spaces", _IMAGE),
    "azure": Place("Azure Container Apps", _IMAGE),
    "modal": Place("Modal", ("modal_app.py", ".dockerignore")),
    "vercel": Place("Vercel", ("vercel.json", "vercel_app.py", ".vercelignore")),
    "systemd": Place("a Linux machine with systemd", ("plugin.service",)),
}
DEFAULT = ("container", "kubernetes", "lambda")
# processes: each has up to 15 connections to the database, and PostgreSQL takes 100 by default
MAX_WITH_DATABASE = 6


def chosen(names: str | Iterable[str]) -> tuple[str, ...]:
    """The places that these names choose, in the order of `PLACES`; a text has them separated by commas.

    Raises `ExportError` for a name that is none.
    """
    parts = names.split(",") if isinstance(names, str) else names
    wanted = {part.strip().lower() for part in parts} - {""}
    if unknown := sorted(wanted.difference(PLACES)):
        known = ", ".join(f"{name} ({place.title})" for name, place in PLACES.items())
        raise ExportError(f"There is no place {', '.join(map(repr, unknown))}.", f"Choose among {known}.")
    return tuple(name for name in PLACES if name in wanted)


def left_out(places: Collection[str]) -> set[str]:
    """The files that only other places need."""
    needed = {file for name in places for file in PLACES[name].files}
    return {file for place in PLACES.values() for file in place.files} - needed


def values(places: Collection[str], settings: Collection[str], single: bool) -> dict[str, str]:
    """What the parts of the templates about places are filled in with: for each place its title, "" if it is not chosen.

    `settings` are the names of the environment variables without which the plugin does not run, `single` says that
    there may be only one process of it.
    """
    names = sorted(settings)
    own = [name for name in names if name != "DATABASE_URL"]  # a database of the place's own has an address
    most = 1 if single else MAX_WITH_DATABASE if "DATABASE_URL" in names else 0
    secrets = f" \\\n  --set-secrets {','.join(f'{name}={name}:latest' for name in names)}" if names else ""
    return {
        **{name.upper(): place.title if name in places else "" for name, place in PLACES.items()},
        "REQUIRED": ", ".join(f"`{name}`" for name in names),
        "CISECRETS": "".join(f"\n      {name}: ${{{{ secrets.{name} }}}}" for name in own),
        "RENDERSETTINGS": "".join(f"\n      - key: {name}\n        sync: false" for name in own),
        "CLOUDRUNSECRETS": "".join(
            f'\nprintf %s "${name}" | gcloud secrets create {name} --data-file=-' for name in names
        ),
        "CLOUDRUNOPTIONS": secrets + (f" --max-instances {most}" if most else ""),
        "MAX_REPLICAS": str(most or 10),
        "FLYOPTIONS": " --ha=false" if single else "",
        "AZURESETTINGS": "".join(f' "{name}=${name}"' for name in names),
        "VERCELSETTINGS": "".join(f"\nvercel env add {name} production" for name in names),
    }
