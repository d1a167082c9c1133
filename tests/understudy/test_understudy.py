"""The understudy: how often it is right, how it holds a conversation, and that it speaks OpenAI's protocol."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import oracles
import pytest
from learn import NOW, Score, add_variants, cases, learn
from openaischemas import OpenAISchemas
from paths import shared

from kit.understudy import MODEL, Understudy
from kit.understudy.dates import parse_date, parse_time
from kit.understudy.dialogue import respond
from kit.understudy.memory import Entry
from kit.understudy.sentence import read
from kit.understudy.slots import read_tools
from kit.understudy.weights import learned

HERE = Path(__file__).parent


def score(*paths: Path) -> tuple[float, float, list[str]]:
    """(share of sentences with operation and all arguments right, share rightly without a call, what went wrong)."""
    total = Score()
    for case in cases(*paths):
        total.add(case, learned())
    return total.whole / total.calls, total.rightly_silent / total.silent, total.wrong


def test_plugins_of_others_in_the_words_of_others() -> None:
    """Of writers who knew nothing of it, never learned from."""
    right, rightly_silent, wrong = score(*sorted((HERE / "unseen").glob("*.json")))
    assert right >= 0.6, "\n".join(wrong)
    assert rightly_silent >= 0.8, "\n".join(wrong)


@pytest.mark.skipif(not shared("understudy", "cases.json"), reason="no ../shared/understudy/cases.json")
def test_the_cases_of_the_workplace() -> None:
    right, rightly_silent, wrong = score(shared("understudy", "cases.json"))  # type: ignore[arg-type]
    assert right >= 0.85, "\n".join(wrong)
    assert rightly_silent >= 10 / 12, "\n".join(wrong)


def test_the_weights_are_what_learning_gives() -> None:
    """From a few plugins, since all take a minute: the same table each time, and better than none."""
    few = [case for case in cases(HERE / "utterances/prototypes.json") if case.plugin < "prototypes.h"]
    add_variants(few)
    first, again = learn(few), learn(few)
    assert [table.table for table in first] == [table.table for table in again]
    total = Score()
    for case in few:
        total.add(case, first)
    assert total.whole / total.calls > 0.7


# -- values in a sentence -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("""add "buy milk" and 'don't panic'""", [("quote", "buy milk"), ("quote", "don't panic")]),
        ("sam's list isn't bob's", []),
        ("on 2026-03-14 at 12:30", [("date", "2026-03-14"), ("time", "12:30")]),
        ("March 14, 2026 or 14th of march 2026", [("date", "2026-03-14"), ("date", "2026-03-14")]),
        ("at 3pm, 9:05 am", [("time", "15:00"), ("time", "09:05")]),
        ("2026-03-14T09:00:00Z", [("datetime", "2026-03-14T09:00:00Z")]),
        (
            "$1,250.50 and 5% and -3 and 2.5",
            [("number", 1250.5), ("number", 5), ("number", -3), ("number", 2.5)],
        ),
        (
            "twenty-five, two hundred, a dozen, the third",
            [("number", 25), ("number", 200), ("number", 12), ("number", 3)],
        ),
        ("P204 and L-3307 and #17", [("code", "P204"), ("code", "L-3307"), ("number", 17)]),
        ("three-bedroom, 2-bedroom, 2kg", [("number", 3), ("number", 2), ("number", 2)]),
        ("a@b.org https://x.example/a?b=1.", [("email", "a@b.org"), ("url", "https://x.example/a?b=1")]),
        ("123e4567-e89b-12d3-a456-426614174000", [("uuid", "123e4567-e89b-12d3-a456-426614174000")]),
        ("that one is the one", []),
    ],
)
def test_values(text: str, values: list[tuple[str, Any]]) -> None:
    assert [(value.kind, value.value) for value in read(text, NOW).values] == values


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("03/04/2026", "2026-03-04"),
        ("25/12/2026", "2026-12-25"),
        ("4.3.2026", "2026-03-04"),
        ("2026-13-01", None),
    ],
)
def test_dates(text: str, date: str | None) -> None:
    assert parse_date(text, NOW) == date
    assert parse_time("12 am") == "00:00"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("date", "date"), ("dueDate", "date"), ("deadline", "date"), ("time", "time"), ("phone", "phone"),
     ("mobile", "phone"), ("website", "url"), ("email", "email"), ("order_id", "id"), ("city", "place")],
)  # fmt: skip
def test_a_parameter_is_recognized_by_its_name(name: str, kind: str) -> None:
    (reading,) = read_tools([{"name": "find", "parameters": {"properties": {name: {"type": "string"}}}}])
    assert [slot.kind for slot in reading.slots] == [kind]


# -- conversations --------------------------------------------------------------------


def tool(name: str, description: str, **properties: str | tuple[str, str]) -> dict[str, Any]:
    """A tool all of whose arguments are required: descriptions, with the type where it is not a string."""
    said = {
        key: value if isinstance(value, tuple) else ("string", value) for key, value in properties.items()
    }
    fields = {key: {"type": kind, "description": text} for key, (kind, text) in said.items()}
    parameters = {"type": "object", "properties": fields, "required": [*fields]}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


PLUGINS = {
    "todo": [
        tool(
            "addTodo",
            "Add a todo to a user's list",
            username="The name of the user",
            todo="What there is to do",
        ),
        tool("getTodos", "Show the list of todos of a user", username="The name of the user"),
        tool(
            "deleteTodo",
            "Delete a todo of a user by its number",
            username="The name of the user",
            todo_idx=("integer", "The number of the todo"),
        ),
    ],
    "weather": [
        tool(
            "getForecast",
            "The weather forecast of a city for some days",
            city="The name of the city",
            days=("integer", "For how many days, 10 at most"),
        ),
        tool("getAlerts", "Warnings and alerts of storm or flood in a region", region="The region or state"),
    ],
}


class Talk:
    """A conversation with the understudy; every call is answered with `results[name]`."""

    def __init__(self, plugin: str, results: dict[str, str] | None = None) -> None:
        self.tools = read_tools(PLUGINS[plugin])
        self.entries: list[Entry] = []
        self.results = results or {}

    def say(self, text: str, **options: Any) -> tuple[list[list[tuple[str, dict[str, Any]]]], str]:
        """The calls, round by round, and the answer."""
        self.entries.append(Entry("user", text))
        rounds: list[list[tuple[str, dict[str, Any]]]] = []
        while True:
            answer = respond(self.entries, self.tools, **options)
            if not answer.calls:
                self.entries.append(Entry("assistant", answer.text))
                return rounds, answer.text
            rounds.append([(step.name, step.arguments) for step in answer.calls])
            for step in answer.calls:
                identifier = str(len(self.entries))
                self.entries.append(Entry("call", id=identifier, name=step.name, arguments=step.arguments))
                self.entries.append(Entry("result", self.results.get(step.name, '"ok"'), id=identifier))


def test_several_requests_are_several_calls() -> None:
    talk = Talk("todo")
    rounds, _ = talk.say("add 'milk' and 'eggs' to sam's list")
    assert rounds == [
        [("addTodo", {"username": "sam", "todo": "milk"}), ("addTodo", {"username": "sam", "todo": "eggs"})]
    ]
    rounds, _ = talk.say("add 'milk' to ann's list, then show me bob's list")
    assert rounds == [[("addTodo", {"username": "ann", "todo": "milk"})], [("getTodos", {"username": "bob"})]]
    rounds, _ = talk.say("delete todos 3 and 5 of bob", parallel=False)
    assert rounds == [
        [("deleteTodo", {"username": "bob", "todo_idx": 3})],
        [("deleteTodo", {"username": "bob", "todo_idx": 5})],
    ]
    rounds, _ = Talk("weather").say("What's the weather in Paris and in London for the next 3 days?")
    assert rounds == [
        [("getForecast", {"city": "Paris", "days": 3}), ("getForecast", {"city": "London", "days": 3})]
    ]


def test_what_is_missing_is_asked_for_and_the_answer_used() -> None:
    talk = Talk("todo")
    rounds, text = talk.say("delete a todo")
    assert (rounds, text) == ([], "For deleteTodo I need the name of the user. What is it?")
    rounds, text = talk.say("bob")
    assert rounds == []
    assert "number" in text
    rounds, text = talk.say("what was that?")
    assert rounds == []
    assert "number" in text
    rounds, _ = talk.say("number 4 please")
    assert rounds == [[("deleteTodo", {"username": "bob", "todo_idx": 4})]]


def test_an_answer_may_be_another_request_or_a_refusal() -> None:
    talk = Talk("todo")
    talk.say("delete a todo of bob")
    assert talk.say("never mind") == ([], "All right, nothing was called.")
    talk.say("delete a todo of bob")
    assert talk.say("rather show me ann's list")[0] == [[("getTodos", {"username": "ann"})]]


def test_the_conversation_is_remembered() -> None:
    talk = Talk("todo")
    talk.say("add 'milk' to sam's list")
    assert talk.say("now show the list")[0] == [[("getTodos", {"username": "sam"})]]
    assert talk.say("delete the second one")[0] == [[("deleteTodo", {"username": "sam", "todo_idx": 2})]]
    talk = Talk("weather")
    talk.say("any storm alerts in Texas?")
    assert talk.say("what about Utah?")[0] == [[("getAlerts", {"region": "Utah"})]]


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "thanks a lot",
        "who are you?",
        "good morning",
        "how are you?",
        "lol",
        "Tell me a joke",
        "What is the capital of France?",
    ],
)
def test_small_talk_calls_nothing(text: str) -> None:
    rounds, answer = Talk("todo").say(text)
    assert rounds == []
    assert answer


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ('["milk", "eggs"]', "2 entries:\n\n1. milk\n2. eggs"),
        ("[]", "getTodos found nothing: the list is empty."),
        (
            '[{"id": 1, "todo": "milk"}, {"id": 2, "todo": "a|b"}]',
            "2 entries:\n\n| id | todo |\n| --- | --- |\n| 1 | milk |\n| 2 | a/b |",
        ),
        ('{"count": 3}', "count: 3"),
        ('{"a": 1, "b": [2, 3]}', "getTodos gave:\n\n- a: 1\n\nb, 2 entries:\n\n1. 2\n2. 3"),
        ("true", "getTodos says yes."),
        ("null", "getTodos gave an empty answer."),
        ("just text", "getTodos answers: just text"),
        (
            '{"status": 404, "error": {"detail": "no such user"}}',
            "getTodos did not work: no such user (status 404)",
        ),
        (
            '{"status": 422, "error": {"detail": [{"loc": ["query", "n"], "msg": "too large"}]}}',
            "getTodos did not work: n: too large (status 422)",
        ),
        (
            '{"error": "x", "problems": ["a: is missing", "b: is wrong"]}',
            "getTodos did not work: a: is missing; b: is wrong",
        ),
    ],
)
def test_results_are_told_from_the_data_alone(result: str, told: str) -> None:
    assert Talk("todo", {"getTodos": result}).say("show sam's list")[1] == told


def test_the_choice_of_a_tool_can_be_given() -> None:
    assert Talk("todo").say("add 'milk' to sam's list", choice="none")[0] == []
    assert Talk("todo").say("sam", choice="getTodos")[0][0][0][0] == "getTodos"


def test_a_nullable_argument_that_is_required_is_null() -> None:
    tool = {
        "name": "find",
        "description": "Find things",
        "parameters": {
            "type": "object",
            "properties": {"words": {"type": "string"}, "limit": {"type": ["integer", "null"]}},
            "required": ["words", "limit"],
        },
    }
    answer = respond([Entry("user", "find red shoes")], read_tools([tool]))
    assert answer.calls[0].arguments == {"words": "red shoes", "limit": None}


# -- the protocol ---------------------------------------------------------------------


@pytest.fixture
def client(understudy: Understudy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=understudy.base_url, api_key="none") as running:
        yield running


TOOLS = [
    {
        "type": "function",
        "name": "list_todos",
        "description": "List the todos of a user",
        "parameters": {
            "type": "object",
            "properties": {"username": {"type": "string"}},
            "required": ["username"],
        },
        "strict": False,
    }
]
CHAT_TOOLS = [
    {"type": "function", "function": {k: v for k, v in TOOLS[0].items() if k not in ("type", "strict")}}
]
ASK = "show the todos of sam and of ann"


def test_responses_over_turns(client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-5", input=ASK, tools=TOOLS)  # type: ignore[call-overload]
    assert first.model == MODEL == "understudy-no-language-model"
    assert [json.loads(item.arguments)["username"] for item in first.output] == ["sam", "ann"]
    outputs = [
        {"type": "function_call_output", "call_id": item.call_id, "output": '["milk"]'}
        for item in first.output
    ]
    second = client.responses.create(model="gpt-5", previous_response_id=first.id, input=outputs, tools=TOOLS)  # type: ignore[call-overload]
    assert "1. milk" in second.output_text
    third = client.responses.create(
        model="gpt-5", previous_response_id=second.id, input="thanks", tools=TOOLS
    )  # type: ignore[call-overload]
    assert third.output_text == "You are welcome."
    assert client.responses.retrieve(first.id).output == first.output
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_the_same_conversation_gets_the_same_answer(client: openai.OpenAI) -> None:
    answers = [
        client.chat.completions.create(
            model="x", messages=[{"role": "user", "content": ASK}], tools=CHAT_TOOLS
        )
        for _ in range(2)
    ]  # type: ignore[list-item, misc]
    assert answers[0].choices == answers[1].choices
    assert answers[0].id == answers[1].id


def test_streams_add_up_to_the_whole(client: openai.OpenAI) -> None:
    for text in (ASK, "hello"):
        whole = client.responses.create(model="x", input=text, tools=TOOLS)  # type: ignore[call-overload]
        with client.responses.stream(model="x", input=text, tools=TOOLS) as stream:  # type: ignore[arg-type]
            kinds = [event.type for event in stream]
            assert stream.get_final_response().to_dict()["output"] == whole.to_dict()["output"] or [
                item.to_dict()["type"] for item in stream.get_final_response().output
            ] == [item.to_dict()["type"] for item in whole.output]
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        with client.chat.completions.stream(
            model="x", messages=[{"role": "user", "content": text}], tools=CHAT_TOOLS
        ) as chat:  # type: ignore[arg-type]
            for _ in chat:
                pass
            message = chat.get_final_completion().choices[0].message
        plain = (
            client.chat.completions.create(
                model="x", messages=[{"role": "user", "content": text}], tools=CHAT_TOOLS
            )
            .choices[0]
            .message
        )  # type: ignore[arg-type, call-overload]
        assert (message.content or "") == (plain.content or "")
        assert [c.function.arguments for c in message.tool_calls or []] == [
            c.function.arguments for c in plain.tool_calls or []
        ]


CHAT = "/chat/completions"
USER = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (CHAT, b"{broken", 400, None),
        (CHAT, b"[]", 400, None),
        (CHAT, {"messages": USER}, 400, "model"),
        (CHAT, {"model": "x"}, 400, "messages"),
        (CHAT, {"model": "x", "messages": []}, 400, "messages"),
        (CHAT, {"model": "x", "messages": [{"role": "boss", "content": ""}]}, 400, "messages[0].role"),
        (CHAT, {"model": "x", "messages": [{"role": "user", "content": 3}]}, 400, "messages[0].content"),
        (
            CHAT,
            {"model": "x", "messages": [*USER, {"role": "tool", "tool_call_id": "c", "content": "x"}]},
            400,
            "input",
        ),
        (CHAT, {"model": "x", "messages": USER, "tool_choice": "required"}, 400, "tool_choice"),
        (
            CHAT,
            {"model": "x", "messages": USER, "tools": [{"type": "function", "function": {"name": "a b"}}]},
            400,
            "tools[0].name",
        ),
        ("/responses", {"model": "x"}, 400, "input"),
        ("/responses", {"model": "x", "input": [{"role": "boss", "content": "x"}]}, 400, "input[0].role"),
        (
            "/responses",
            {"model": "x", "input": "hi", "previous_response_id": "gone"},
            400,
            "previous_response_id",
        ),
        (
            "/responses",
            {"model": "x", "input": "hi", "tool_choice": {"type": "function", "name": "gone"}},
            400,
            "tool_choice",
        ),
        ("/nowhere", {}, 404, None),
    ],
)
def test_errors_have_openais_shape(
    understudy: Understudy,
    openai_schemas: OpenAISchemas,
    path: str,
    body: Any,
    status: int,
    param: str | None,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx2.post(understudy.base_url + path, content=content)
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
    assert openai_schemas.errors("ErrorResponse", answer.json()) == []


def events(answer: httpx2.Response) -> list[Any]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("text", [ASK, "hello", "show the todos", "What is the capital of France?"])
def test_every_answer_and_event_is_what_openai_describes(
    understudy: Understudy, openai_schemas: OpenAISchemas, text: str
) -> None:
    body: dict[str, Any] = {
        "model": "gpt-5",
        "input": text,
        "tools": TOOLS,
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
    }
    answer = httpx2.post(f"{understudy.base_url}/responses", json=body).json()
    assert openai_schemas.errors("Response", answer) == []
    streamed = events(httpx2.post(f"{understudy.base_url}/responses", json={**body, "stream": True}))
    assert len(streamed) > 5
    for event in streamed:
        assert openai_schemas.errors("ResponseStreamEvent", event) == [], event["type"]
    assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))
    chat = {"model": "gpt-5", "messages": [{"role": "user", "content": text}], "tools": CHAT_TOOLS, "n": 2}
    whole = httpx2.post(f"{understudy.base_url}/chat/completions", json=chat).json()
    assert openai_schemas.errors("CreateChatCompletionResponse", whole) == []
    assert len(whole["choices"]) == 2
    stream = {**chat, "n": 1, "stream": True, "stream_options": {"include_usage": True}}
    answer = httpx2.post(f"{understudy.base_url}/chat/completions", json=stream)
    assert answer.text.endswith("data: [DONE]\n\n")
    for chunk in events(answer):
        assert openai_schemas.errors("CreateChatCompletionStreamResponse", chunk) == []
    assert events(answer)[-1]["usage"]["total_tokens"] > 0
    models = httpx2.get(f"{understudy.base_url}/models").json()
    assert openai_schemas.errors("ListModelsResponse", models) == []
    assert openai_schemas.errors("Model", httpx2.get(f"{understudy.base_url}/models/{MODEL}").json()) == []


def test_an_answer_that_lacks_a_field_or_has_one_more_is_seen(understudy: Understudy) -> None:
    """By the types of the package alone: they are what there is without the API's description."""
    body = {"model": "gpt-5", "input": ASK, "tools": TOOLS}
    answer = httpx2.post(f"{understudy.base_url}/responses", json=body).json()
    chat = {"model": "gpt-5", "messages": [{"role": "user", "content": ASK}], "tools": CHAT_TOOLS}
    whole = httpx2.post(f"{understudy.base_url}/chat/completions", json=chat).json()
    message = ("choices", 0, "message")
    lacking = {
        "Response": [("id",), ("error",), ("tools",), ("usage", "total_tokens"), ("output", 0, "call_id")],
        "CreateChatCompletionResponse": [("id",), ("choices", 0, "logprobs"), (*message, "refusal")],
    }
    for component, given in (("Response", answer), ("CreateChatCompletionResponse", whole)):
        validator = oracles.strict(oracles.OPENAI[component])
        assert oracles.errors(validator, given) == []
        for *place, name in lacking[component]:
            for change in ("lacks", "has more", "is of another type"):
                changed = copy.deepcopy(given)
                node = changed
                for step in place:
                    node = node[step]
                if change == "lacks":
                    del node[name]
                elif change == "has more":
                    node["extra"] = 1
                else:
                    node[name] = [object]
                assert oracles.errors(validator, changed), (place, name, change)
