"""The documented rules of Microsoft 365 Copilot, checked in a manifest and in the spec as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal

from kit.addresses import host_of, is_private
from kit.auth import NoAuth
from kit.hosts.findings import Finding
from kit.hosts.texts import MAX_TEXT, followed
from kit.openapi.values import as_list, mapping, pointer_token, unique

if TYPE_CHECKING:
    from kit.description import Description
    from kit.openapi.operation import Operation
    from kit.openapi.spec import Spec

TITLE = "Microsoft 365 Copilot"
HOST = "copilot"
_finding = partial(Finding, HOST)
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TEXT}}}")
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

# What Copilot does not support in a schema: severity, message, remedy, source.
_FLAWS: dict[str, tuple[Literal["error", "warning"], str, str, str]] = {
    "nested": ("error", "has an object inside", "Flatten it: move each inner field to the top level.", ISSUES),
    "polymorphic": ("error", "uses oneOf, allOf or anyOf", "Write one plain schema.", ISSUES),
    "circular": ("error", "has a schema that contains itself", "Flatten it: refer to the inner one by its id.", ISSUES),
    "enum": ("warning", "has an enum with values other than text", "Make it an enum of texts, or list the values in the description.", MANIFEST),
}  # fmt: skip


def check(plugin: Description) -> Iterator[Finding]:
    """A finding for every documented rule that the plugin breaks, in the order of the documents."""
    yield from _manifest_rules(plugin)
    yield from _address_rules(plugin)
    if plugin.spec.version.startswith("3.") and not plugin.spec.version.startswith("3.0"):
        message = f"The spec is OpenAPI {plugin.spec.version}, and Microsoft's parser takes 3.0 only."
        remedy = "Give it the document that `kit render copilot` writes, not the served one."
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
    for tool, name in function_names(plugin).items():
        operation = plugin.tool(tool).operation
        yield from _operation_rules(operation, name, plugin.tool(tool).description)
        yield from _schema_rules(operation, name, schemas)
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
    if host and is_private(host):
        message = f"{address} cannot be reached from Microsoft's servers."
        remedy = "Serve the plugin at a public https address, and pass that as public_url."
        yield _finding("error", "/servers", message, remedy, f"{OVERVIEW}#how-plugins-work")
    elif address.startswith("http://"):
        message = f"{address} is not https: anyone on the way can read what is sent."
        source = "no known document of Microsoft's requires https"
        yield _finding("warning", "/servers", message, "Serve it over https.", source)


def _operation_rules(operation: Operation, name: str, description: str) -> Iterator[Finding]:
    own, place = operation.raw.get("operationId"), f"{operation.pointer}/operationId"
    where = f"{operation.method} {operation.path}"
    if not isinstance(own, str) or not own.strip():
        message = f"{where} has no operationId: Copilot cannot find the function {name}."
        yield _finding("error", operation.pointer, message, f'Write "operationId": "{name}".', MANIFEST, name)
    elif own != name:
        is_repeated = own.strip() == name or re.fullmatch(r"[A-Za-z0-9_-]+", own)
        why = "occurs twice" if is_repeated else "is not a legal name"
        message = f"The operationId {own[:100]!r} {why}: Copilot cannot find the function {name}."
        remedy = f"Name it with letters, digits and _, such as {name.replace('-', '_')}."
        yield _finding("error", place, message, remedy, MANIFEST, name)
    elif "-" in own:
        message = (
            f"The operationId {own[:100]!r} has a hyphen: Copilot's schema allows it, its "
            "documentation does not."
        )
        yield _finding("warning", place, message, f"Name it {own.replace('-', '_')}.", MANIFEST, name)
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


def function_names(plugin: Description) -> dict[str, str]:
    """The function name of each tool: the operationId, by which Copilot finds it in the spec.

    If that is missing or illegal, it is the tool's own name, and `check` reports it.
    """
    names = {name: plugin.tool(name).operation.id for name in plugin.tool_names}
    names = {name: own if _NAME.fullmatch(own) else "" for name, own in names.items()}
    taken = set(names.values())
    for name, own in names.items():
        names[name] = own or unique(name, taken)
        taken.add(names[name])
    return names


# -- schemas ------------------------------------------------------------------


def _schema_rules(operation: Operation, name: str, schemas: _Schemas) -> Iterator[Finding]:
    for place, what, schema, level in _schemas_of(operation):
        for kind, inside in schemas.flaws(schema, level).items():
            severity, message, remedy, source = _FLAWS[kind]
            at = f" ({inside})" if inside else ""
            yield _finding(severity, place, f"{what} of {name} {message}{at}.", remedy, source, name)


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
    """Rules for the schemes that the spec requires; those that it only declares do no harm."""
    document = plugin.spec.document
    required: dict[str, str] = {}  # each scheme, and the first place that requires it
    doubled: set[str] = set()
    for name, function in function_names(plugin).items():
        operation = plugin.tool(name).operation
        own = "security" in operation.raw
        place = f"{operation.pointer}/security" if own else "/security"
        alternatives = as_list(operation.raw["security"] if own else document.get("security"))
        needs = [[str(key) for key in need] for need in alternatives if isinstance(need, Mapping)]
        schemes = list(dict.fromkeys(scheme for need in needs for scheme in need))
        required = {**dict.fromkeys(schemes, place), **required}
        if len(schemes) > 1 and place not in doubled:
            doubled.add(place)
            together = any(len(need) > 1 for need in needs)
            message = (
                f"{'Both' if together else 'Each'} of {', '.join(schemes)} may be required: {TITLE} "
                "sends one."
            )
            remedy = "Require one scheme at each endpoint."
            yield _finding(
                "error" if together else "warning", place, message, remedy, ISSUES, function if own else ""
            )
    if required and isinstance(plugin.manifest.auth, NoAuth):
        message = f"The manifest says that no auth is needed, but the spec requires {', '.join(required)}."
        remedy = "Correct the manifest: Copilot gets its auth."
        yield _finding("warning", "manifest/auth", message, remedy, AUTH)
    schemes_node = mapping(mapping(document.get("components")).get("securitySchemes"))
    for scheme in required:
        yield from _scheme_rules(scheme, followed(plugin.spec, schemes_node.get(scheme)))


def _scheme_rules(name: str, scheme: Mapping[str, Any]) -> Iterator[Finding]:
    place = f"/components/securitySchemes/{pointer_token(name)}"
    kind, where = scheme.get("type"), scheme.get("in")
    if kind == "apiKey" and where == "cookie":
        yield _finding(
            "error", place, f"The key {name} goes into a cookie.", "Accept it as a bearer token.", ISSUES
        )
    elif kind == "apiKey" and str(scheme.get("name")).lower() != "authorization":
        message = (
            f"The key {name} goes into {'the query' if where == 'query' else 'a header of its own'}: one page "
            "of Microsoft's calls that unsupported (known-issues, March 2026), another supported "
            "(plugin-authentication, June 2026)."
        )
        yield _finding("warning", place, message, "A bearer token works according to both.", ISSUES)
    elif kind == "oauth2" and "authorizationCode" not in mapping(scheme.get("flows")):
        message = f"{name} has no authorization code flow, the only OAuth flow that Copilot supports."
        yield _finding("error", place, message, "Offer authorizationCode, with or without PKCE.", ISSUES)
    elif kind == "http" and str(scheme.get("scheme")).lower() != "bearer":
        message = f"{name} is HTTP {scheme.get('scheme')!r}; Copilot supports only bearer."
        yield _finding("error", place, message, "Accept a bearer token.", AUTH)
