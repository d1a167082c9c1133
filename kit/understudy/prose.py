"""What the understudy says: results as sentences, lists and tables made from the data alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kit.openapi.documents import read_json
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import identifier_words
from kit.words import DETERMINERS

_CANCEL = re.compile(
    r"\s*(?:(?:no|ok(?:ay)?|oh|ah|wait|actually|sorry|well)[\s,.!]+)*"
    r"(?:never ?mind|cancel(?: that| it)?|forget (?:it|that|about it)|leave it|stop|no,? thanks?|no thank you|nothing|skip it|no)"
    r"(?:[\s,]+(?:then|please|thanks?|thank you|again|for now|at all))*\W*$",
    re.IGNORECASE,
)
MAX_ROWS = 20
MAX_COLUMNS = 8
WHO = (
    "I am the understudy: a stand-in without a language model, which can only call this plugin's operations."
)


def greet(tools: Sequence[ToolReading]) -> str:
    """An introduction, and what can be asked for."""
    return f"{WHO} {_abilities(tools)}"


def small_talk(text: str, tools: Sequence[ToolReading], is_small: bool) -> str:
    """An answer without a call."""
    low = text.lower()
    if is_small and any(word in low for word in ("thank", "thx", "cheers")):
        return "You are welcome."
    if is_cancel(text):
        return "All right, nothing was called."
    if is_small and any(word in low for word in ("bye", "good night", "see you")):
        return "Goodbye."
    if is_small:
        return f"Hello. {WHO} {_abilities(tools)}"
    return f"None of the operations I can call fits that. {WHO} {_abilities(tools)}"


def too_long(text: str, limit: int) -> str:
    """Why a text is not read."""
    return (
        f"Your message has {len(text):,} characters, and the understudy reads {limit:,}: nothing was called. "
        "Say it in fewer words, or use a real model."
    )


def is_cancel(text: str) -> bool:
    """Whether the user takes back what they asked for."""
    return bool(_CANCEL.match(text))


def _abilities(tools: Sequence[ToolReading]) -> str:
    if not tools:
        return "This conversation has none."
    lines = [
        f"- {tool.name}: {_first_line(tool.description)}" if tool.description else f"- {tool.name}"
        for tool in tools[:MAX_ROWS]
    ]
    more = f"\n- and {len(tools) - MAX_ROWS} more" if len(tools) > MAX_ROWS else ""
    return "They are:\n" + "\n".join(lines) + more


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else ""


def ask(tool: ToolReading, slot: Slot) -> str:
    """A question for one missing argument, in the words of its description where it has one."""
    about = (
        _first_line(slot.description).rstrip(".")
        or " ".join(identifier_words(slot.name))
        or slot.name
        or "an argument"
    )
    first, _, _ = about.partition(" ")
    if first[1:] == first[1:].lower():
        about = about[0].lower() + about[1:]
    if first.lower() in ("how", "what", "which", "whether", "who", "when", "where"):
        about = f"to know {about}"
    elif first.lower() not in DETERMINERS and first.lower() not in ("id", "ids"):
        about = f"the {about}"
    if slot.enum:
        members = [str(member) for member in slot.enum]
        return f"For {tool.name} I need {about}: {', '.join(members[:-1])}{' or ' if len(members) > 1 else ''}{members[-1]}?"
    # no form of a date: it is read as people say it
    form = {"number": "a number", "boolean": "yes or no"}.get(slot.kind, "")
    about = re.sub(
        r",?\s*(?:\(?(?:in (?:the )?(?:format|form)|as|format:?)?\s*(?:YYYY-MM-DD|HH:MM(?::SS)?)\)?)",
        "",
        about,
    )
    hint = f" ({form})" if form and form not in about and not about.startswith("to know how many") else ""
    return f"For {tool.name} I need {about}{hint}. What is it?"


def confirm(name: str, arguments: Mapping[str, Any]) -> str:
    """A question before a call that is in doubt."""
    call = ", ".join(f"{key}={_cell(value)}" for key, value in arguments.items() if value is not None)
    return f"I am not sure that I understood. Shall I call {name}({call})?"


def guesses(found: Sequence[Mapping[str, Any]]) -> str:
    """What was taken for an argument though it was not said plainly."""
    said = [f"{_cell(value)!r} for {name}" for guess in found for name, value in guess.items()]
    return f"I took {' and '.join(dict.fromkeys(said))}." if said else ""


def is_error(text: str) -> bool:
    """Whether a tool's output says that the call failed."""
    data = _parsed(text)
    if isinstance(data, Mapping):
        status = data.get("status")
        failed = isinstance(status, int) and not isinstance(status, bool) and status >= 400
        return failed or ("error" in data and bool(data["error"])) or set(data) == {"detail"}
    return isinstance(data, str) and data.lower().startswith(("error", "an error", "traceback"))


def report(results: Sequence[tuple[str, Mapping[str, Any], str]], tools: Sequence[ToolReading]) -> str:
    """The results of the calls, in the order of the calls."""
    verbs = {tool.name: tool.verb for tool in tools}
    return "\n\n".join(
        _result(name, arguments, text, verbs.get(name, "")) for name, arguments, text in results
    )


def _result(name: str, arguments: Mapping[str, Any], text: str, verb: str) -> str:
    data = _parsed(text)
    if is_error(text):
        return f"{name} did not work: {_reason(data)}"
    if data is None or data == "" or data == {}:
        if verb == "read":
            return f"{name} gave an empty answer."
        call = ", ".join(f"{key}={_cell(value)}" for key, value in arguments.items() if value is not None)
        return f"Done: {name}({call})."
    if isinstance(data, bool):
        return f"{name} says {'yes' if data else 'no'}."
    lead = f"Done: {name}. " if verb in ("create", "update", "delete") else ""
    if isinstance(data, list):
        return f"{lead}It gives an empty list." if lead and not data else lead + _list(data, name)
    if isinstance(data, Mapping):
        return lead + _object(data, name)
    sentence = str(data).strip()
    if "\n" in sentence or len(sentence) > 80 or sentence.endswith((".", "!", "?")):
        return lead + sentence
    return f"{lead}{'It answers' if lead else f'{name} answers'}: {sentence}"


def _list(items: list[Any], name: str) -> str:
    if not items:
        return f"{name} found nothing: the list is empty."
    count = f"{len(items)} {'entry' if len(items) == 1 else 'entries'}"
    if all(isinstance(item, Mapping) for item in items):
        columns = list(dict.fromkeys(key for item in items for key in item))[:MAX_COLUMNS]
        rows = [
            [str(key) for key in columns],
            *([_cell(item.get(key)) for key in columns] for item in items[:MAX_ROWS]),
        ]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + " --- |" * len(columns))
    else:
        lines = [f"{number}. {_cell(item)}" for number, item in enumerate(items[:MAX_ROWS], 1)]
    if len(items) > MAX_ROWS:
        lines += ["", f"and {len(items) - MAX_ROWS} more."]
    return f"{count}:\n\n" + "\n".join(lines)


def _object(data: Mapping[str, Any], name: str) -> str:
    lists = [(key, value) for key, value in data.items() if isinstance(value, list)]
    plain = [(key, value) for key, value in data.items() if not isinstance(value, list)]
    if len(plain) == 1 and not lists:
        key, value = plain[0]
        if not isinstance(value, Mapping):
            return f"{' '.join(identifier_words(str(key))) or key}: {_cell(value)}"
    lines = [f"- {key}: {_cell(value)}" for key, value in plain[:MAX_ROWS]]
    text = "\n".join(lines)
    for key, value in lists:
        text += ("\n\n" if text else "") + f"{key}, " + _list(value, str(key))
    return text if lists and not plain else f"{name} gave:\n\n{text}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value).replace("\n", " ").replace("|", "/")
    return json.dumps(value, ensure_ascii=False)


def _reason(data: Any) -> str:
    """The message inside an error, wherever the server put it."""
    if isinstance(data, Mapping):
        if data.get("problems"):
            return "; ".join(map(str, data["problems"]))
        for key in ("fault", "error", "detail", "message", "msg", "title"):
            if data.get(key):
                reason = _reason(data[key])
                status = data.get("status")
                return f"{reason} (status {status})" if isinstance(status, int) and key == "error" else reason
        return json.dumps(data, ensure_ascii=False)
    if isinstance(data, list):
        return "; ".join(_field(item) for item in data)
    return str(data)


def _field(item: Any) -> str:
    """One of FastAPI's validation errors, with the field it is about."""
    if isinstance(item, Mapping) and "msg" in item:
        place = ".".join(str(part) for part in item.get("loc", ())[1:])
        return f"{place}: {item['msg']}" if place else str(item["msg"])
    return _reason(item)


def _parsed(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text
