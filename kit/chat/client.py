"""The client of a chat's model: which server, which model, which of OpenAI's two APIs, and its errors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from kit.addresses import host_of
from kit.chat import local
from kit.chat.answers import BadAnswer, values
from kit.chat.apis import APIS, Round, Tool
from kit.chat.history import Item
from kit.chat.local import shown_name
from kit.chat.options import Options
from kit.chat.reply import TextDelta
from kit.errors import ChatError
from kit.markup import short
from kit.redaction import HIDDEN, hide
from kit.visible import encodable

if TYPE_CHECKING:
    import httpx2
    import openai

    from kit.chat.apis import Client

DEFAULT_MODEL = "gpt-5-mini"  # for OpenAI itself; OPENAI_MODEL or model= override it
NO_KEY = (
    "No OPENAI_API_KEY is set: the understudy answers. It is not a language model, it only matches words. "
    "For a real one, set OPENAI_API_KEY (or OPENAI_BASE_URL for Ollama, vLLM and others) and OPENAI_MODEL."
)
REFUSALS = (400, 413, 422)  # RFC 9110: the content of the request is at fault, such as one that is too long
MAX_MESSAGE = 1_000  # characters of what a server says of an error
NO_RESPONSES = "This server has no /v1/responses: Chat Completions is used."

# Errors of the openai package, subclasses first: the problem and the remedy.
_FAILURES = {
    "AuthenticationError": ("The API rejected the key", "Check OPENAI_API_KEY."),
    "NotFoundError": ("The API does not know the model or the path", "Check OPENAI_MODEL or model=."),
    "RateLimitError": (
        "The rate limit of the API is exceeded, even after retries",
        "Wait, or check the quota.",
    ),
    "BadRequestError": ("The API rejected the request", "See its message; the chat can go on."),
    "InternalServerError": ("The API failed, even after retries", "Ask again later."),
    "APITimeoutError": ("The API did not answer in time", "Ask again."),
    "APIConnectionError": ("The API cannot be reached", "Check OPENAI_BASE_URL and the connection."),
}


tape: Any = None  # the `kit.record` that is being used: it stands for the API, so no key is needed


def understudy_url() -> str:
    """Where the understudy of this process answers; empty if it was never asked."""
    module = sys.modules.get("kit.understudy")
    return str(module.shared_url()) if module else ""


class ModelClient:
    """An `openai` client, a model's name, an API and the options of each request.

    `notes` collects what the user should know.
    """

    def __init__(
        self,
        client: Client | None = None,
        model: str | None = None,
        api: str = "responses",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if api not in APIS:
            raise ChatError(f"There is no API {api!r}.", "Use 'responses' or 'chat'.")
        self.api = api
        self.notes: list[str] = []
        self._client = client
        self._options = Options(options or {})
        asked = model or os.environ.get("OPENAI_MODEL")
        self.asked = asked or ""  # as the user has named it
        self.name = model  # None until it is known
        self.is_understudy = client is None and not _has_model(asked)
        self.server: local.LocalServer | None = None  # that the model's name names
        if self.is_understudy:
            self.notes.append(NO_KEY + ("" if tape is not None or _wants_understudy() else local.offer()))
        elif client is None and (named := local.named(asked)):
            self.server, wanted = named
            is_played = tape is not None and tape.is_playing
            self.name = _played(wanted) if is_played else local.taken(self.server, wanted)

    async def round(
        self,
        history: Sequence[Item],
        tools: Sequence[Tool],
        instructions: str,
        stream: bool = True,
        is_first: bool = True,
    ) -> AsyncGenerator[TextDelta | Round]:
        """One request: the text as it comes, and at the end the `Round`. Raises `ChatError`.

        Without `stream` the text comes in one piece, which is faster if nobody is watching. `is_first` is whether
        it is the first of its turn.
        """
        import httpx2  # late, as openai: both are slow to import
        import openai

        while True:
            has_begun = False
            try:
                self._options.is_openai = self.is_understudy or is_openai(str(self.client.base_url))
                self._options.is_first = is_first
                model = await self._model()
                api = APIS[self.api](model, history, tools, encodable(instructions), stream, self._options)
                answering = values(self.client, api.method(self.client), api.request)
                async with contextlib.aclosing(answering):
                    async for value in answering:
                        has_begun = True
                        if text := api.read(value):
                            yield TextDelta(encodable(text))
                answer = api.round()
                answer.model = shown_name(encodable(answer.model or model))
                note = answer.note or ("" if answer.text or answer.calls else "The model's answer is empty.")
                self.notes += filter(None, [self._safe(note)])
                yield answer
                return
            except openai.APIStatusError as error:
                if self.api == "responses" and _lacks_responses(error):
                    self.api = "chat"
                    self.notes.append(NO_RESPONSES)
                    continue
                raise self._failure(error) from None
            except ChatError as error:
                raise ChatError(self._safe(error.problem), error.remedy) from None
            except (openai.OpenAIError, httpx2.HTTPError, BadAnswer) as error:
                if has_begun:
                    raise ChatError(
                        f"The answer was interrupted: {self._message(error)}", "Ask again."
                    ) from None
                raise self._failure(error) from None

    @property
    def client(self) -> Client:
        """The openai client: the one passed in, else one from the environment, else the understudy's."""
        if self._client is None:
            if self.is_understudy:
                from kit import understudy  # late: it imports a web server

                self._client = _bare_client(understudy.shared().base_url)
            elif self.server is not None:
                self._client = _bare_client(self.server.base_url)
            else:
                # Servers other than OpenAI's need no key, but the client wants some text.
                key, url = os.environ.get("OPENAI_API_KEY") or "none", os.environ.get("OPENAI_BASE_URL")
                try:
                    self._client = _client(url, key)
                except Exception as error:  # of a URL that is none, or a key that no header can hold
                    raise ChatError(
                        f"No client can be made for OPENAI_BASE_URL {hide(url)}: {hide(str(error))}",
                        "Check it.",
                    ) from None
        return self._client

    def _failure(self, error: Exception) -> ChatError:
        if getattr(error, "code", None) == "tape_miss":  # of `kit.record`
            return ChatError(self._message(error).partition(" - ")[2] or self._message(error), "")
        if isinstance(error, BadAnswer):
            remedy = "Is OPENAI_BASE_URL, or the client's base_url, the address of a model's API (it often ends in /v1)?"
            return ChatError(f"{self._message(error)}.", remedy)
        kind = next((k for k in type(error).__mro__ if k.__name__ in _FAILURES), None)
        problem, remedy = _FAILURES[kind.__name__] if kind else ("The API failed", "Ask again.")
        if kind and kind.__name__ == "BadRequestError" and (names := self._options.elsewhere(self.api)):
            other = next(api for api in APIS if api != self.api)
            remedy = f"Only the other API has {', '.join(names)}: api={other!r}. {remedy}"
        if kind and kind.__name__ == "APIConnectionError" and self.server is not None:
            remedy = f"Is {self.server.title} still running? Start it: {self.server.start}."
        refusal = getattr(error, "status_code", None) in REFUSALS
        return ChatError(f"{problem}: {self._message(error)}", remedy, is_refusal=refusal)

    def _message(self, error: Exception) -> str:
        message = getattr(error, "message", None)
        return self._safe(message if isinstance(message, str) and message else str(error))

    def _safe(self, text: str) -> str:
        """What a server says, without the key, since OpenAI quotes a rejected one, and not endless."""
        key = getattr(self._client, "api_key", "")
        key = key.strip() if isinstance(key, str) else ""
        return short(encodable(hide(text.replace(key, HIDDEN) if len(key) > 4 else text)), MAX_MESSAGE)

    async def _model(self) -> str:
        if self.name is None:
            self.name = os.environ.get("OPENAI_MODEL")
        if self.name is None:
            self.name = DEFAULT_MODEL if is_openai(str(self.client.base_url)) else await self._first_model()
        return self.name

    async def _first_model(self) -> str:
        """The first model that a compatible server lists."""
        method = self.client.models.with_streaming_response.list
        answers = [value async for value in values(self.client, method, {})]
        if answers and (listed := local.models(answers[0])):
            return str(encodable(listed[0]))
        raise ChatError(
            self._safe(f"The server at {self.client.base_url} lists no model that chats."),
            "Pass model= or set OPENAI_MODEL.",
        )


def is_openai(base_url: str) -> bool:
    """Whether an address is OpenAI's own, or Azure's of the same models."""
    host = host_of(base_url)
    return host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))


@cache
def _client(base_url: str | None, key: str) -> openai.AsyncOpenAI:
    """One client, and so one connection pool, for all chats with the same server.

    None is ever dropped: that would leave its connections open, or close them under a chat that has it.
    """
    import openai

    return openai.AsyncOpenAI(base_url=base_url, api_key=key)


@cache
def _bare_client(base_url: str) -> openai.AsyncOpenAI:
    """The same for a server of this machine: nothing in the environment goes there, and no proxy is on the way.

    openai takes from it, besides the key, the organisation, the project and headers.
    """
    import openai

    custom = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    names = (
        "Authorization",
        "OpenAI-Organization",
        "OpenAI-Project",
        *(it.partition(":")[0].strip() for it in custom),
    )

    async def without(request: httpx2.Request) -> None:
        for name in names:
            request.headers.pop(name, None)

    direct = openai.DefaultAsyncHttpx2Client(
        trust_env=False, follow_redirects=False, event_hooks={"request": [without]}
    )
    return openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=direct)


def _wants_understudy() -> bool:
    return os.environ.get("KIT_MODEL", "").lower() == "understudy"


def _has_model(asked: str | None) -> bool:
    """Whether something else than the understudy answers: a key, a server, a tape, unless KIT_MODEL says otherwise."""
    if _wants_understudy():
        return False
    plays = tape is not None and tape.is_playing
    environment = os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    return bool(plays or environment or local.named(asked))


def _played(wanted: str) -> str | None:
    """The name that a tape was recorded with: what a server made of `wanted` is only known there."""
    return local.match(tape.models, wanted) or wanted or None


def _lacks_responses(error: openai.APIStatusError) -> bool:
    """Whether the path is unknown, rather than the model."""
    return error.status_code in (404, 405, 501) and "model" not in str(error.message).lower()
