"""An operation as a function tool for a model, and the arguments that the model passes, checked.

Path, query, header, cookie and body become one flat list of arguments; if two of them share a name,
the later ones carry their place in the name. `request.py` turns them back into a request.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Container, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kit.openapi import forms
from kit.openapi.documents import read_json
from kit.openapi.operation import Body, Operation, is_json
from kit.openapi.repairs import is_a
from kit.openapi.spec import Spec
from kit.openapi.values import unique
from kit.tools import locations, misfits, patterns, serialization
from kit.tools.request import Argument, Request, make_request
from kit.tools.schemas import HEAVY, Converter, merged
from kit.tools.strict import is_strict

MAX_NAME = 64  # characters, of [a-zA-Z0-9_-]: FunctionObject in OpenAI's API description
CHARACTERS_PER_TOKEN = 4  # of JSON in English, roughly

# A body whose schema has more than these keywords is one argument; else each of its properties is one.
_FLAT = {
    "type",
    "properties",
    "required",
    "description",
    "title",
    "additionalProperties",
    "examples",
    "deprecated",
}
# The keywords that `_fits_plainly` can check.
_PLAIN = {"type", "format", "pattern", "items", "description", "title", "default", "examples", "deprecated"}


class Tool:
    """The function tool for one operation, built on demand.

    `name` is legal and unique among the plugin's tools.
    """

    def __init__(self, operation: Operation, name: str, converter: Converter, answers: Converter) -> None:
        self.operation = operation
        self.name = name
        self._converter = converter
        self._answers = answers

    @cached_property
    def arguments(self) -> dict[str, Argument]:
        """The arguments by name: the parameters in their order, then those of the body."""
        arguments: dict[str, Argument] = {}
        for parameter in self.operation.parameters:
            schema = locations.fit(self._convert(parameter.schema), parameter, self._converter)
            if parameter.description:
                schema = {**schema, "description": parameter.description}
            _add(arguments, Argument(parameter.name, schema, parameter.required, parameter))
        if self.operation.body is not None:
            for argument in self._of_body(self.operation.body):
                _add(arguments, argument)
        return arguments

    def _convert(self, schema: Any, place: str = "") -> dict[str, Any]:
        return self._converter.convert(schema, self.operation.pointer + place).schema

    @cached_property
    def _body_schema(self) -> dict[str, Any]:
        body = self.operation.body
        if body is None:
            return {}
        schema = merged(self._convert(body.schema, "/requestBody"), self._converter)
        if is_json(body.media_type) or _is_form(body) or locations.is_lines(body.media_type):
            return schema
        description = schema.get("description") or body.description or f"The body, as {body.media_type}."
        return {"type": "string", "description": description}

    def _of_body(self, body: Body) -> list[Argument]:
        schema, form = self._body_schema, _is_form(body)
        flat = (
            schema.get("type", "object") == "object"
            and schema.get("properties")
            and schema.keys() <= _FLAT
            and schema.get("additionalProperties") in (None, False)
            and not locations.is_lines(body.media_type)
        )
        if not flat:
            if form:
                schema = {**schema, "type": "object"}
            if body.description and "description" not in schema:
                schema = {**schema, "description": body.description}
            return [Argument(body.name or "body", schema, body.required)]
        # What an optional body requires is required here, too: half a body would be refused, and many
        # authors forget to declare a body as required.
        required = schema.get("required", [])
        properties = {**schema["properties"], **{n: {} for n in required if n not in schema["properties"]}}
        if form:
            properties = {
                n: locations.in_form(it, n in required, self._converter) for n, it in properties.items()
            }
        return [Argument(name, item, name in required, key=name) for name, item in properties.items()]

    @property
    def description(self) -> str:
        """Summary and description, without repeating either."""
        summary, description = self.operation.summary, self.operation.description
        start = summary.rstrip(".")
        after = description[len(start) : len(start) + 1]
        # not a regular expression: compiling one for each summary takes longer than the rest of the tool
        if not summary or (description.startswith(start) and not (after.isalnum() or after == "_")):
            return description
        return f"{summary}\n\n{description}" if description else summary

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the arguments."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: argument.schema for name, argument in self.arguments.items()},
            "required": [name for name, argument in self.arguments.items() if argument.required],
            "additionalProperties": False,
        }
        if self._definitions:
            schema["$defs"] = self._definitions
        return schema

    @cached_property
    def _definitions(self) -> dict[str, Any]:
        return self._converter.definitions(
            name for argument in self.arguments.values() for name in self._converter.names_in(argument.schema)
        )

    @cached_property
    def tokens(self) -> int:
        """Roughly how many tokens of a model's context the tool takes."""
        own = {key: value for key, value in self.parameters.items() if key != "$defs"}
        characters = len(json.dumps(own)) + len(self.description) + len(self.name)
        return (characters + self._converter.characters(self._definitions)) // CHARACTERS_PER_TOKEN

    def answer(self, most: int) -> dict[str, Any] | None:
        """The JSON Schema (2020-12) of what a successful call returns.

        None if it is not declared, or has more than `most` characters with all that it refers to.
        """
        declared, converter = self.operation.answer_schema, self._answers
        if declared is None:
            return None
        schema = merged(converter.convert(declared, f"{self.operation.pointer}/responses").schema, converter)
        definitions = converter.definitions(converter.names_in(schema))
        if converter.characters(definitions) > most or len(json.dumps(schema)) > most:
            return None
        return {**schema, "$defs": definitions} if definitions else schema

    @cached_property
    def strict(self) -> bool:
        """Whether the schema fits OpenAI's strict mode as it is."""
        return is_strict(self.parameters)

    def render(self, api: str = "responses") -> dict[str, Any]:
        """The tool as the Responses API takes it, or, for `api="chat"`, Chat Completions.

        A caller may change it, down to each argument; what is nested in those is shared with other tools.
        """
        parameters = {
            **self.parameters,
            "properties": {name: {**schema} for name, schema in self.parameters["properties"].items()},
            "required": [*self.parameters["required"]],
        }
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
            "strict": self.strict,
        }
        if api == "chat":
            return {"type": "function", "function": function}
        return {"type": "function", **function}

    @cached_property
    def _validators(self) -> dict[str, Any]:
        return {
            name: misfits.validator({**argument.schema, "$defs": self._definitions})
            for name, argument in self.arguments.items()
        }

    def follow(self, schema: Any) -> Any:
        """What the `$ref` of an argument's schema leads to; the schema itself without one."""
        return self._converter.followed(schema)

    # -- arguments ------------------------------------------------------------

    def problems(self, arguments: Any) -> list[str]:
        """What is wrong with the arguments, worded so that a model can fix it; empty if nothing is."""
        if not isinstance(arguments, Mapping):
            return [f"the arguments must be a JSON object, not {arguments!r:.80}"]
        problems = []
        for name in arguments:
            if name not in self.arguments:
                known = ", ".join(self.arguments) or "none"
                problems.append(f"{name}: there is no such argument; there are: {known}")
        for name, argument in self.arguments.items():
            if name not in arguments:
                if argument.required:
                    problems.append(f"{name}: is required and missing")
                continue
            problems += dict.fromkeys(self._misfits(name, arguments[name]))  # without repetitions
            problems += _unreadable(name, arguments[name])
            is_header = argument.parameter and argument.parameter.location == "header"
            if is_header and re.search(r"[\r\n\0]", str(arguments[name])):
                problems.append(f"{name}: a header cannot hold a line break")
        return problems

    def _misfits(self, name: str, value: Any) -> Iterator[str]:
        if self._converter.weight(self.arguments[name].schema) > HEAVY:
            return  # built to take forever
        value = _as_json(value)
        if _fits_plainly(self.arguments[name].schema, value):
            return
        with contextlib.suppress(RecursionError):  # a schema too deep to check: left to the plugin
            for error in self._validators[name].iter_errors(value):
                if error.validator == "oneOf" and not error.context:
                    continue  # several alternatives fit: the plugin knows which is meant
                yield f"{name}{misfits.place(error.absolute_path)}: {misfits.explain(error)}"

    def coerced(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, with numbers and booleans that came as text converted to what the schema requires.

        A null for an optional argument that does not allow it counts as not passed, and so does an empty
        text in a place where the two look the same. What belongs in the body may be in `body` or beside it.
        """
        out = {}
        for name, value in self._placed(arguments).items():
            argument = self.arguments.get(name)
            if argument is not None:
                kinds = forms.kinds(argument.schema, self.follow)
                if value is None and not argument.required and kinds and "null" not in kinds:
                    continue
                place = argument.parameter
                if value == "" and not argument.required and place is not None and not place.may_be_empty:
                    continue
                if isinstance(value, str) and kinds and "string" not in kinds:
                    value = _from_text(value, kinds)
            out[name] = value
        return out

    def _placed(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments with those of the body where the tool has them: in one argument, or beside it.

        That one may be called `body`, whatever its name.
        """
        unknown = {name: value for name, value in arguments.items() if name not in self.arguments}
        others = {name: value for name, value in arguments.items() if name in self.arguments}
        whole = next((it.name for it in self.arguments.values() if it.is_body), None)
        body = unknown.get("body")
        if unknown.keys() == {"body"} and whole not in (None, *others):
            return {**others, str(whole): body}
        if unknown.keys() == {"body"} and isinstance(body, Mapping) and body.keys() <= self.arguments.keys():
            return {**body, **others}
        if whole and unknown and whole not in arguments:
            forms, names = [self._body_schema], set()
            for form in forms:
                form = self._converter.opened(form)
                names |= form.get("properties", {}).keys()
                if len(forms) < HEAVY:
                    forms += (it for key in ("anyOf", "oneOf", "allOf") for it in form.get(key, ()))
            if unknown.keys() <= names:
                return {whole: unknown, **others}
        return arguments

    def request(self, arguments: Mapping[str, Any]) -> Request:
        """The HTTP request for arguments without problems. The URL begins with the path."""
        schema = self._body_schema
        return make_request(self.operation, self.arguments, arguments, schema, self.follow)


def make_tools(spec: Spec) -> dict[str, Tool]:
    """A tool for each operation of a document, by name, in its order. Schemas are converted later, on demand."""
    converter, answers = Converter(spec), Converter(spec, hidden="writeOnly")
    tools: dict[str, Tool] = {}
    for operation in spec.operations.values():
        name = legal_name(operation.id, tools)
        if name != operation.id:
            rule = "at most 64 letters, digits, _ and -"
            problem = f"{operation.id!r} is not a legal function name, {rule}: the tool is named {name!r}"
            spec.problem(f"{operation.pointer}/operationId", problem)
        tools[name] = Tool(operation, name, converter, answers)
    return tools


def _add(arguments: dict[str, Argument], argument: Argument) -> None:
    """Adds an argument under a legal, unique name."""
    place = argument.parameter.location if argument.parameter else "body"
    base = re.sub(r"[^A-Za-z0-9_.-]+", "_", argument.name).strip("_")[:MAX_NAME] or place
    if base in arguments:
        base = unique(f"{base[: MAX_NAME - len(place) - 1]}_{place}", arguments, MAX_NAME)
    argument.name = name = base
    arguments[name] = argument


def legal_name(name: str, taken: Container[str]) -> str:
    """`name` with other characters than letters, digits, _ and - replaced, 64 at most, unique."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:MAX_NAME] or "operation"
    return unique(base, taken, MAX_NAME)


def _is_form(body: Body) -> bool:
    return body.media_type.startswith(("application/x-www-form-urlencoded", "multipart/"))


def _unreadable(name: str, value: Any) -> list[str]:
    """The files among a value's paths that cannot be read. A text is never taken for a path: a model writes texts."""
    if isinstance(value, list | tuple):
        return [problem for item in value for problem in _unreadable(name, item)]
    is_missing = isinstance(value, Path) and not value.is_file()
    return [f"{name}: there is no file {str(value)!r}"] if is_missing else []


def _as_json(value: Any) -> Any:
    """A value for a JSON Schema validator, to which the bytes of a file are a text like any other."""
    value = serialization.plain(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return {key: _as_json(item) for key, item in value.items()} if isinstance(value, dict) else value


def _fits_plainly(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value fits a schema that is little more than a type; False if jsonschema has to check."""
    kind = schema.get("type")
    return (
        isinstance(kind, str)
        and is_a(value, kind)
        and schema.keys() <= _PLAIN
        and (
            "pattern" not in schema
            or not isinstance(value, str)
            or patterns.matches(schema["pattern"], value) is not False
        )
        and (
            "items" not in schema
            or (kind == "array" and all(_fits_plainly(schema["items"], it) for it in value))
        )
    )


def _from_text(text: str, kinds: set[str]) -> Any:
    try:
        value = read_json(text)
    except ValueError:
        return text
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    return value if any(fits.get(kind) for kind in kinds) else text
