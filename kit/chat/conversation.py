"""`Chat`: a conversation in which a model uses plugins, over the OpenAI API."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit import loop, traces
from kit.chat.apis import Round
from kit.chat.client import ModelClient
from kit.chat.expectation import check_strictly
from kit.chat.history import Item, ToolCall, closed, result_of
from kit.chat.live_reply import LiveReply
from kit.chat.local import shown_name
from kit.chat.prices import Prices, checked, cost
from kit.chat.reply import CallEnded, CallStarted, Event, Finished, Reply, TextDelta
from kit.client.credentials import Auth, all_used, for_several
from kit.client.discovery import Followed, install
from kit.client.installed import CallResult, InstalledPlugin, call_line
from kit.errors import ChatError, KitError
from kit.tools.search import CONTEXT, searchable
from kit.tools.tool import Tool, legal_name
from kit.visible import encodable, visible_line

if TYPE_CHECKING:
    from kit.chat.apis import Client

MAX_ROUNDS = 10  # "the model may retry a failed call up to 10 times": ChatGPT plugins

Confirm = Callable[[CallStarted], "bool | Awaitable[bool]"]


@dataclass
class _Question:
    """Asks the user, between two events, whether a call may be made."""

    call: CallStarted
    answer: asyncio.Future[bool]
    loop: asyncio.AbstractEventLoop

    def resolve(self, allowed: bool) -> None:
        self.loop.call_soon_threadsafe(self._resolve, allowed)

    def _resolve(self, allowed: bool) -> None:
        if not self.answer.done():  # the turn may have been interrupted meanwhile
            self.answer.set_result(allowed)


class Chat:
    """A conversation with a model that may use the plugins, which are anything that `install` takes.

    The client is `client`, else the one that OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL set, else the
    understudy. A `model` such as `ollama:llama3.2` is one of a server on this machine (`kit.chat.local.SERVERS`). `confirm` decides on each call that may change something: True asks the user, a function takes the
    call and returns True or False. `select` limits the tools of the model, `search` lets it look for them: both as
    in `InstalledPlugin.tools`. `auth` is as in `install`; with several plugins it is a mapping of their names or
    addresses, so that each gets its own and no other. `show` streams the transcript into the running cell; by default, if there is one.

    `max_tokens` limits one answer of the model; by default 4,096 where the server is not OpenAI's, since some models do
    not stop. `options` are whatever else `create` of the client's APIs takes: `temperature`, `tool_choice`,
    `reasoning`, `seed`, ... A `tool_choice` that makes the model call something holds for the first round of a turn.

    `prices` are dollars for a million tokens, (input, output), by model: then a reply has its `cost`.

    `chat(text)` and `await chat.asend(text)` return the `Reply`, `chat.stream(text)` its events. After an error, a
    denied call or an interrupt the chat goes on from what was said and called until then; only a message that the
    model's server refuses (400, as one that is too long) is forgotten, since it would refuse all later ones.
    """

    def __init__(
        self,
        *plugins: Any,
        model: str | None = None,
        client: Client | None = None,
        api: str = "responses",
        instructions: str = "",
        confirm: bool | Confirm | None = None,
        max_rounds: int = MAX_ROUNDS,
        select: str | Iterable[str] | None = None,
        search: bool = False,
        show: bool | None = None,
        max_tokens: int | None = None,
        prices: Prices | None = None,
        auth: Auth | None = None,
        **options: Any,
    ) -> None:
        if auth is not None and all(isinstance(plugin, InstalledPlugin) for plugin in plugins):
            raise KitError("These plugins are installed already.", "Give it to kit.install(..., auth=...).")
        given = for_several(auth, len(plugins))
        self.plugins = [p if isinstance(p, InstalledPlugin) else install(p, auth=given) for p in plugins]
        all_used(given, [plugin.name for plugin in self.plugins])
        self._followed = [Followed.of(source) for source in plugins]
        self.instructions = instructions
        self.max_rounds = max_rounds
        self.confirm = confirm
        self.history: list[Item] = []
        self._show = show
        self._prices = checked(prices)
        self._model = ModelClient(client, model, api, {"max_tokens": max_tokens, **options})
        self._selection = select if select is None or isinstance(select, str) else list(select)
        self._tools = _tools_by_name(self.plugins, self._selection)
        self._search = search
        tokens = sum(tool.tokens for _, tool in self._tools.values())
        if tokens > CONTEXT and not search:
            self._model.notes.append(
                f"The {len(self._tools):,} tools take about {tokens:,} tokens, more than the {CONTEXT:,} that many "
                "models have in total: pass a part of them with select=..., or all with search=True."
            )
        self._running = asyncio.Lock()  # held by the turn that runs
        self._noted = 0
        if self._model.is_understudy and show is not False:
            print(self._model.notes[0])
            self._noted = 1

    def __call__(self, text: str) -> Reply:
        """Sends a message and waits for the answer. Raises `ChatError` if none comes."""
        live = LiveReply(text, self._show)
        for event in self._sync(self._turn(text, stream=live.is_shown)):
            live.add(event)
        check_strictly(live.reply, bool(self._tools))
        return live.reply

    async def asend(self, text: str) -> Reply:
        """The same as a call, to be awaited."""
        live = LiveReply(text, self._show)
        async for event in self._async(self._turn(text, stream=live.is_shown)):
            live.add(event)
        check_strictly(live.reply, bool(self._tools))
        return live.reply

    def stream(self, text: str) -> Iterator[Event]:
        """The events of a turn as they come: text, calls, results, and `Finished` with the reply."""
        return self._sync(self._turn(text))

    def astream(self, text: str) -> AsyncIterator[Event]:
        """`stream`, to be iterated with `async for`."""
        return self._async(self._turn(text))

    def reset(self) -> None:
        """Forgets the conversation."""
        self.history.clear()

    async def settle(self) -> None:
        """Waits until no turn runs: one that was interrupted ends, and is in the history, a moment later."""

        async def ended() -> None:
            async with self._running:
                pass

        await loop.arun(ended())

    # -- one turn -------------------------------------------------------------

    def _sync(self, turn: AsyncIterator[Event | _Question]) -> Iterator[Event]:
        for event in loop.stream(turn):
            if isinstance(event, _Question):
                allowed = self._ask(event.call)
                event.resolve(loop.run(_awaited(allowed)) if hasattr(allowed, "__await__") else bool(allowed))
            else:
                yield event

    async def _async(self, turn: AsyncIterator[Event | _Question]) -> AsyncIterator[Event]:
        async for event in loop.astream(turn):
            if isinstance(event, _Question):
                allowed = self._ask(event.call)
                event.resolve(bool(await allowed) if hasattr(allowed, "__await__") else bool(allowed))
            else:
                yield event

    async def _turn(self, text: str, stream: bool = True) -> AsyncIterator[Event | _Question]:
        if self._running.locked():
            raise ChatError("This chat is still answering.", "Wait for it, or create another Chat.")
        await self._running.acquire()  # at once, since it is free: no other turn begins meanwhile
        try:
            await self._renew()
        except BaseException:
            self._running.release()
            raise
        reply = Reply(text)
        reply.began = time.perf_counter()
        history: list[Item] = [*self.history, {"role": "user", "content": encodable(text)}]
        rounds: list[str] = []  # what was said in each that has ended
        said: list[str] = []  # in the one that runs
        tools = self._offered()
        turn = traces.Span(traces.TURN, ", ".join(plugin.name for plugin in self.plugins))
        try:
            for number in range(self.max_rounds):
                answer = Round()
                start = time.perf_counter()
                asked = turn.within(traces.ROUND)
                answering = self._model.round(history, tools, self._system(), stream, number == 0)
                async with contextlib.aclosing(answering):
                    async for event in answering:
                        if isinstance(event, Round):
                            answer = event
                        else:
                            said.append(event.text)
                            yield event
                if answer.text and not said:  # of a server that gives it only at the end
                    yield TextDelta(answer.text)
                sent = "the conversation and the tools" if number == 0 else "the results of the calls"
                reply.rounds.append((start - reply.began, time.perf_counter() - start, sent))
                reply.usage.add(answer.usage)
                reply.model = answer.model
                asked.answered(self._model.name or "", answer.model, answer.usage)
                rounds.append(answer.text)
                said.clear()
                history += answer.items
                if not answer.calls:
                    break
                async for outcome in self._calls(answer.calls, reply, history, turn):
                    yield outcome
            else:
                reply.error = (
                    f"The model still wants to call something after {self.max_rounds} rounds (max_rounds)."
                )
        except ChatError as error:
            reply.error = error.problem
            error.reply = reply
            turn.fail(type(error).__name__)
            if error.is_refusal and len(history) == len(self.history) + 1:
                history.pop()
            raise
        finally:
            turn.answered(self._model.name or "", reply.model, reply.usage)
            turn.end()
            reply.text = "\n\n".join(filter(None, [*rounds, "".join(said)]))
            self.history = closed(history, "".join(said))
            self._running.release()
            reply.seconds = time.perf_counter() - reply.began
            names = () if self._model.is_understudy else (self._model.asked, self._model.name or "")
            reply.cost = cost(reply.usage, self._prices, *names, reply.model)
            reply.notes += self._model.notes[self._noted :]
            self._noted = len(self._model.notes)
        yield Finished(reply)

    async def _renew(self) -> None:
        """Takes over what the author changed in plugins of this process since the last turn."""
        plugins = [
            await followed.renewed(plugin) if followed else plugin
            for plugin, followed in zip(self.plugins, self._followed, strict=True)
        ]
        if any(new is not old for new, old in zip(plugins, self.plugins, strict=True)):
            self.plugins = plugins
            self._tools = _tools_by_name(plugins, self._selection)

    def _offered(self) -> list[dict[str, Any]]:
        """The tools in the form of the request."""
        if not self._search:
            return [{**tool.render(), "name": name} for name, (_, tool) in self._tools.items()]
        about = ", ".join(plugin.manifest.name_for_human or plugin.name for plugin in self.plugins)
        return searchable({name: tool for name, (_, tool) in self._tools.items()}, about)

    async def _calls(
        self, calls: list[ToolCall], reply: Reply, history: list[Item], turn: traces.Span
    ) -> AsyncIterator[Event | _Question]:
        """Makes the calls of one round concurrently, and records their results in order."""
        running: list[asyncio.Task[CallResult]] = []
        try:
            for call in calls:
                plugin, tool = self._tools.get(call.name, (None, None))
                arguments = call.read()
                started = CallStarted(
                    plugin.name if plugin else "",
                    tool.operation.id if tool else call.name,
                    arguments,
                    tool.operation.consequential if tool else False,
                    plugin,
                    tool,
                )
                yield started
                allowed = True
                if started.consequential and self.confirm:
                    own_loop = asyncio.get_running_loop()
                    question = _Question(started, own_loop.create_future(), own_loop)
                    yield question
                    allowed = await question.answer
                running.append(
                    asyncio.ensure_future(self._call(call, plugin, tool, arguments, allowed, turn))
                )
            for call, task in zip(calls, running, strict=True):
                result = await task
                result.started = result.started or time.perf_counter()
                reply.calls.append(result)
                output = encodable(result.for_model(with_fault=True))
                history.append(result_of(call.id, output))
                yield CallEnded(result)
        finally:
            for task in running:
                task.cancel()

    async def _call(
        self,
        call: ToolCall,
        plugin: InstalledPlugin | None,
        tool: Tool | None,
        arguments: Any,
        allowed: bool,
        turn: traces.Span,
    ) -> CallResult:
        if plugin is None or tool is None:
            problem = f"There is no tool {call.name!r}; there are: {', '.join(self._tools) or 'none'}."
        elif not isinstance(arguments, dict):
            problem = f"The arguments are not a JSON object: {arguments}"
        elif not allowed:
            problem = "The user did not allow this call."
        else:
            with turn.within(traces.CALL, call.name, call.id) as made, made.current():
                result = await plugin.invoke(tool, arguments)
                made.fail("" if result.ok else result.outcome)
            return result
        operation = tool.operation.id if tool else call.name
        shown = arguments if isinstance(arguments, dict) else {"": call.arguments}
        return CallResult(operation, shown, None, {"error": problem}, 0.0)

    def _ask(self, call: CallStarted) -> Any:
        if callable(self.confirm):
            return self.confirm(call)
        try:
            answer = input(f"May the model call {call_line(call)}? [y/N] ")
        except (EOFError, OSError):  # there is nobody to ask, as in a test
            return False
        return answer.strip().lower() in ("y", "yes", "j", "ja")

    def _system(self) -> str:
        """The model's instructions: also the author's description of each plugin, as in ChatGPT."""
        about = [
            f"Plugin {p.name}: {p.manifest.description_for_model}"
            for p in self.plugins
            if p.manifest.description_for_model
        ]
        return "\n\n".join(filter(None, [self.instructions, *about]))

    def __repr__(self) -> str:
        names = ", ".join(plugin.name for plugin in self.plugins) or "no plugin"
        model = "the understudy" if self._model.is_understudy else shown_name(self._model.name or "a model")
        return visible_line(f"<Chat with {model}, using {names}: {len(self.history)} items so far>")


def _tools_by_name(
    plugins: list[InstalledPlugin], selection: str | list[str] | None
) -> dict[str, tuple[InstalledPlugin, Tool]]:
    """Every tool under a unique name: one that two plugins use is prefixed with the plugin's."""
    chosen = [plugin.selected(selection) for plugin in plugins]
    names = Counter(name for tools in chosen for name in tools)
    by_name: dict[str, tuple[InstalledPlugin, Tool]] = {}
    for plugin, tools in zip(plugins, chosen, strict=True):
        for name, tool in tools.items():
            unique = name if names[name] == 1 else f"{plugin.name}__{name}"
            by_name[legal_name(unique, by_name)] = (plugin, tool)
    return by_name


async def _awaited(answer: Awaitable[bool]) -> bool:
    return bool(await answer)
