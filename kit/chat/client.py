"""The client of a chat's model: which server, which model, which of OpenAI's two APIs, and its errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kit.chat.apis import API, APIS, Item, Round, Tool
from kit.chat.reply import TextDelta
from kit.errors import ChatError
from kit.redaction import HIDDEN, hide

if TYPE_CHECKING:
    import openai

    from kit.chat.apis import Client

DEFAULT_MODEL = "gpt-5-mini"  # for OpenAI itself; OPENAI_MODEL or model= override it
NO_KEY = (
    "No OPENAI_API_KEY is set: the understudy answers. It is not a language model, it only matches words. "
    "For a real one, set OPENAI_API_KEY (or OPENAI_BASE_URL for Ollama, vLLM and others) and OPENAI_MODEL."
)
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
    return _understudy or ""


_understudy = ""


class ModelClient:
    """An `openai` client, a model's name and an API. `notes` collects what the user should know."""

    def __init__(
        self, client: Client | None = None, model: str | None = None, api: str = "responses"
    ) -> None:
        if api not in APIS:
            raise ChatError(f"There is no API {api!r}.", "Use 'responses' or 'chat'.")
        self.api = api
        self.notes: list[str] = []
        self.is_understudy = False
        self._client = client
        self.name = model  # None until it is known
        self._is_streaming = False
        if client is None and not _has_model():
            self.is_understudy = True
            self.notes.append(NO_KEY)

    async def round(
        self, history: Sequence[Item], tools: Sequence[Tool], instructions: str, stream: bool = True
    ) -> AsyncIterator[TextDelta | Round]:
        """One request: the text as it comes, and at the end the `Round`. Raises `ChatError`.

        Without `stream` the text comes in one piece, which is faster if nobody is watching.
        """
        import httpx2  # late, as openai: both are slow to import
        import openai

        while True:
            self._is_streaming = False
            try:
                api = APIS[self.api](await self._model(), history, tools, instructions, stream)
                async for text in self._texts(api, stream):
                    yield TextDelta(text)
                answer = api.round()
                self.notes += filter(None, [answer.note])
                yield answer
                return
            except openai.APIStatusError as error:
                if self.api == "responses" and _lacks_responses(error):
                    self.api = "chat"
                    self.notes.append(NO_RESPONSES)
                    continue
                raise self._failure(error) from None
            except (openai.APIError, httpx2.HTTPError) as error:
                if self._is_streaming:
                    raise ChatError(
                        f"The answer was interrupted: {self._safe(error)}", "Ask again."
                    ) from None
                raise self._failure(error) from None

    @property
    def client(self) -> Client:
        """The openai client: the one passed in, else one from the environment, else the understudy's."""
        if self._client is None:
            if self.is_understudy:
                global _understudy
                from kit import understudy  # late: it imports a web server

                _understudy = understudy.shared().base_url
                self._client = _client(_understudy, "none")
            else:
                # Servers other than OpenAI's need no key, but the client wants some text.
                key = os.environ.get("OPENAI_API_KEY") or "none"
                self._client = _client(os.environ.get("OPENAI_BASE_URL"), key)
        return self._client

    def _failure(self, error: Exception) -> ChatError:
        kind = next((k for k in type(error).__mro__ if k.__name__ in _FAILURES), None)
        problem, remedy = _FAILURES[kind.__name__] if kind else ("The API failed", "Ask again.")
        return ChatError(f"{problem}: {self._safe(error)}", remedy)

    def _safe(self, error: Exception) -> str:
        """The message of an error without the key, since OpenAI quotes a rejected one."""
        key = getattr(self.client, "api_key", "")
        message = getattr(error, "message", None) or str(error)
        return str(hide(message.replace(key, HIDDEN) if len(key) > 4 else message))

    async def _model(self) -> str:
        if self.name is None and tape is not None and tape.is_playing:
            self.name = tape.model
        if self.name is None:
            self.name = os.environ.get("OPENAI_MODEL")
        if self.name is None:
            if "api.openai.com" in str(self.client.base_url):
                self.name = DEFAULT_MODEL
            else:
                self.name = await self._first_model()
        return self.name

    async def _first_model(self) -> str:
        """The first model that a compatible server lists."""
        page: Any = self.client.models.list()
        page = await page if hasattr(page, "__await__") else page
        if not page.data:
            raise ChatError(
                f"The server at {self.client.base_url} lists no model.", "Pass model= or set OPENAI_MODEL."
            )
        return str(page.data[0].id)

    async def _texts(self, api: API, stream: bool) -> AsyncIterator[str]:
        """Sends the request and yields the text of the answer as it comes."""
        answer = await self._send(api)
        if not stream:
            if text := api.read(answer):
                yield text
            return
        self._is_streaming = True
        async for event in _events(answer):
            if text := api.read_event(event):
                yield text

    async def _send(self, api: API) -> Any:
        import openai

        create = api.create(self.client)
        if isinstance(self.client, openai.OpenAI):
            return await asyncio.to_thread(create, **api.request)
        return await create(**api.request)


async def _events(stream: Any) -> AsyncIterator[Any]:
    """The events of a stream: of an async client or, read in a thread, of a sync one."""
    import openai

    if isinstance(stream, openai.AsyncStream):
        async with stream:
            async for event in stream:
                yield event
        return
    with stream:
        events, end = iter(stream), object()
        while (event := await asyncio.to_thread(next, events, end)) is not end:
            yield event


@lru_cache(maxsize=8)
def _client(base_url: str | None, key: str) -> openai.AsyncOpenAI:
    """One client, and so one connection pool, for all chats with the same server."""
    import openai

    return openai.AsyncOpenAI(base_url=base_url, api_key=key)


def _has_model() -> bool:
    """Whether something else than the understudy answers: a key, a server, a tape, unless KIT_MODEL says otherwise."""
    if os.environ.get("KIT_MODEL", "").lower() == "understudy":
        return False
    plays = tape is not None and tape.is_playing
    return bool(plays or os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))


def _lacks_responses(error: openai.APIStatusError) -> bool:
    """Whether the path is unknown, rather than the model."""
    return error.status_code in (404, 405, 501) and "model" not in str(error.message).lower()
