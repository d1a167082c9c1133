"""What of a request a user may set: `temperature`, `max_tokens`, `tool_choice`, `reasoning` and all that openai takes.

The names are the parameters of `create` of the client's two APIs, so that they are those of its own documentation.
The few that mean the same in both are translated; others go out as they are, and a server says what it refuses.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kit.errors import ChatError
from kit.words import did_you_mean

LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens")  # one thing in three APIs
# Tokens of one answer where nothing is set and the server is not OpenAI's, whose models stop: some 3,000 words. More
# than the context of a small model, and vLLM refuses the request.
MAX_TOKENS = 4_096
_IN_BOTH = {*LIMITS, "reasoning", "reasoning_effort"}  # in other words
_OURS = frozenset(
    "self model input messages instructions tools functions function_call stream stream_options n background "
    "conversation previous_response_id prompt".split()
)


@lru_cache
def _parameters() -> tuple[frozenset[str], frozenset[str]]:
    """The parameters of the client's `responses.create` and `chat.completions.create`."""
    from openai.resources.chat.completions import Completions  # late: slow to import
    from openai.resources.responses import Responses

    both = (frozenset(inspect.signature(kind.create).parameters) for kind in (Responses, Completions))
    responses, chat = (names - _OURS for names in both)
    return responses, chat


def check(names: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raises `ChatError` for a name that is no option of a request, nor one of `others`, which it may mean."""
    names = [name for name in names if name not in others]
    if not names:
        return
    known = {*LIMITS, *_parameters()[0], *_parameters()[1], *others}
    for name in names:
        if name in known:
            continue
        raise ChatError(
            f"There is no option {name!r}.",
            did_you_mean(name, known)
            + "kit.Chat takes what responses.create and chat.completions.create of the openai package take, "
            "without what the chat itself sets.",
        )


class Options:
    """What a user has set, for one round. `default_limit` is the number of tokens where they set none."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        check(given.keys() - set(LIMITS))  # what needs no openai, which takes long to import
        self._given = {name: value for name, value in given.items() if value is not None}
        limits = [name for name in LIMITS if name in self._given]
        if len(limits) > 1:
            raise ChatError(f"{' and '.join(limits)} mean the same.", "Give one of them.")
        if limits and (type(self._given[limits[0]]) is not int or self._given[limits[0]] < 1):
            raise ChatError(
                f"{limits[0]} is {self._given[limits[0]]!r}.", "Give a number of tokens, 1 or more."
            )
        self._limit = limits[0] if limits else ""
        self.is_openai = True
        self.is_first = True  # of the rounds of a turn

    def of_responses(self, has_tools: bool) -> dict[str, Any]:
        """As the Responses API spells them."""
        options = self._common(has_tools)
        if "reasoning_effort" in options:
            effort = {"effort": options.pop("reasoning_effort")}
            options["reasoning"] = {**effort, **options.get("reasoning", {})}
        if limit := self._tokens(options):
            options["max_output_tokens"] = limit
        return _sendable(options, _parameters()[0]) if options else options

    def of_chat(self, has_tools: bool) -> dict[str, Any]:
        """As Chat Completions spells them."""
        options = self._common(has_tools)
        if isinstance(reasoning := options.get("reasoning"), Mapping):
            del options["reasoning"]
            options |= {"reasoning_effort": reasoning["effort"]} if "effort" in reasoning else {}
        choice = options.get("tool_choice")
        if isinstance(choice, Mapping) and choice.get("type") == "function" and "name" in choice:
            options["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
        if limit := self._tokens(options):
            # max_tokens is what all others take; OpenAI's models that reason refuse it
            plain = "max_completion_tokens" if self.is_openai else "max_tokens"
            options[self._limit if self._limit == "max_completion_tokens" else plain] = limit
        return _sendable(options, _parameters()[1]) if options else options

    def elsewhere(self, api: str) -> list[str]:
        """The names that were set and that only the other API has: most servers refuse them."""
        own, other = _parameters() if api == "responses" else _parameters()[::-1]
        return [name for name in self._given if name in other - own and name not in _IN_BOTH]

    def _tokens(self, options: dict[str, Any]) -> int | None:
        given: int | None = options.pop(self._limit, None)
        return given or (None if self.is_openai else MAX_TOKENS)

    def _common(self, has_tools: bool) -> dict[str, Any]:
        options = dict(self._given)
        if not has_tools:
            for name in ("tool_choice", "parallel_tool_calls"):
                options.pop(name, None)
        elif not self.is_first and _forces(options.get("tool_choice")):
            del options["tool_choice"]  # a model that has to call something would never answer
        return options


def _forces(choice: Any) -> bool:
    """Whether a `tool_choice` makes the model call something."""
    mode = choice.get("mode", "required") if isinstance(choice, Mapping) else choice
    return mode not in (None, "auto", "none")


def _sendable(options: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """What the client's method has no parameter for goes into the body: other servers take more than OpenAI's."""
    more = {name: options.pop(name) for name in [*options] if name not in known}
    if more:
        options["extra_body"] = {**more, **(options.get("extra_body") or {})}
    return options
