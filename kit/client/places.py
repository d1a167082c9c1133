"""Where the documents of a plugin are: at the address that was given, or at one of the well-known places below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kit.addresses import is_document
from kit.client.answers import Answer
from kit.client.transport import Transport
from kit.errors import InstallError, SpecError
from kit.manifest import MANIFEST_PATH, SPEC_PATH
from kit.openapi.documents import decoded, parse
from kit.openapi.spec import Problem

_SPEC_PATHS = (
    SPEC_PATH,
    "/.well-known/openapi.yaml",
    "/openapi.json",
    "/openapi.yaml",
)  # of plugins and of FastAPI


@dataclass
class Found:
    """A manifest or a spec, and the address that it came from."""

    document: dict[str, Any]
    address: str


async def look_for(url: str, transport: Transport, problems: list[Problem]) -> Found:
    """The manifest or spec at an address, or at one of the well-known places below it. A missing manifest goes into `problems`.

    What came decides: specs have addresses without an ending (`/v3/api-docs`, `?format=json`), and some hosts
    answer every address with a page. A bare host is asked for its manifest first, as ChatGPT did.
    """
    parts = urlsplit(url)
    if is_document(url):
        answer = await transport.fetch(url)
        return Found(parsed(answer, url), answer.url)
    below = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    places = [below + path for path in (MANIFEST_PATH, *_SPEC_PATHS)]
    is_bare = not parts.path.strip("/") and not parts.query
    tried: list[str] = []
    for place in [*places, url] if is_bare else [url, *places]:
        answer = await transport.fetch(place)
        reason = f"answers {answer.status}"
        if answer.status == 200:
            try:
                document = parsed(answer, place)
            except InstallError as error:
                reason = error.problem.removeprefix(place).strip().rstrip(".")
            else:
                if is_manifest(document) or document.keys() & {"openapi", "swagger", "paths"}:
                    return _noted(Found(document, answer.url), places[0], tried, problems)
                reason = (
                    f"is neither a manifest nor a spec: its keys are {', '.join(map(str, document))[:80]}"
                )
        tried.append(f"{place} {reason}")
    lines = "\n".join(f"  {line}" for line in tried)
    raise InstallError(
        f"There is no plugin at {url}. Tried:\n{lines}",
        "A plugin serves its manifest at /.well-known/ai-plugin.json; a spec may have any address. Is it right?",
        source=url,
    )


def _noted(found: Found, manifest_url: str, tried: list[str], problems: list[Problem]) -> Found:
    """A spec that was found in place of the manifest, and so noted."""
    for line in tried if not is_manifest(found.document) else ():
        place, _, reason = line.partition(" ")
        if place == manifest_url:
            message = f"missing ({place} {reason}): made from the spec at {found.address}"
            problems.append(("manifest", message))
    return found


def is_manifest(document: Mapping[str, Any]) -> bool:
    """Whether a document is a manifest, or a store's record with one inside."""
    nested = document.get("manifest")
    fields = {"schema_version", "name_for_model", "api", "name_for_human"}
    return not document.keys() & {"openapi", "swagger", "paths"} and bool(
        fields & document.keys() or (isinstance(nested, Mapping) and fields & nested.keys())
    )


def parsed(answer: Answer, url: str) -> dict[str, Any]:
    """The document in an answer. Raises `InstallError` for an answer that holds none."""
    if answer.status != 200:
        raise InstallError(
            f"{url} answers {answer.status}, not a document.", "Is the address right?", source=url
        )
    if answer.is_cut:
        raise InstallError(
            f"{url} is longer than {len(answer.content):,} bytes.",
            "Install a smaller part of it.",
            source=url,
        )
    try:
        return parse(decoded(answer.content, answer.charset), url)
    except SpecError as error:
        raise InstallError(
            error.problem, "It should be a manifest or a spec, in JSON or YAML.", source=url
        ) from None
