"""The rules of Microsoft 365 Copilot: an error is what Microsoft's own parser refuses or calls without a credential,
or what its servers cannot reach; what only its documentation calls unsupported is a warning.

That parser, which its toolkit reads a spec with, is https://www.npmjs.com/package/@microsoft/m365-spec-parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from kit.addresses import NOWHERE, host_of, is_private
from kit.auth import NoAuth
from kit.hosts import openapi30
from kit.hosts.findings import Finding
from kit.hosts.texts import MAX_TEXT, followed
from kit.openapi.values import as_list, mapping, pointer_token

if TYPE_CHECKING:
    from kit.description import Description
    from kit.openapi.operation import Operation
    from kit.openapi.spec import Spec

TITLE = "Microsoft 365 Copilot"
HOST = "copilot"
_finding = partial(Finding, HOST)
_DOCS = "https://github.com/MicrosoftDocs/m365copilot-docs/blob/main/docs"
MANIFEST = f"{_DOCS}/plugin-manifest-2.4.md"
ISSUES = f"{_DOCS}/known-issues.md#some-openapi-features-arent-supported"
PARSER = "https://www.npmjs.com/package/@microsoft/m365-spec-parser"
AUTH = f"{_DOCS}/plugin-authentication.md"
OVERVIEW = f"{_DOCS}/overview-plugins.md"
GUIDANCE = f"{_DOCS}/openapi-document-guidance.md"

MAX_FUNCTIONS = 10  # "the quality of the responses might degrade if more", OVERVIEW, Limitations
# Characters beyond these "MAY be ignored": MANIFEST.
LIMITS = {"name_for_human": 20, "description_for_human": 100, "description_for_model": 2048}
MAX_VISITS = 200_000  # schemas that one check visits: an untrusted document may be endless

# What Copilot does not support in a schema by its documentation: message, remedy, source. Its parser takes all of
# them, and Microsoft's own samples have objects inside (placeOrder of Il Ristorante), so none of them is an error.
_FLAWS = {
    "nested": ("has an object inside", "Flatten it: move each inner field to the top level.", ISSUES),
    "polymorphic": ("uses oneOf, allOf or anyOf", "Write one plain schema.", ISSUES),
    "circular": ("has a schema that contains itself", "Flatten it: refer to the inner one by its id.", ISSUES),
    "enum": ("has an enum with values other than text", "Make it an enum of texts, or list the values in the description.", MANIFEST),
}  # fmt: skip


def check(plugin: Description) -> Iterator[Finding]:
    """A finding for every documented rule that the plugin breaks, in the order of the documents."""
    yield from _manifest_rules(plugin)
    yield from _address_rules(plugin)
    if plugin.spec.version.startswith("3.") and not plugin.spec.version.startswith("3.0"):
        message = f"The spec is OpenAPI {plugin.spec.version}, and Microsoft's parser takes 3.0 only."
        remedy = (
            f"Give it the document that `kit render copilot` writes beside the manifest, {openapi30.FILE}."
        )
        yield _finding("warning", "/openapi", message, remedy, PARSER)
    if not plugin.spec.description.strip():
        message = "The spec does not say what the API is for."
        remedy = "Write info.description: Copilot chooses by it."
        yield _finding("warning", "/info", message, remedy, GUIDANCE)
    count = len(plugin.tool_names)
    if count > MAX_FUNCTIONS:
        message = f"There are {count} functions; with more than {MAX_FUNCTIONS} Copilot's answers get worse."
        yield _finding("warning", "/paths", message, "Leave out what a user would not ask for.", OVERVIEW)
    schemas = _Schemas(plugin.spec)
    for name, tool in plugin.by_name.items():
        yield from _operation_rules(tool.operation, name, tool.description)
        yield from _schema_rules(tool.operation, name, schemas)
    if schemas.budget <= 0:
        message = (
            "There are too many schemas to check them all: the rest may contain what Copilot does "
            "not support."
        )
        remedy = "Check a smaller part of the spec."
        yield _finding(
            "warning", "/components/schemas", message, remedy, "not from Microsoft: the kit's own limit"
        )
    yield from _security_rules(plugin)


def _manifest_rules(plugin: Description) -> Iterator[Finding]:
    manifest = plugin.manifest
    for name, limit in LIMITS.items():
        text, place = getattr(manifest, name), f"manifest/{name}"
        if not text.strip() and name != "description_for_model":
            yield _finding("error", place, f"{name} is empty, but required.", "Write it.", MANIFEST)
        elif len(text) > limit:
            message = f"{name} has {len(text)} characters; Copilot may ignore those after {limit}."
            yield _finding("warning", place, message, f"Put what matters in the first {limit}.", MANIFEST)
    if not re.search(r"[A-Za-z0-9]", manifest.name_for_model):
        message = f"{manifest.name_for_model!r} gives no namespace: it has no letter or digit."
        remedy = "Give it a name of letters and digits."
        yield _finding("error", "manifest/name_for_model", message, remedy, MANIFEST)
    legal = manifest.legal_info_url
    if legal and not legal.startswith(("https://", "http://")):
        message = f"{legal!r} is not an absolute URL: left out."
        yield _finding("warning", "manifest/legal_info_url", message, "Write https://...", MANIFEST)
    if getattr(manifest.auth, "authorization_type", "bearer") == "basic":
        message = "Copilot sends a key as a bearer token; it does not know 'basic'."
        remedy = "Accept the token as 'bearer'."
        yield _finding("error", "manifest/auth/authorization_type", message, remedy, AUTH)


def _address_rules(plugin: Description) -> Iterator[Finding]:
    """Copilot calls the API from Microsoft's servers, so it must be public. The spec lies beside the manifest."""
    address = plugin.base_url
    host = host_of(address)
    if address == NOWHERE:
        message = "The spec names no server, or one without a host: Microsoft's parser refuses it."
        yield _finding("error", "/servers", message, "Add 'servers' to it, or pass base_url=.", PARSER)
    elif host and is_private(host):
        message = f"{address} cannot be reached from Microsoft's servers."
        remedy = "Serve the plugin at a public https address, and pass that as public_url."
        yield _finding("error", "/servers", message, remedy, f"{OVERVIEW}#how-plugins-work")
    elif address.startswith("http://"):
        message = f"{address} is not https: anyone on the way can read what is sent."
        source = "no known document of Microsoft's requires https"
        yield _finding("warning", "/servers", message, "Serve it over https.", source)


def _operation_rules(operation: Operation, name: str, description: str) -> Iterator[Finding]:
    where = f"{operation.method} {operation.path}"
    if "-" in name:  # the document beside the manifest has the same name
        message = f"{name!r} has a hyphen: Copilot's schema allows it, its documentation does not."
        remedy = f"Name it {name.replace('-', '_')}."
        yield _finding("warning", f"{operation.pointer}/operationId", message, remedy, MANIFEST, name)
    if not description.strip():
        message = f"{where} has neither summary nor description: Copilot chooses by them."
        remedy = "Say in a sentence what it does."
        yield _finding("warning", operation.pointer, message, remedy, GUIDANCE, name)
    elif len(description) > MAX_TEXT:
        message = f"The description has {len(description):,} characters, the limit is 4K: cut."
        remedy = "Shorten it, and put what matters first."
        yield _finding(
            "warning", f"{operation.pointer}/description", message, remedy, f"{MANIFEST}#string-length", name
        )


# -- schemas ------------------------------------------------------------------


def _schema_rules(operation: Operation, name: str, schemas: _Schemas) -> Iterator[Finding]:
    for place, what, schema, level in _schemas_of(operation):
        for kind, inside in schemas.flaws(schema, level).items():
            message, remedy, source = _FLAWS[kind]
            at = f" ({inside})" if inside else ""
            yield _finding("warning", place, f"{what} of {name} {message}{at}.", remedy, source, name)


def _schemas_of(operation: Operation) -> Iterator[tuple[str, str, Any, int]]:
    """(place, what it is, schema, how many objects enclose it) for the parameters and the body."""
    spec, item_place = operation.spec, operation.pointer.rpartition("/")[0]
    item = followed(spec, mapping(spec.document.get("paths")).get(operation.path))
    for place, holder in ((item_place, item), (operation.pointer, operation.raw)):
        for number, raw in enumerate(as_list(holder.get("parameters"))):
            parameter = followed(spec, raw)
            content = mapping(parameter.get("content"))
            schema = parameter.get("schema", mapping(next(iter(content.values()), None)).get("schema"))
            yield f"{place}/parameters/{number}", f"The parameter {parameter.get('name')!r}", schema, 1
    body = followed(spec, operation.raw.get("requestBody"))
    for media in list(mapping(body.get("content")).values())[:1]:
        yield f"{operation.pointer}/requestBody", "The body", mapping(media).get("schema"), 0


class _Schemas:
    """The schemas of one spec. The target of a reference is read once, however many operations use it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.budget = MAX_VISITS
        self._read: dict[str, tuple[dict[str, str], list[tuple[str, int]]]] = {}
        self._known: dict[tuple[str, int], dict[str, str]] = {}

    def flaws(self, schema: Any, level: int) -> dict[str, str]:
        """Each kind of flaw in a schema and all that it refers to, with the place of the first one."""
        ref = mapping(schema).get("$ref")
        key = (ref, level) if isinstance(ref, str) else None
        if key in self._known:
            return self._known[key]
        first_places: dict[str, str] = {}
        graph: dict[str, set[str]] = {}
        seen: set[tuple[str, int]] = set()
        waiting = [("", level, *self._look(schema, ""))]
        while waiting:
            at, depth, flaws, refs = waiting.pop()
            for kind, place in flaws.items():
                if kind != "object":
                    first_places.setdefault(kind, place)
                elif depth:
                    first_places.setdefault("nested", place)
            graph.setdefault(at, set()).update(target for target, _ in refs)
            for target, inner in refs:
                state = (target, min(1, depth + inner))
                if state not in seen and self.budget > 0:
                    seen.add(state)
                    self.budget -= 1
                    waiting.append((target, state[1], *self._at(target)))
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            first_places["circular"] = error.args[1][0]
        if key is not None:
            self._known[key] = first_places
        return first_places

    def _at(self, ref: str) -> tuple[dict[str, str], list[tuple[str, int]]]:
        if ref not in self._read:
            self._read[ref] = self._look(self.spec.lookup(ref), ref)
        return self._read[ref]

    def _look(self, schema: Any, place: str) -> tuple[dict[str, str], list[tuple[str, int]]]:
        """What one place contains: flaws, and references, each with the number of objects around it.

        `object` is not a flaw yet: it becomes one if the reference itself is inside an object.
        """
        flaws: dict[str, str] = {}
        refs: list[tuple[str, int]] = []
        waiting = [(schema, 0, place)]
        seen: set[tuple[int, bool]] = set()  # a YAML anchor may repeat a schema, or make a loop
        while waiting and self.budget > 0:
            node, level, at = waiting.pop()
            self.budget -= 1
            if (
                not isinstance(node, Mapping) or node.get("readOnly") is True
            ):  # read-only properties are not sent
                continue
            if (id(node), level > 0) in seen:
                continue
            seen.add((id(node), level > 0))
            if isinstance(node.get("$ref"), str):
                refs.append((node["$ref"], min(1, level)))
                continue
            for word in ("oneOf", "allOf", "anyOf"):
                parts = as_list(node.get(word))
                # "or null", and one alternative alone, are written as a plain schema: kit/openapi/version30.py
                if sum(mapping(part).get("type") != "null" for part in parts) > 1:
                    flaws.setdefault("polymorphic", f"{at}/{word}".lstrip("/"))
                if parts:
                    waiting += [(part, level, f"{at}/{word}/{n}") for n, part in enumerate(parts)]
            values = node.get("enum")
            if isinstance(values, list) and not all(isinstance(v, str) or v is None for v in values):
                flaws.setdefault("enum", at.lstrip("/"))
            properties, more = mapping(node.get("properties")), node.get("additionalProperties")
            if properties or node.get("type") == "object":
                flaws.setdefault("nested" if level else "object", at.lstrip("/"))
                waiting += [(item, level + 1, f"{at}/properties/{name}") for name, item in properties.items()]
                waiting.append((more, level + 1, f"{at}/additionalProperties"))
            waiting.append((node.get("items"), level, f"{at}/items"))
        return flaws, refs


# -- security -----------------------------------------------------------------


def _security_rules(plugin: Description) -> Iterator[Finding]:
    """Rules for the schemes that operations require; those that the spec only declares do no harm."""
    schemes = plugin.spec.security_schemes
    required: dict[str, str] = {}  # each scheme that may be sent alone, and the first place that requires it
    seen: set[str] = set()
    for name, tool in plugin.by_name.items():
        operation = tool.operation
        own = "security" in operation.raw
        place, function = (f"{operation.pointer}/security", name) if own else ("/security", "")
        needs = [list(map(str, need)) for need in operation.security if need and isinstance(need, Mapping)]
        if not needs or place in seen:
            continue
        seen.add(place)
        required = {**{scheme: place for need in needs for scheme in need}, **required}
        named = ", ".join(dict.fromkeys(scheme for need in needs for scheme in need))
        alone = [need[0] for need in needs if len(need) == 1]
        refused = [why for scheme in alone if (why := _unsupported(mapping(schemes.get(scheme))))]
        if not alone:
            message = (
                f"Both of {named} are required: {TITLE} sends one, and its parser refuses the operation."
            )
            remedy = "Require one scheme at each endpoint."
            yield _finding("error", place, message, remedy, ISSUES, function)
        elif len(refused) == len(alone) and {} not in operation.security:
            message = f"{named}: {refused[0]}: its parser sends no credential."
            remedy = "Accept a bearer token, or OAuth with authorizationCode, with or without PKCE."
            yield _finding("error", place, message, remedy, ISSUES, function)
        elif len(needs) > 1:
            message = f"Each of {named} may be required: {TITLE} sends one."
            yield _finding(
                "warning", place, message, "Require one scheme at each endpoint.", ISSUES, function
            )
    if required and isinstance(plugin.manifest.auth, NoAuth):
        message = f"The manifest says that no auth is needed, but the spec requires {', '.join(required)}."
        remedy = "Correct the manifest: Copilot gets its auth."
        yield _finding("warning", "manifest/auth", message, remedy, AUTH)
    for scheme in required:
        yield from _key_rules(scheme, mapping(schemes.get(scheme)))


def _unsupported(scheme: Mapping[str, Any]) -> str:
    """Why Copilot sends no credential for a scheme, or nothing."""
    kind = scheme.get("type")
    if kind == "apiKey":
        return "the key goes into a cookie" if scheme.get("in") == "cookie" else ""
    if kind == "oauth2":
        flows = mapping(scheme.get("flows"))
        return "" if "authorizationCode" in flows else "there is no authorization code flow, the only one that Copilot supports"  # fmt: skip
    if kind == "http":
        word = str(scheme.get("scheme"))
        return "" if word.lower() == "bearer" else f"it is HTTP {word!r}, and Copilot supports only bearer"
    return f"Copilot supports no {kind}" if kind else ""  # a scheme that is not declared is noted elsewhere


def _key_rules(name: str, scheme: Mapping[str, Any]) -> Iterator[Finding]:
    where = scheme.get("in")
    if scheme.get("type") == "apiKey" and where != "cookie" and str(scheme.get("name")).lower() != "authorization":  # fmt: skip
        message = (
            f"The key {name} goes into {'the query' if where == 'query' else 'a header of its own'}: one page "
            "of Microsoft's calls that unsupported (known-issues, March 2026), another supported "
            "(plugin-authentication, June 2026)."
        )
        place = f"/components/securitySchemes/{pointer_token(name)}"
        yield _finding("warning", place, message, "A bearer token works according to both.", ISSUES)
