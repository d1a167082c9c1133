"""`evaluate` and `compare` over a real server of prepared answers: right and wrong ones, in numbers, pictures and files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scripted import Scripted

import kit
from kit.evals.drafts import Coverage
from kit.evals.outcome import NO_CALL, Score
from kit.evals.variants import blanked


@pytest.fixture(scope="module")
def shared() -> Iterator[Scripted]:
    with Scripted() as scripted:
        yield scripted


@pytest.fixture
def model(shared: Scripted) -> Scripted:
    shared.steps.clear()
    return shared


@pytest.fixture
def asked(model: Scripted, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options of `evaluate`: that model, one conversation at a time, since its answers are in a queue."""
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    return {"at_once": 1, "models": ["m"]}


CASES = [
    ("Add milk for sam", {"add_todo": {"username": "sam", "todo": "milk"}}),
    ("What is on sam's list?", "list_todos"),
    ("Hello", "none"),
]


def script(model: Scripted, *calls: tuple[str, str] | None) -> None:
    for call in calls:
        if call:
            model.enqueue("", call)
        model.enqueue("Here you are.")


ADD = ("add_todo", '{"username": "sam", "todo": "milk"}')
LIST = ("list_todos", '{"username": "sam"}')


def test_right_ones_are_right(todo: kit.Plugin, model: Scripted, asked: dict[str, Any]) -> None:
    script(model, ADD, LIST, None)
    result = kit.evaluate(todo, CASES, **asked)
    assert (result.accuracy, result.wrong) == (1.0, [])
    assert result.confusion == {
        ("add_todo", "add_todo"): 1,
        ("list_todos", "list_todos"): 1,
        (NO_CALL, NO_CALL): 1,
    }
    assert result.expect() is result
    assert kit.install(todo).call("list_todos", username="sam").data == ["milk"]  # the calls were real


def test_each_kind_of_wrong_is_told(todo: kit.Plugin, model: Scripted, asked: dict[str, Any]) -> None:
    script(model, ("add_todo", '{"username": "ada", "todo": "milk"}'), None, LIST)
    result = kit.evaluate(todo, CASES, dry=True, **asked)
    assert [outcome.misfits for outcome in result.outcomes] == [
        ["add_todo: username is 'ada', expected 'sam'"],
        ["list_todos() was not called"],
        ["list_todos(username='sam') was called, and not expected"],
    ]
    assert result.confusion == {
        ("add_todo", "add_todo"): 1,
        ("list_todos", NO_CALL): 1,
        (NO_CALL, "list_todos"): 1,
    }
    assert {name: (score.right, score.total) for name, score in result.by_operation.items()} == {
        "add_todo": (0, 1),
        "list_todos": (0, 1),
        NO_CALL: (0, 1),
    }
    with pytest.raises(kit.ExpectationFailed, match="username is 'ada'"):
        result.expect(0.5)
    with pytest.raises(AssertionError):  # pytest tells a failure from an error
        result.expect(0.5)


def test_dry_changes_nothing_and_answers_by_the_spec(
    todo: kit.Plugin, model: Scripted, asked: dict[str, Any]
) -> None:
    script(model, ADD)
    result = kit.evaluate(todo, CASES[:1], dry=True, **asked)
    assert result.accuracy == 1
    (call,) = result.outcomes[0].replies[0].calls
    assert (call.status, call.url) == (200, "")
    assert isinstance(call.data, list)
    assert kit.install(todo).call("list_todos", username="sam").data == []


def test_an_answer_that_fails_is_wrong_unless_it_is_expected(model: Scripted, asked: dict[str, Any]) -> None:
    plugin = kit.Plugin("broken", description_for_model="Broken.")

    @plugin.get("/x")
    def find_x() -> str:
        raise RuntimeError("no")

    for case, right in (
        ({"say": "x", "calls": "find_x"}, False),
        ({"say": "x", "calls": "find_x", "status": 500}, True),
    ):
        script(model, ("find_x", "{}"))
        assert kit.evaluate(plugin, [case], **asked).outcomes[0].right is right


def test_several_turns_go_on_in_one_conversation(
    todo: kit.Plugin, model: Scripted, asked: dict[str, Any]
) -> None:
    script(model, ADD, LIST)
    case = {
        "turns": [
            {"say": "Add", "calls": "add_todo"},
            {"say": "And now?", "calls": "list_todos", "mentions": "HERE"},
        ]
    }
    result = kit.evaluate(todo, [case], **asked)
    assert result.accuracy == 1
    assert "Add" in json.dumps(model.requests[-1][1]["input"])


def test_what_may_be_called_besides(todo: kit.Plugin, model: Scripted, asked: dict[str, Any]) -> None:
    for also, right in ((["list_todos"], True), ([], False)):
        model.enqueue("", LIST)
        script(model, ADD)
        case = {"say": "Add milk", "calls": "add_todo", "also": also}
        assert kit.evaluate(todo, [case], **asked).outcomes[0].right is right


def test_a_model_that_fails_is_an_outcome(todo: kit.Plugin, model: Scripted, asked: dict[str, Any]) -> None:
    model.enqueue("out of order", status=400)
    script(model, LIST)
    result = kit.evaluate(todo, CASES[:2], **asked)
    assert [outcome.right for outcome in result.outcomes] == [False, True]
    assert "out of order" in result.outcomes[0].misfits[0]


def test_several_models_n_times_with_their_cost(
    todo: kit.Plugin, model: Scripted, asked: dict[str, Any]
) -> None:
    script(model, LIST, LIST, None, LIST)
    prices = {"a": (1.0, 2.0), "b": (0.0, 0.0)}
    result = kit.evaluate(todo, CASES[1:2], **{**asked, "models": ["a", "b"]}, n=2, prices=prices)
    assert result.models == ["a", "b"]
    assert [result.of(name).score.right for name in result.models] == [2, 1]
    usage = result.of("a").usage
    assert result.cost == pytest.approx((usage.input_tokens + 2 * usage.output_tokens) / 1e6)
    assert result.of("b").cost == 0
    assert "b  1 of 2" in repr(result)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (("x", "add_tod"), "Did you mean 'add_todo'?"),
        (("x", {"add_todo": {"user": 1}}), "Did you mean 'username'?"),
        ({"say": "x", "calls": "add_todo", "also": "nothing"}, "names the operation 'nothing'"),
    ],
)
def test_cases_that_nobody_can_be_right_in_are_refused(todo: kit.Plugin, case: Any, words: str) -> None:
    with pytest.raises(kit.CaseError, match=words.replace("?", r"\?")):
        kit.evaluate(todo, [case])


def test_the_understudy_is_told_to_have_needed_no_description(todo: kit.Plugin) -> None:
    result = kit.evaluate(todo, [("Add 'milk' to sam's list", "add_todo")], dry=True)
    assert [outcome.undescribed for outcome in result.outcomes] == [True]
    assert "1 of the 1 right ones were chosen without a description" in repr(result)


def test_descriptions_made_worse_cost_accuracy() -> None:
    def plugin(summaries: tuple[str, str]) -> kit.Plugin:
        made = kit.Plugin("shop", description_for_model="x")
        for name, summary in zip("ab", summaries, strict=True):
            made.get(f"/{name}", summary=summary, operation_id=name)(lambda: "x")
        return made

    cases = [
        ("Show me the opening hours", "a"),
        ("Which books are new?", "b"),
        ("When are you open?", "a"),
    ]
    good, bad = (
        plugin(("Show the opening hours: when the shop is open", "List the new books")),
        plugin(("Go", "Do")),
    )
    change = kit.compare(good, bad, cases, dry=True)
    assert change.before.accuracy > change.after.accuracy
    assert len(change.worse) >= 2
    assert "Worse" in change.verdict
    assert len(change.before.undescribed) < change.before.score.right


def test_the_paired_test_is_exact(todo: kit.Plugin, model: Scripted, asked: dict[str, Any]) -> None:
    script(model, *[None] * 6, *[LIST] * 6)
    cases = [(f"List {n}", "list_todos") for n in range(6)]
    before, after = (kit.evaluate(todo, cases, dry=True, **asked) for _ in range(2))
    change = kit.compare(before, after)
    assert (len(change.better), len(change.worse)) == (6, 0)
    assert change.p_value == pytest.approx(2 / 2**6)
    assert kit.compare(after, after).p_value == 1
    assert change.verdict.startswith("Better")
    assert "<details" in change._repr_html_()
    with pytest.raises(kit.CaseError):
        kit.compare(before, kit.evaluate(todo, [("Hi", "none")], dry=True))


@pytest.mark.parametrize(
    ("right", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_wilsons_interval(right: int, total: int, low: float, high: float) -> None:
    assert Score(right, total).interval == pytest.approx((low, high), abs=1e-4)


def test_files_for_people_spreadsheets_and_ci(
    todo: kit.Plugin, model: Scripted, asked: dict[str, Any], tmp_path: Path
) -> None:
    script(model, ("add_todo", '{"username": "=cmd()", "todo": "\\u0007"}'), LIST, None)
    result = kit.evaluate(todo, CASES, dry=True, **asked)
    data = json.loads(result.save(tmp_path / "r.json").read_text())
    assert (data["right"], data["total"], len(data["outcomes"])) == (2, 3, 3)
    rows = list(csv.DictReader(result.save(tmp_path / "r.csv").read_text().splitlines()))
    assert [row["right"] for row in rows] == ["False", "True", "True"]
    suite = ElementTree.fromstring(result.save(tmp_path / "r.xml").read_text())
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase/failure"))) == (
        "3",
        "1",
        1,
    )
    with pytest.raises(kit.KitError, match="ending"):
        result.save(tmp_path / "r.txt")


def test_the_picture_has_words_and_shows_what_is_untrusted_as_text(
    todo: kit.Plugin, model: Scripted, asked: dict[str, Any]
) -> None:
    script(model, None)
    result = kit.evaluate(todo, [("<script>alert(1)</script>", "list_todos")], dry=True, **asked)
    html = result._repr_html_()
    assert "<script" not in html
    assert f"1 times {NO_CALL} for list_todos" in html


def test_drafts_are_cases_of_the_plugin_and_coverage_says_what_is_left(todo: kit.Plugin) -> None:
    drafts = kit.cases(todo, 4)
    assert len(drafts) == 4
    assert kit.coverage(todo, drafts).untouched == []
    left = kit.coverage(todo, [("x", {"add_todo": {"username": "sam"}})])
    assert left.untouched == ["add_todo.todo", "list_todos", "delete_todo"]
    assert isinstance(left, Coverage)


def test_drafts_of_a_model(todo: kit.Plugin, model: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    model.enqueue('Sure:\n```json\n[{"say": "Put milk on it", "calls": {"add_todo": {"todo": "milk"}}}]\n```')
    assert [str(case) for case in kit.cases(todo, 3, model="m")] == [
        "Put milk on it -> add_todo(todo='milk')"
    ]
    model.enqueue("I cannot.")
    with pytest.raises(kit.CaseError, match="wrote no cases"):
        kit.cases(todo, 3, model="m")


def test_no_word_is_left_and_every_name_is(todo: kit.Plugin) -> None:
    plugin = kit.install(todo)
    bare = blanked(plugin)
    assert bare.tool_names == plugin.tool_names
    assert [list(tool.arguments) for tool in bare.by_name.values()] == [
        list(t.arguments) for t in plugin.by_name.values()
    ]
    assert "Add a todo" not in json.dumps(bare.tools())


def test_a_property_that_is_named_description_stays() -> None:
    plugin = kit.Plugin("p", description_for_model="p")

    @plugin.post("/x")
    def add(description: str, title: str, summary: list[str] = []) -> dict[str, str]:  # noqa: B006
        return {}

    assert list(blanked(kit.install(plugin)).tool("add").arguments) == ["description", "title", "body"]
