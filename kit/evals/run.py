"""`evaluate`: asks a model every case, several at a time, and holds its calls against what is expected."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from kit import jupyter, loop
from kit.chat.client import ModelClient
from kit.chat.conversation import Chat
from kit.chat.reply import Finished
from kit.client.discovery import install
from kit.client.installed import InstalledPlugin
from kit.errors import CaseError, KitError
from kit.evals.cases import Case, CaseList, read
from kit.evals.evaluation import Evaluation
from kit.evals.outcome import Outcome
from kit.evals.variants import DryPlugin, blanked
from kit.markup import escape
from kit.words import did_you_mean

AT_ONCE = 8  # conversations; more meet the rate limits of most keys


def evaluate(
    plugin: Any,
    cases: Any,
    *,
    models: Iterable[str] | None = None,
    n: int = 1,
    dry: bool = False,
    blank: bool | None = None,
    at_once: int = AT_ONCE,
    prices: Mapping[str, tuple[float, float]] | None = None,
    progress: bool | None = None,
    **chat: Any,
) -> Evaluation:
    """How often a model calls what it should. `plugin` is whatever `install` takes, `cases` whatever `kit.evals.cases.read` takes.

    Each case is asked `n` times of each of `models` (without them, of the model that `Chat` would take), in a
    conversation of its own, `at_once` of them concurrently. The calls are real; with `dry` none is sent, and the
    examples of the spec are the answers. `blank` asks each case once more, dry and with every description taken
    out, to find those that need none: by default only of the understudy, which costs nothing. `prices` are dollars
    for a million tokens, (input, output), by model. `progress` shows a bar; by default where somebody can see it.
    Further options are `Chat`'s: `client`, `api`, `instructions`, ...

    Raises `CaseError` for a case that cannot be read or names what the plugin does not have, and as `install`.
    """
    installed = plugin if isinstance(plugin, InstalledPlugin) else install(plugin)
    listed = read(cases)
    _check(installed, listed)
    if n < 1 or at_once < 1:
        raise CaseError("n and at_once are at least 1.", "Leave them out to ask each case once.")
    asked = DryPlugin.of(installed) if dry else installed
    names: list[str | None] = [*models] if models is not None else [chat.pop("model", None)]
    if not names:
        raise CaseError("models is an empty list.", "Name a model, or leave models out.")
    chats = [(name, case) for name in names for case in listed for _ in range(n)]
    clients = [ModelClient(chat.get("client"), name) for name in names]  # refuses one that is not there
    if blank is None:
        blank = clients[0].is_understudy
    bare = DryPlugin.of(blanked(installed)) if blank else None
    bar = _Bar(len(chats), progress)
    outcomes = loop.run(_ask_all(asked, bare, chats, {**chat, "prices": prices}, at_once, bar))
    operations = [tool.operation.id for tool in installed.by_name.values()]
    return Evaluation(installed.manifest.name_for_human or installed.name, outcomes, operations, prices)


async def _ask_all(
    plugin: InstalledPlugin,
    bare: InstalledPlugin | None,
    chats: list[tuple[str | None, Case]],
    options: dict[str, Any],
    at_once: int,
    bar: _Bar,
) -> list[Outcome]:
    turn = asyncio.Semaphore(at_once)

    async def one(model: str | None, case: Case) -> Outcome:
        async with turn:
            outcome = await _ask(plugin, model, case, options)
            if bare is not None and any(turn.calls for turn in case.turns):
                again = await _ask(bare, model, case, options)
                outcome.undescribed = not again.error and not again.wrong_choices
        bar.step(outcome.right)
        return outcome

    return list(await asyncio.gather(*(one(model, case) for model, case in chats)))


async def _ask(plugin: InstalledPlugin, model: str | None, case: Case, options: dict[str, Any]) -> Outcome:
    chat = Chat(plugin, model=model, show=False, **options)
    outcome = Outcome(case, model or "")
    for turn in case.turns:
        try:
            # not asend: with KIT_STRICT it raises where a case says what is right
            events = [event async for event in chat.astream(turn.say)]
        except KitError as error:
            outcome.error = error.problem
            break
        reply = next(event for event in events if isinstance(event, Finished)).reply
        outcome.replies.append(reply)
        outcome.model = model or reply.model
    return outcome


def _check(plugin: InstalledPlugin, cases: CaseList) -> None:
    """Refuses cases that no model can be right in: they name an operation or argument that there is not."""
    tools = {tool.operation.id: tool for tool in plugin.by_name.values()}
    for number, case in enumerate(cases, 1):
        where = f"Case {number} ({case.title})"
        named = [(call.operation, call.arguments) for turn in case.turns for call in turn.calls or ()]
        for name, arguments in [*named, *((other, {}) for other in case.also)]:
            if name not in tools:
                raise CaseError(
                    f"{where} names the operation {name!r}, which {plugin.name} does not have.",
                    _near(name, tools),
                    case=case.title,
                )
            for argument in arguments:
                if argument not in tools[name].arguments:
                    raise CaseError(
                        f"{where} names the argument {argument!r}, which {name} does not have.",
                        _near(argument, tools[name].arguments),
                        case=case.title,
                    )


def _near(name: str, names: Iterable[str]) -> str:
    known = list(names)
    return f"{did_you_mean(name, known)}There are: {', '.join(known[:30]) or 'none'}."


class _Bar:
    """How far an evaluation is: a bar in the cell, or a line on a terminal; it is gone at the end."""

    def __init__(self, total: int, show: bool | None) -> None:
        self.total, self.done, self.right = total, 0, 0
        in_cell = jupyter.has_output()
        self._view = jupyter.LiveView(self, in_cell if show is None else show and in_cell)
        self._is_terminal = sys.stderr.isatty() if show is None else show and not in_cell

    def step(self, right: bool) -> None:
        self.done, self.right = self.done + 1, self.right + right
        self._view.update(self)
        if self._is_terminal:
            end = "\r\x1b[K" if self.done == self.total else ""
            print(f"\r{self!r}{end}", end="", file=sys.stderr, flush=True)

    def __repr__(self) -> str:
        return "" if self.done == self.total else f"{self.done} of {self.total} asked, {self.right} right"

    def _repr_html_(self) -> str:
        if self.done == self.total:
            return ""
        return f'<progress max="{self.total}" value="{self.done}"></progress> {escape(self)}'
