"""`Chat`: the real openai client over HTTP, with everything that can go wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openaischemas import OpenAISchemas
from scripted import Scripted

import kit
from kit import loop
from kit.chat.client import ModelClient
from kit.chat.history import NO_RESULT
from kit.chat.reply import CallEnded, CallStarted, Finished, TextDelta

APIS = pytest.mark.parametrize("api", ["responses", "chat"])


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


clients: list[openai.AsyncOpenAI] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Closes the clients that a test has created."""
    yield
    while clients:
        loop.run(clients.pop().close())


def client_for(scripted: Scripted, **more: Any) -> openai.AsyncOpenAI:
    clients.append(openai.AsyncOpenAI(base_url=scripted.base_url, api_key="none", **more))
    return clients[-1]


def chat_with(scripted: Scripted, *plugins: Any, **options: Any) -> kit.Chat:
    return kit.Chat(*plugins, client=client_for(scripted), model="m", **options)


def kinds_of(history: list[Any]) -> list[str]:
    return [item.get("type", item.get("role")) for item in history]


ADD = ("add_todo", '{"username": "sam", "todo": "milk"}')


@APIS
def test_a_turn_with_a_call(scripted: Scripted, server: kit.Server, api: str) -> None:
    scripted.enqueue("Let me see.", ADD) if api == "chat" else scripted.enqueue("", ADD)
    scripted.enqueue("It is on the list.")
    chat = chat_with(scripted, server, api=api, instructions="Be brief.")
    reply = chat("Add milk")
    before = "Let me see.\n\n" if api == "chat" else ""  # what is said before a call is said, too
    assert reply.text == f"{before}It is on the list."
    assert [(c.operation, c.arguments, c.status, c.data) for c in reply.calls] == [
        ("add_todo", {"username": "sam", "todo": "milk"}, 200, ["milk"])
    ]
    assert reply.calls[0].seconds > 0
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0
    assert reply.model == "understudy-no-language-model"
    assert reply.notes == []
    sent, body = scripted.requests[0]
    assert sent == api
    system = body["instructions"] if api == "responses" else body["messages"][0]["content"]
    assert system.startswith("Be brief.\n\nPlugin todo: Plugin for managing a TODO list")
    assert "milk" in repr(reply)


@APIS
def test_state_over_turns(scripted: Scripted, server: kit.Server, api: str) -> None:
    chat = chat_with(scripted, server, api=api)
    for text in ("one", "two"):
        scripted.enqueue("", ADD)
        scripted.enqueue(f"answer {text}")
        chat(text)
    scripted.enqueue("end")
    chat("three")
    body = scripted.requests[-1][1]
    if api == "responses":
        kinds = [item.get("type", item.get("role")) for item in body["input"]]
        assert kinds == ["user", "function_call", "function_call_output", "message"] * 2 + ["user"]
    else:
        assert [m["role"] for m in body["messages"]] == ["system"] + [
            "user",
            "assistant",
            "tool",
            "assistant",
        ] * 2 + ["user"]
    chat.reset()
    scripted.enqueue("fresh")
    chat("again")
    assert len(scripted.requests[-1][1].get("input") or scripted.requests[-1][1]["messages"][1:]) == 1


def test_every_request_is_what_openai_describes(
    scripted: Scripted, server: kit.Server, openai_schemas: OpenAISchemas
) -> None:
    for api in ("responses", "chat"):
        chat = chat_with(scripted, server, api=api, instructions="Be brief.")
        scripted.enqueue("", ADD, ("list_todos", "{}"), ("nothing", "{broken"))
        scripted.enqueue("Done.")
        chat("Add milk and list")
        scripted.enqueue("Welcome.")
        chat("thanks")
    assert len(scripted.requests) == 6
    for api, body in scripted.requests:
        component = "CreateResponse" if api == "responses" else "CreateChatCompletionRequest"
        assert openai_schemas.errors(component, body) == []


@APIS
def test_events_come_as_they_happen(scripted: Scripted, server: kit.Server, api: str) -> None:
    scripted.enqueue("", ADD)
    scripted.enqueue("All is done.")
    events = list(chat_with(scripted, server, api=api).stream("Add milk"))
    kinds = [type(event) for event in events]
    assert kinds == [CallStarted, CallEnded, TextDelta, TextDelta, TextDelta, Finished]
    assert events[0] == CallStarted(
        "todo", "add_todo", {"username": "sam", "todo": "milk"}, consequential=True
    )
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "All is done."


@APIS
def test_async(scripted: Scripted, server: kit.Server, api: str) -> None:
    async def talk() -> tuple[kit.Reply, list[Any]]:
        chat = chat_with(scripted, server, api=api)
        reply = await chat.asend("Add milk")
        return reply, [event async for event in chat.astream("thanks")]

    scripted.enqueue("", ADD)
    scripted.enqueue("Done.")
    scripted.enqueue("Welcome.")
    reply, events = asyncio.run(talk())
    assert (reply.text, len(reply.calls)) == ("Done.", 1)
    assert events[-1].reply.text == "Welcome."


@APIS
def test_a_sync_client_works(scripted: Scripted, server: kit.Server, api: str) -> None:
    scripted.enqueue("", ADD)
    scripted.enqueue("Done.")
    with openai.OpenAI(base_url=scripted.base_url, api_key="none") as client:
        assert kit.Chat(server, client=client, model="m", api=api)("Add milk").text == "Done."


def test_parallel_calls_run_at_the_same_time(scripted: Scripted) -> None:
    plugin = kit.Plugin("slow", description_for_model="x")
    together = threading.Barrier(8, timeout=10)

    @plugin.get("/wait/{n}")
    def wait(n: int) -> int:
        together.wait()  # it only continues when eight calls run at the same time
        return n

    with kit.serve(plugin) as server:
        scripted.enqueue("", *[("wait", f'{{"n": {n}}}') for n in range(8)])
        scripted.enqueue("Done.")
        reply = chat_with(scripted, server)("go")
    assert [call.data for call in reply.calls] == list(range(8))


def test_several_plugins_in_one_chat(scripted: Scripted, server: kit.Server) -> None:
    other = kit.Plugin("other", description_for_model="Another one.")

    @other.get("/x")
    def list_todos() -> str:
        return "the other's"

    @other.get("/y")
    def only_here() -> str:
        return "here"

    scripted.enqueue(
        "", ("other__list_todos", "{}"), ("only_here", "{}"), ("todo__list_todos", '{"username": "x"}')
    )
    scripted.enqueue("Done.")
    chat = chat_with(scripted, server, other)
    reply = chat("go")
    assert [call.data for call in reply.calls] == ["the other's", "here", []]
    names = [tool["name"] for tool in scripted.requests[0][1]["tools"]]
    assert names == ["add_todo", "todo__list_todos", "delete_todo", "other__list_todos", "only_here"]


@APIS
def test_what_the_model_gets_wrong_goes_back_to_it(scripted: Scripted, server: kit.Server, api: str) -> None:
    scripted.enqueue(
        "",
        ("no_such_tool", "{}"),
        ("add_todo", '{"username": '),
        ("add_todo", '["a list"]'),
        ("add_todo", '{"todo": 3}'),
        ("delete_todo", '{"username": "sam", "number": 9}'),
        ("list_todos", ""),
    )
    scripted.enqueue("I see.")
    chat = chat_with(scripted, server, api=api)
    reply = chat("go")
    assert reply.text == "I see."
    answers = [str(call.data) for call in reply.calls]
    assert "There is no tool 'no_such_tool'; there are: add_todo, list_todos" in answers[0]
    assert "not a JSON object" in answers[1]
    assert "not a JSON object" in answers[2]
    assert "username: is required and missing" in answers[3]
    assert "sam has no todo 9" in answers[4]
    assert [call.status for call in reply.calls] == [None, None, None, None, 404, None]
    body = scripted.requests[1][1]
    outputs = (
        [i["output"] for i in body["input"] if i.get("type") == "function_call_output"]
        if api == "responses"
        else [m["content"] for m in body["messages"] if m["role"] == "tool"]
    )
    assert outputs[4] == '{"status": 404, "error": {"detail": "sam has no todo 9; the numbers are 1 to 0."}}'
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."


def test_rounds_end(scripted: Scripted, server: kit.Server) -> None:
    for _ in range(3):
        scripted.enqueue("", ("list_todos", '{"username": "sam"}'))
    chat = chat_with(scripted, server, max_rounds=3)
    reply = chat("go")
    assert len(reply.calls) == 3
    assert "after 3 rounds" in reply.error
    assert "after 3 rounds" in repr(reply)
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."


def test_consequential_calls_ask_first(scripted: Scripted, server: kit.Server) -> None:
    questions: list[CallStarted] = []

    def confirm(call: CallStarted) -> bool:
        assert threading.current_thread() is threading.main_thread()
        questions.append(call)
        return call.arguments["todo"] != "no"

    scripted.enqueue(
        "",
        ("add_todo", '{"username": "sam", "todo": "no"}'),
        ("add_todo", '{"username": "sam", "todo": "yes"}'),
        ("list_todos", '{"username": "sam"}'),
    )
    scripted.enqueue("Done.")
    reply = chat_with(scripted, server, confirm=confirm)("go")
    assert [call.operation for call in questions] == ["add_todo", "add_todo"]
    assert reply.calls[0].data == {"error": "The user did not allow this call."}
    assert reply.calls[1].data == ["yes"]
    assert [call.path for call in server.calls if call.method == "POST"] == ["/users/sam/todos"]


def test_confirm_may_be_awaited_or_ask_in_the_terminal(
    scripted: Scripted, server: kit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(call: CallStarted) -> bool:
        await asyncio.sleep(0)
        return False

    for options in ({"confirm": later}, {"confirm": True}):
        monkeypatch.setattr("builtins.input", lambda words: "n")
        scripted.enqueue("", ADD)
        scripted.enqueue("Denied.")
        assert chat_with(scripted, server, **options)("go").calls[0].ok is False
        scripted.enqueue("", ADD)
        scripted.enqueue("Denied.")
        assert asyncio.run(chat_with(scripted, server, **options).asend("go")).calls[0].ok is False
    monkeypatch.setattr(
        "builtins.input", lambda words: "y" if "add_todo(username='sam', todo='milk')" in words else "n"
    )
    scripted.enqueue("", ADD)
    scripted.enqueue("Done.")
    assert chat_with(scripted, server, confirm=True)("go").calls[0].ok


def test_what_is_marked_harmless_does_not_ask(scripted: Scripted) -> None:
    plugin = kit.Plugin("search", description_for_model="x")

    @plugin.post("/search", openapi_extra={"x-openai-isConsequential": False})
    def search() -> str:
        return "found"

    @plugin.get("/launch", openapi_extra={"x-openai-isConsequential": True})
    def launch() -> str:
        return "launched"

    scripted.enqueue("", ("search", "{}"), ("launch", "{}"))
    scripted.enqueue("Done.")
    questions: list[str] = []
    chat_with(scripted, plugin, confirm=lambda call: bool(questions.append(call.operation)))("go")
    assert questions == ["launch"]


@APIS
@pytest.mark.parametrize(("status", "message"), [(429, "rate limit"), (500, "failed, even after retries")])
def test_the_api_fails_temporarily_and_permanently(
    scripted: Scripted, server: kit.Server, api: str, status: int, message: str
) -> None:
    chat = chat_with(scripted, server, api=api)
    scripted.enqueue(status=status)
    scripted.enqueue(status=status)
    scripted.enqueue("Here I am.")
    assert chat("hello").text == "Here I am."
    assert len(scripted.requests) == 3
    for _ in range(3):
        scripted.enqueue("busy", status=status)
    with pytest.raises(kit.ChatError, match=message):
        chat("and again")
    # the page shows the question, so the model knows it, too
    assert [item["content"] for item in chat.history[2:]] == ["and again", "(no answer)"]
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Check OPENAI_API_KEY"), (400, "rejected the request: .*scripted")]
)
def test_errors_that_are_not_retried(scripted: Scripted, status: int, message: str) -> None:
    scripted.enqueue(status=status)
    with pytest.raises(kit.ChatError, match=message):
        chat_with(scripted)("hello")
    assert len(scripted.requests) == 1


def test_a_message_that_the_server_refuses_is_forgotten(scripted: Scripted) -> None:
    """Such as one that is too long: with it, every later request would be refused."""
    chat = chat_with(scripted)
    scripted.enqueue("Hi.")
    chat("hello")
    known = list(chat.history)
    scripted.enqueue(status=400)
    with pytest.raises(kit.ChatError) as caught:
        chat("x" * 1000)
    assert caught.value.is_refusal
    assert chat.history == known


def test_a_turn_that_is_stopped_leaves_calls_with_an_output(scripted: Scripted, server: kit.Server) -> None:
    async def never(call: CallStarted) -> bool:
        asked.set()
        await asyncio.sleep(60)
        return True

    async def stopped() -> None:
        turn = asyncio.ensure_future(chat.asend("Add milk"))
        await asked.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await chat.settle()

    asked = asyncio.Event()
    chat = chat_with(scripted, server, confirm=never, api="chat")
    scripted.enqueue("I add both.", ADD, ADD)
    asyncio.run(stopped())
    kinds = kinds_of(chat.history)
    assert kinds[:4] == ["user", "assistant", "function_call", "function_call"]
    assert kinds[4:6] == ["function_call_output"] * 2
    assert {item["output"] for item in chat.history[4:6]} == {NO_RESULT}
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."


@APIS
@pytest.mark.parametrize("how", ["drop", "short"])
def test_a_stream_that_is_interrupted(scripted: Scripted, server: kit.Server, api: str, how: str) -> None:
    scripted.enqueue("", ADD)
    scripted.enqueue("This is cut in the middle", **{how: True})
    chat = chat_with(scripted, server, api=api)
    if api == "chat" and how == "short":
        # the last chunk of this API is only the usage: without it the answer is complete
        *_, last = chat.stream("Add milk")
        assert isinstance(last, Finished)
        assert last.reply.text == "This is cut in the middle"
        return
    with pytest.raises(kit.ChatError, match="was interrupted") as caught:
        list(chat.stream("Add milk"))
    assert len(caught.value.reply.calls) == 1
    # the call was made and something was said: the conversation keeps it and goes on
    assert kinds_of(chat.history)[:3] == ["user", "function_call", "function_call_output"]
    assert "This is cut".startswith(chat.history[3]["content"][:11])
    assert caught.value.reply.text == chat.history[3]["content"]
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."


def test_an_api_that_cannot_be_reached(server: kit.Server) -> None:
    client = openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0)
    clients.append(client)
    chat = kit.Chat(server, client=client, model="m")
    with pytest.raises(kit.ChatError, match="cannot be reached"):
        chat("hello")
    assert [item["content"] for item in chat.history] == ["hello", "(no answer)"]


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_an_interrupt_leaves_the_chat_usable(
    scripted: Scripted, server: kit.Server, sync: bool, streams: bool
) -> None:
    client: Any = openai.OpenAI(base_url=scripted.base_url, api_key="none") if sync else client_for(scripted)
    chat = kit.Chat(server, client=client, model="m")
    scripted.enqueue("", ADD)
    scripted.enqueue("One two three four", hang=5)
    threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(chat.stream("go")) if streams else chat("go")
    time.sleep(0.2)
    assert kinds_of(chat.history)[:3] == ["user", "function_call", "function_call_output"]
    assert [item["role"] for item in chat.history[3:]] == ["assistant"]
    scripted.enqueue("Fine.")
    assert chat("and now?").text == "Fine."

    async def alone() -> int:
        return len([t for t in asyncio.all_tasks() if "kit" in repr(t.get_coro())])

    assert loop.run(alone()) <= 2
    if sync:
        client.close()


def test_a_chat_answers_one_thing_at_a_time(scripted: Scripted) -> None:
    scripted.enqueue("One two three four", hang=5)
    chat = chat_with(scripted)
    events = chat.stream("one")
    next(events)
    with pytest.raises(kit.ChatError, match="still answering"):
        chat("two")
    events.close()  # type: ignore[attr-defined]


def test_a_server_without_responses_is_detected(server: kit.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(has_responses=False) as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
        scripted.enqueue("", ADD)
        scripted.enqueue("Done.")
        chat = kit.Chat(server)
        reply = chat("Add milk")
        assert reply.text == "Done."
        assert reply.notes == ["This server has no /v1/responses: Chat Completions is used."]
        assert "Chat Completions is used" in repr(reply)
        assert [api for api, _ in scripted.requests] == ["chat", "chat"]
        assert scripted.requests[0][1]["model"] == "understudy-no-language-model"  # the first it lists
        scripted.enqueue("Again.")
        assert chat("more").notes == []


def test_the_environment_says_which_model(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-mine")
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
    monkeypatch.setenv("OPENAI_MODEL", "llama3")
    scripted.enqueue("Hello.")
    chat = kit.Chat()
    reply = chat("hi")
    assert scripted.requests[0][1]["model"] == "llama3"
    scripted.enqueue("bad key sk-secret-of-mine", status=401)
    with pytest.raises(kit.ChatError) as caught:
        chat("hi")
    seen = repr(reply) + repr(chat) + str(caught.value) + capsys.readouterr().out
    assert "sk-secret-of-mine" not in seen


def test_without_a_key_the_understudy_answers_and_says_so(
    server: kit.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = kit.Chat(server)
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert "the understudy answers" in output
    assert "OPENAI_API_KEY" in output
    reply = chat("Add 'buy milk' to sam's list")
    assert reply.model == "understudy-no-language-model"
    assert reply.calls[0].data == ["buy milk"]
    assert kit.Chat(server, api="chat")("what does sam have to do?").calls[0].data == ["buy milk"]


def test_wrong_options_are_reported() -> None:
    with pytest.raises(kit.ChatError, match="no API 'telepathy'"):
        kit.Chat(api="telepathy")


def test_chats_with_one_server_share_a_client_however_many_servers_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def client(number: int) -> Any:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{number}/v1")
        return ModelClient().client

    first = client(1)
    assert client(1) is first
    assert len({id(client(number)) for number in range(1, 40)}) == 39
    assert client(1) is first
