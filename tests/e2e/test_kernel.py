"""Everything again in a real kernel: cells, interrupts, prints, other packages' event loops."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from kernel import Kernel

PLUGIN = """
import kit, httpx2
todo = kit.Plugin("todo", description_for_model="Plugin for todos.")
"""
OPERATION = """
@todo.get("/items")
def list_items() -> list[str]:
    print("inside the handler")
    return ["one"]
"""


def good(kernel: Kernel, code: str, cell: str = "") -> str:
    """Runs a cell that must not fail; returns its output."""
    output = kernel.run(code, cell)
    assert output.error == "", output
    return output.text


def test_from_a_cell_to_a_model(kernel: Kernel) -> None:
    good(kernel, PLUGIN)
    good(kernel, OPERATION)
    shown = kernel.run("server = kit.serve(todo)\nserver")
    assert "Todo" in shown.result["text/html"]
    assert "serves at http://127.0.0.1:" in shown.result["text/plain"]
    run = kernel.run("chat = kit.Chat(server)\nchat('list the items')")
    assert run.error == ""
    assert "No OPENAI_API_KEY is set" in run.text
    # streamed into the cell, and not shown again as its result
    assert len(run.displays) == 1
    assert run.result == {}
    assert "one" in run.updates[-1]["text/html"]
    assert "inside the handler" in run.text
    awaited = kernel.run("reply = await chat.asend('list the items')")
    assert awaited.error == ""
    assert "one" in awaited.updates[-1]["text/html"]
    later = kernel.run("reply")
    assert "one" in later.displays[0]["text/html"]


def test_prints_of_a_handler_appear_in_the_running_cell(kernel: Kernel) -> None:
    good(kernel, PLUGIN)
    good(kernel, OPERATION)
    good(kernel, "server = kit.serve(todo)")
    assert "inside the handler" in good(kernel, "httpx2.get(server.url + '/items').json()")
    assert "inside the handler" in good(kernel, "httpx2.get(server.url + '/items').json()")


def assert_no_leak(first: str, again: str) -> None:
    """The same port, and no more threads and files than before (fewer if old ones were collected)."""
    (port, *before), (port_again, *after) = first.split()[-3:], again.split()[-3:]
    assert port == port_again
    assert all(int(a) <= int(b) for a, b in zip(after, before, strict=True)), (first, again)


def test_serving_again_keeps_port_and_leaks_nothing(kernel: Kernel) -> None:
    good(kernel, PLUGIN + "\nimport threading, os, asyncio, time")
    good(kernel, OPERATION)
    # the server closes its end of a connection a moment after the client
    count = "time.sleep(0.05)\nprint(server.port, threading.active_count(), len(os.listdir('/proc/self/fd')))"
    first = good(kernel, f"server = kit.serve(todo)\nhttpx2.get(server.url)\n{count}", "c")
    for _ in range(20):
        again = good(kernel, f"server = kit.serve(todo)\nhttpx2.get(server.url)\n{count}", "c")
    assert_no_leak(first, again)
    # the same for a plugin that is created each time, in the same cell or by a function
    made = f"def make():\n    return kit.Plugin('made', description_for_model='x')\nserver = kit.serve(make())\n{count}"
    first = good(kernel, made)
    for _ in range(20):
        again = good(kernel, made)
    assert_no_leak(first, again)


def test_interrupting_a_cell_does_not_end_the_server(kernel: Kernel, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    good(kernel, PLUGIN)
    wait = f"import time, pathlib\ndef wait():\n    pathlib.Path({str(begun)!r}).touch()\n    time.sleep(30)"
    good(kernel, f"{wait}\n@todo.get('/slow')\ndef slow() -> str:\n    wait()\n    return 'x'")
    good(kernel, OPERATION)
    good(kernel, "server = kit.serve(todo)\nplugin = kit.install(server)")
    for waiting in (
        "wait()",
        "plugin.call('slow')",
        "await plugin.acall('slow')",
        "chat = kit.Chat(server, show=False)\nchat('slow please')",
    ):
        sent = kernel.send(waiting)
        end = time.monotonic() + 20
        while not begun.exists():
            assert time.monotonic() < end, waiting
            time.sleep(0.01)
        begun.unlink()
        start = time.monotonic()
        kernel.manager.interrupt_kernel()
        output = kernel.collect(sent)
        assert output.error.startswith(("KeyboardInterrupt", "CancelledError")), (waiting, output)
        assert time.monotonic() - start < 5, waiting
        assert "200" in good(kernel, "print(httpx2.get(server.url + '/items').status_code)")
    assert "one" in good(kernel, "print(chat('list the items').text)")
    tasks = good(kernel, "import asyncio; from kit import loop; print(len(asyncio.all_tasks(loop.get())))")
    assert tasks.strip() == "1"


@pytest.mark.parametrize("package", ["nest_asyncio", "nest_asyncio2"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_nested_loops_harm_nothing(kernel: Kernel, package: str, when: str) -> None:
    apply = f"import {package}; {package}.apply()"
    if when == "before":
        good(kernel, apply)
    good(kernel, PLUGIN)
    good(kernel, OPERATION)
    good(kernel, "server = kit.serve(todo)")
    if when == "after":
        good(kernel, apply)
    assert "200" in good(kernel, "print(httpx2.get(server.url + '/items').status_code)")
    assert "one" in good(kernel, "print(kit.install(server).call('list_items').data)")
    assert "one" in good(kernel, "print((await kit.Chat(server, show=False).asend('list the items')).text)")
    good(kernel, "server.stop(); server = kit.serve(todo)")
    assert "200" in good(kernel, "print(httpx2.get(server.url + '/items').status_code)")


def test_nested_lets_a_cell_call_asyncio_run(kernel: Kernel) -> None:
    assert "RuntimeError" in kernel.run("import asyncio\nasync def f(): return 7\nasyncio.run(f())").error
    assert good(kernel, "import kit; kit.nested()\nprint(asyncio.run(f()))").strip() == "7"
    sent = [kernel.send(f"print({n})") for n in range(5)]
    assert [kernel.collect(s).text for s in sent] == [f"{n}\n" for n in range(5)]


def test_the_plugins_cell_run_again_keeps_operations_and_server(kernel: Kernel) -> None:
    good(kernel, PLUGIN)
    good(kernel, OPERATION)
    good(kernel, "server = kit.serve(todo)")
    good(kernel, PLUGIN.replace("Plugin for todos.", "Plugin for better todos."))
    seen = (
        "print(sorted(todo.spec.operations), httpx2.get(server.manifest_url).json()['description_for_model'])"
    )
    assert good(kernel, seen) == "['list_items'] Plugin for better todos.\n"
    assert good(kernel, "print(httpx2.get(server.url + '/items').json())").endswith("['one']\n")
    good(kernel, OPERATION.replace('"one"', '"two"'))
    assert good(kernel, "print(httpx2.get(server.url + '/items').json())").endswith("['two']\n")
    # a second plugin of the same name in another variable is another plugin
    good(kernel, "other = kit.Plugin('todo', description_for_model='x')")
    assert good(kernel, "print(list(other.spec.operations))") == "[]\n"


def test_the_plugins_cell_run_again_keeps_the_middleware_of_other_cells(kernel: Kernel) -> None:
    parts = """
from starlette.middleware import Middleware
class Adds:
    def __init__(self, app, name): self.app, self.name = app, name
    async def __call__(self, scope, receive, send):
        scope.setdefault("passed", []).append(self.name)
        await self.app(scope, receive, send)
"""
    good(kernel, parts)
    made = "todo = kit.Plugin('todo', description_for_model='x', middleware=[Middleware(Adds, name='own')])"
    good(kernel, f"import kit, httpx2\n{made}", "p")
    good(kernel, "todo.add_middleware(Adds, name='first'); todo.add_middleware(Adds, name='second')")
    good(
        kernel,
        "from fastapi import Request\n@todo.get('/passed')\ndef passed(r: Request): return r.scope['passed']",
    )
    good(kernel, f"import kit, httpx2\n{made}", "p")
    good(kernel, "server = kit.serve(todo)")
    requests = "print(httpx2.get(server.url + '/passed').json(), httpx2.get(server.manifest_url).status_code)"
    assert good(kernel, requests).endswith("['second', 'first', 'own'] 200\n")


def test_cells_out_of_order_and_with_ids(kernel: Kernel) -> None:
    good(kernel, PLUGIN, "p")
    good(kernel, OPERATION, "op")
    good(kernel, OPERATION.replace("/items", "/things"), "op")
    assert good(kernel, "print(list(todo.openapi()['paths']))") == "['/things']\n"
    clash = kernel.run(OPERATION.replace("/items", "/other"), "elsewhere")
    assert clash.error.startswith("OperationClash: Two operations are named list_items")
    assert f"list_items (GET /other, cell [{clash.prompt}])" in clash.error
    assert f"list_items (GET /things, cell [{clash.prompt - 2}])" in clash.error
    renamed = good(kernel, OPERATION.replace("/items", "/things").replace("list_items", "all_items"), "op")
    assert renamed == "GET /things was list_items and is now all_items.\n"
    assert good(kernel, "print(list(todo.spec.operations))") == "['all_items']\n"
    both = "@todo.get('/x')\ndef one() -> int: return 1\n@todo.get('/x')\ndef two() -> int: return 2"
    assert kernel.run(both).error.startswith("OperationClash: GET /x is the route of two functions")
    late = kernel.run("@todo.post('/late')\ndef late(new: Later) -> str: return 'x'")
    assert "Later" in late.error
    good(kernel, "from __future__ import annotations")
    late = kernel.run("@todo.post('/late')\ndef late(new: Later) -> str: return 'x'")
    assert late.error.startswith("OperationError: late: the parameter 'new' names 'Later'")


def test_a_fault_of_an_operation_names_the_cell_by_its_prompt(kernel: Kernel) -> None:
    good(kernel, PLUGIN)
    written = kernel.run(
        "@todo.get('/items/{number}')\ndef item(number: int) -> str:\n    return ['one'][number]"
    )
    good(kernel, "server = kit.serve(todo)")
    for way in ("server", "todo"):
        shown = kernel.run(f"kit.install({way}).call('item', number=7)").result["text/plain"]
        assert f"Cell In[{written.prompt}], line 3: return ['one'][number]" in shown
        assert "IndexError: list index out of range" in shown
    log = kernel.run("httpx2.get(server.url + '/items/7').status_code").errors
    assert len(log.splitlines()) < 12, log


def test_a_busy_port_is_an_error_in_the_calling_cell(kernel: Kernel) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        good(kernel, PLUGIN)
        failed = kernel.run(f"kit.serve(todo, {port})")
        assert failed.error.startswith(f"PortInUse: Port {port} of 127.0.0.1 is taken by process")
        assert "End it with `kill" in failed.error


def test_killing_the_kernel_leaves_no_orphan(kernel: Kernel) -> None:
    good(kernel, PLUGIN)
    port = int(good(kernel, "server = kit.serve(todo)\nprint(server.port)"))
    kernel.manager.signal_kernel(9)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    pytest.fail("the server still answers")


def test_a_plugin_that_does_not_start_leaves_the_one_before_and_its_operations(kernel: Kernel) -> None:
    good(kernel, PLUGIN, "p")
    good(kernel, OPERATION, "o")
    good(kernel, "server = kit.serve(todo)", "s")
    broken = (
        "from contextlib import asynccontextmanager\n@asynccontextmanager\nasync def lifespan(app):\n"
        "    raise RuntimeError('no database')\n    yield\n"
        "todo = kit.Plugin('todo', description_for_model='Plugin for todos.', lifespan=lifespan)"
    )
    failed = kernel.run(broken, "p")
    assert "ServeError: The plugin did not start" in failed.error
    assert "The previous version is still served." in failed.error
    assert "no database" in failed.errors
    assert "200 ['list_items']" in good(
        kernel, "print(httpx2.get(server.url + '/items').status_code, list(todo.spec.operations))"
    )
    good(kernel, broken.replace("raise RuntimeError('no database')", "pass"), "p")
    assert "200 ['list_items'] True" in good(
        kernel,
        "print(httpx2.get(server.url + '/items').status_code, list(todo.spec.operations), server.plugin is todo)",
    )
