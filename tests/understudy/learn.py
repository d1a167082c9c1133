"""Learns `kit/understudy/weights.json` from the cases beside this file: `python tests/understudy/learn.py`.

Two models of the same plain kind, a softmax over what can be chosen with one weight for each feature:
the first chooses an argument's value among all that the sentence offers, and none; the second a tool, and none.
`--check` learns five times without a fifth of the plugins and prints how often those left out are right.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kit.understudy.candidates import Finder
from kit.understudy.choice import Choice, choose, considered
from kit.understudy.features import none_features
from kit.understudy.sentence import Sentence, read
from kit.understudy.slots import TEXTS, Slot, ToolReading, read_tools
from kit.understudy.weights import Weights
from kit.understudy.words import OPERATION_VERBS

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[1] / "kit/understudy/weights.json"
NOW = datetime(2026, 11, 27, 10)  # the day on which the cases' relative dates were said
CROSS = 3  # parts of the plugins, each of which is judged by what was learned from the others
OTHER_VALUES = 2  # times that each sentence is learned from with the values of others
TEMPLATES = 3  # sentences made from each tool's words
ELSEWHERE = 0.05  # share of the sentences that are learned from as said to another plugin, too
ALONE = 0.3  # share of the sentences that are learned from with the right tool alone, too
RUNS = 60  # of the runs of words that are wrong, as many are learned from, drawn by chance
PENALTY = {"arguments": 0.3, "tools": 0.3}  # what a weight costs: the square of it, times this


@dataclass
class Case:
    plugin: str
    sentence: Sentence
    tools: list[ToolReading]
    tool: str | None
    right: list[dict[str, Any]]  # the argument objects that are right
    text: str = ""
    for_arguments: list[Case] = field(
        default_factory=list
    )  # the variants of it that arguments are learned from
    for_tools: list[Case] = field(default_factory=list)

    @cached_property
    def arguments(self) -> list[list[tuple[list[str], bool]]]:
        """For each argument of the right tool, all that it may be and none: (features, whether it is right)."""
        groups: list[list[tuple[list[str], bool]]] = []
        if self.reading is None:
            return groups
        chance, finder = random.Random(self.text), Finder(self.sentence, Weights({}), exhaustive=True)
        for reading, slot, wanted in _wanted(self.reading, self.right):
            options = [
                (c.features, any(same(c.value, w) for w in wanted)) for c in finder.candidates(reading, slot)
            ]
            right, wrong = [o for o in options if o[1]], [o for o in options if not o[1]]
            if wanted and not right:
                self.unseen.append(f"{self.text} | {slot.name} ({slot.kind}) = {wanted[0]!r}")
                continue
            none = (none_features(slot, len(options)), not wanted)
            groups.append([*right, *chance.sample(wrong, min(len(wrong), RUNS)), none])
        return groups

    @cached_property
    def unseen(self) -> list[str]:
        """The arguments that no candidate is."""
        return []

    @property
    def reading(self) -> ToolReading | None:
        return next((tool for tool in self.tools if tool.name == self.tool), None)


def cases(*paths: Path) -> list[Case]:
    found = []
    for path in paths:
        for name, plugin in json.loads(path.read_text("utf-8")).items():
            tools = read_tools(plugin["tools"])
            for case in plugin.get("cases", ()):
                right = [case["arguments"] or {}, *case.get("alternatives", ())]
                text = case["utterance"]
                found.append(Case(f"{path.stem}.{name}", read(text, NOW), tools, case["tool"], right, text))
            for turn in (talk["turns"][0] for talk in plugin.get("talks", ())):
                expect, text = turn["expect"], turn["user"]
                if "asks" not in expect:
                    right = [expect.get("arguments") or {}]
                    found.append(
                        Case(f"{path.stem}.{name}", read(text, NOW), tools, expect.get("tool"), right, text)
                    )
    return found


def in_lower_case(found: Sequence[Case]) -> list[Case]:
    """The same cases as people type them who leave out capitals."""
    return [
        dataclasses.replace(case, sentence=read(case.text.lower(), NOW), text=case.text.lower())
        for case in found
        if case.text[1:] != case.text[1:].lower()
    ]


def same(a: Any, b: Any) -> bool:
    """Equal but for the case of letters and the type of a number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) < 1e-9 * max(1, abs(a))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return str(a).strip().lower() == str(b).strip().lower()


def with_other_values(found: Sequence[Case], times: int) -> list[tuple[Case, Case]]:
    """The same sentences with the values of others: what says where a value is are the words around it."""
    chance = random.Random(2)
    pool: dict[str, list[str]] = {}
    places = [(case, slot, str(case.right[0][slot.name])) for case in found for slot in _said(case)]
    for _, slot, value in places:
        pool.setdefault(slot.kind, []).append(value)
    changed = []
    for case in (case for _ in range(times) for case in found):
        text, right, slots = case.text, dict(case.right[0]), list(_said(case))
        for slot in slots:
            other = chance.choice(pool[slot.kind])
            before = str(right[slot.name])
            if text.count(before) == 1 and other not in text:
                text, right[slot.name] = text.replace(before, other), other
        if text != case.text:
            changed.append(
                (case, dataclasses.replace(case, sentence=read(text, NOW), text=text, right=[right]))
            )
    return changed


def templated(found: Sequence[Case], times: int) -> list[Case]:
    """Sentences made from a tool's own words: what names an argument stands beside its value, in any order."""
    chance = random.Random(4)
    pool: dict[str, list[Any]] = {}
    for case in found:
        for slot in _said(case):
            pool.setdefault(slot.kind, []).append(case.right[0][slot.name])
    made = []
    for case in {id(case.reading): case for case in found if case.reading}.values():
        reading = case.reading
        assert reading is not None
        slots = [s for s in reading.slots if s.kind in ("number", "enum", "date", *TEXTS)]
        for _ in range(times if slots else 0):
            said = [
                s for s in slots if chance.random() < (0.95 if s.required else 0.5)
            ]  # what is left out is missing
            chance.shuffle(said)
            values = {slot.name: _any_value(slot, pool, chance) for slot in said[:5]}
            opening = re.split(
                r"[.,(:]| (?:given|based|using|with|for|in|from|by|of a user)\b",
                reading.description or reading.name,
            )[0].lower()
            opening = chance.choice(("", "", "please ", "can you ", "I want to ")) + (
                opening if " " in opening else " ".join(reading.name.split("_"))
            )
            text = opening
            for n, slot in enumerate(said[:5]):
                text += (
                    chance.choice((" with ", " for ", " "))
                    if n == 0
                    else chance.choice((", ", " and ", ", and "))
                )
                text += chance.choice(_PHRASES.get(slot.kind, _PHRASES["text"])).format(
                    p=" ".join(slot.words), v=values[slot.name]
                )
            made.append(dataclasses.replace(case, sentence=read(text, NOW), text=text, right=[values]))
    return made


_PHRASES = {
    "number": (
        "{p} {v}",
        "{p} of {v}",
        "a {p} of {v}",
        "{p} is {v}",
        "{p}: {v}",
        "{p}={v}",
        "{v} {p}",
        "the {p} {v}",
    ),
    "enum": ("{v}", "{p} {v}", "{v} {p}", "{p}: {v}"),
    "date": ("{p} {v}", "on {v}", "{p}: {v}", "the {p} is {v}"),
    "text": (
        "{p} {v}",
        "{p} '{v}'",
        "{p}: {v}",
        "the {p} {v}",
        "{v} as the {p}",
        "{p} is {v}",
        "{p} called {v}",
    ),
}


def _any_value(slot: Slot, pool: dict[str, list[Any]], chance: random.Random) -> Any:
    if slot.kind == "enum":
        return chance.choice(slot.enum)
    if slot.kind == "date":
        return f"20{chance.randint(20, 27)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
    if slot.kind == "number":
        if "year" in slot.roles:
            return chance.randint(1950, 2030)
        whole = slot.type == "integer" or chance.random() < 0.6
        return chance.randint(1, chance.choice((9, 99, 5000))) if whole else round(chance.uniform(0, 200), 2)
    return chance.choice(pool.get(slot.kind) or pool["name"])


def elsewhere(found: Sequence[Case]) -> list[Case]:
    """The same sentences said to other plugins, where nothing should be called, and to the right tool alone."""
    chance = random.Random(3)
    moved = []
    for case in found:
        other = chance.choice(found)
        tools = chance.sample(other.tools, min(len(other.tools), chance.choice((1, 1, 2, 3, 8))))
        own = _nouns([case.reading] if case.reading else case.tools)
        if other.plugin != case.plugin and not own & _nouns(tools) and chance.random() < ELSEWHERE:
            moved.append(dataclasses.replace(case, tools=tools, tool=None, right=[{}]))
        if case.reading and chance.random() < ALONE:
            moved.append(dataclasses.replace(case, tools=[case.reading]))
    return moved


def _nouns(tools: Sequence[ToolReading]) -> set[str]:
    return {
        word for tool in tools for word in (*tool.name_stems, *tool.described[:6])
    } - OPERATION_VERBS.keys()


def _said(case: Case) -> Iterator[Slot]:
    """The arguments that stand in the sentence as they are."""
    for slot in case.reading.slots if case.reading else ():
        value = case.right[0].get(slot.name)
        if (
            slot.kind in TEXTS
            and isinstance(value, str)
            and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", case.text)
        ):
            yield slot


@dataclass
class Examples:
    """Groups of options, each a list of features; in each group some are right."""

    names: dict[str, int] = field(default_factory=dict)
    options: list[list[int]] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)  # where each begins

    def add(self, group: Sequence[tuple[Sequence[str], bool]]) -> None:
        self.groups.append(len(self.options))
        for names, right in group:
            self.options.append([self.names.setdefault(name, len(self.names)) for name in names])
            self.right.append(right)

    def learn(self, penalty: float, rounds: int = 150) -> dict[str, float]:
        """The weights under which the right options are likeliest: Adam over all groups at once."""
        flat = np.concatenate([np.array(option, dtype=np.int32) for option in self.options])
        lengths = np.array([len(option) for option in self.options])
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        starts = np.array(self.groups)
        sizes = np.diff([*self.groups, len(self.options)])
        right = np.array(self.right)
        weights = np.zeros(len(self.names))
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, rounds + 1):
            scores = np.add.reduceat(weights[flat], offsets)
            likely = _softmax(scores, starts, sizes)
            wanted = _softmax(np.where(right, scores, -1e9), starts, sizes)
            slope = np.bincount(flat, np.repeat(likely - wanted, lengths), len(weights)) + penalty * weights
            mean = 0.9 * mean + 0.1 * slope
            square = 0.999 * square + 0.001 * slope**2
            weights -= (
                0.15
                * (1 - step / (rounds + 1))
                * (mean / (1 - 0.9**step))
                / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            )
        rounded = {name: round(float(weights[n]), 2) for name, n in self.names.items()}
        return {name: weight for name, weight in sorted(rounded.items()) if abs(weight) >= 0.02}


def _softmax(scores: Any, starts: Any, sizes: Any) -> Any:
    top = np.repeat(np.maximum.reduceat(scores, starts), sizes)
    odds = np.exp(scores - top)
    return odds / np.repeat(np.add.reduceat(odds, starts), sizes)


def argument_examples(found: Sequence[Case]) -> Examples:
    """For each argument of the right tool: the candidates and none."""
    examples = Examples()
    for case in found:
        for group in case.arguments:
            examples.add(group)
    return examples


def _wanted(
    reading: ToolReading, right: list[dict[str, Any]]
) -> Iterator[tuple[ToolReading, Slot, list[Any]]]:
    for slot in reading.slots:
        wanted = [arguments[slot.name] for arguments in right if arguments.get(slot.name) is not None]
        if slot.kind == "object":
            if slot.schema.get("properties") and wanted and all(isinstance(w, dict) for w in wanted):
                parameters = {**slot.schema, "$defs": slot.definitions}
                nested = ToolReading({"name": slot.name, "parameters": parameters}, reading.level + 1)
                yield from _wanted(nested, wanted)
            continue
        yield reading, slot, wanted


def tool_examples(found: Sequence[Case], arguments: Weights, examples: Examples) -> None:
    """For each sentence: the tools with their likeliest arguments, and none."""
    for case in found:
        options = considered(case.sentence, case.tools, arguments)
        right = [_is_right(case, choice) for choice, _ in options]
        if not any(right):  # none has all arguments: the tool at least
            right = [choice is not None and choice.tool.name == case.tool for choice, _ in options]
        if any(right):
            examples.add([(names, is_right) for (_, names), is_right in zip(options, right, strict=True)])


def _is_right(case: Case, choice: Choice | None) -> bool:
    if choice is None or choice.tool.name != case.tool:
        return choice is None and case.tool is None
    return any(same(choice.filling.arguments, right) for right in case.right)


def learn(found: Sequence[Case]) -> tuple[Weights, Weights]:
    """(weights of arguments, weights of tools), from cases with their `variants`."""
    arguments = Weights(
        argument_examples([c for case in found for c in case.for_arguments]).learn(PENALTY["arguments"])
    )
    # a tool is chosen by what arguments look like in plugins that were not learned from
    of_tools = Examples()
    for part, rest in _folds(found, CROSS):
        without = argument_examples([c for case in rest for c in case.for_arguments]).learn(
            PENALTY["arguments"]
        )
        tool_examples([c for case in part for c in case.for_tools], Weights(without), of_tools)
    return arguments, Weights(of_tools.learn(PENALTY["tools"]))


def add_variants(found: Sequence[Case]) -> None:
    """To each case those that are made from it."""
    by_text: dict[str, Case] = {}
    for case in found:
        case.for_arguments, case.for_tools = [case], [case]
        by_text[case.text] = by_text[case.text.lower()] = case
    for lower in in_lower_case(found):
        by_text[lower.text].for_arguments.append(lower)
        by_text[lower.text].for_tools.append(lower)
    for case, changed in with_other_values(found, OTHER_VALUES):
        case.for_arguments.append(changed)
    for made in templated(found, TEMPLATES):
        next(c for c in found if c.plugin == made.plugin and c.tool == made.tool).for_arguments.append(made)
    for moved in elsewhere(found):
        by_text[moved.text].for_tools.append(moved)
    for case in found:
        for variant in case.for_arguments:
            _ = variant.arguments  # once for all folds


def _folds(found: Sequence[Case], count: int) -> Iterator[tuple[list[Case], list[Case]]]:
    """(cases of some plugins, cases of all others), `count` times."""
    plugins = sorted({case.plugin for case in found})
    random.Random(0).shuffle(plugins)
    for fold in range(count):
        part = set(plugins[fold::count])
        yield [c for c in found if c.plugin in part], [c for c in found if c.plugin not in part]


@dataclass
class Score:
    calls: int = 0
    tool: int = 0
    whole: int = 0
    silent: int = 0
    rightly_silent: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, weights: tuple[Weights, Weights]) -> None:
        chosen = choose(case.sentence, case.tools, weights=weights)
        got = (chosen.tool.name, chosen.filling.arguments) if chosen else (None, {})
        is_tool = got[0] == case.tool
        if case.tool is None:
            self.silent += 1
            self.rightly_silent += is_tool
            if not is_tool:
                self.wrong.append(f"{case.plugin}: {case.text}\n    got {got}, wanted nothing")
            return
        is_whole = is_tool and any(same(got[1], right) for right in case.right)
        self.calls, self.tool, self.whole = self.calls + 1, self.tool + is_tool, self.whole + is_whole
        if not is_whole:
            self.wrong.append(
                f"{case.plugin}: {case.text}\n    got {got}, wanted {case.tool} {case.right[0]}"
            )

    def __str__(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{100 * part / whole:5.1f} %" if whole else "     -"

        return f"tool {share(self.tool, self.calls)}, whole {share(self.whole, self.calls)} of {self.calls}; silent {share(self.rightly_silent, self.silent)} of {self.silent}"


def check(found: Sequence[Case], folds: int) -> dict[str, Score]:
    """Each fold's plugins judged with weights learned without them, by the file that they are in."""
    scores: dict[str, Score] = {}
    parts = list(_folds(found, folds))
    with ProcessPoolExecutor() as pool:
        for (part, _), weights in zip(parts, pool.map(learn, [rest for _, rest in parts]), strict=True):
            for case in part:
                for name in ("all", case.plugin.split(".")[0].split("-")[0]):
                    scores.setdefault(name, Score()).add(case, weights)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="judge plugins that are left out")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--wrong", action="store_true", help="list what went wrong")
    parser.add_argument(
        "paths", nargs="*", type=Path, help="files of cases, instead of those beside this file"
    )
    options = parser.parse_args()
    found = cases(*(options.paths or sorted((HERE / "utterances").glob("*.json"))))
    add_variants(found)
    if options.check:
        scores = check(found, options.folds)
        for name, score in sorted(scores.items()):
            print(f"{name:24} {score}")
        if options.wrong:
            print("\n".join(scores["all"].wrong))
        return
    print(
        "\n".join(["Not among the candidates:", *(text for case in found for text in case.unseen)]),
        file=sys.stderr,
    )
    arguments, tools = learn(found)
    WEIGHTS.write_text(
        json.dumps({"arguments": arguments.table, "tools": tools.table}, indent=0) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
