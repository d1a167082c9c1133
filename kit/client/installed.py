"""`InstalledPlugin`: a plugin's description, and calls to it. `CallResult`: the result of one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kit import loop
from kit.addresses import NOWHERE, Root
from kit.client.answers import MAX_RESPONSE, Answer, cut, data_of
from kit.client.credentials import Credentials
from kit.client.files import File, files_of, shown
from kit.client.operations import Operations
from kit.client.proof import Proof
from kit.client.transport import Transport
from kit.description import Description
from kit.errors import ExpectationFailed, KitError
from kit.hosts.langchain import make_tools
from kit.markup import arguments_line, code, details, escape, pre, pretty
from kit.matching import is_matcher, misfits
from kit.openapi.documents import Unreadable, read_values
from kit.plugin import faults
from kit.plugin.faults import Fault
from kit.redaction import hide, hide_given
from kit.tools.request import Request
from kit.tools.tool import Tool
from kit.visible import visible, visible_line

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from kit.web.forms import Form

MAX_BYTES = 4 * MAX_RESPONSE  # of an answer: a UTF-8 character has four at most
CALL_TIMEOUT = 45.0  # seconds, one call: ChatGPT plugins and GPT Actions


@dataclass
class CallResult:
    """The result of one call. `status` is None without an HTTP answer: then `data` says why.

    `data` is the parsed JSON, else the text. Over 100,000 characters, or if it broke off, it is text, visibly cut.
    `files` are what the answer is or lists besides: pictures, sounds, documents, up to 400,000 bytes.
    """

    operation: str
    arguments: dict[str, Any]
    status: int | None
    data: Any
    seconds: float
    method: str = ""
    url: str = ""
    plugin: str = ""  # its name for people
    fault: Fault | None = field(
        default=None, repr=False, compare=False
    )  # of the plugin's code, if it runs here
    files: list[File] = field(default_factory=list, repr=False, compare=False)
    headers: list[list[str]] = field(default_factory=list, repr=False, compare=False)  # of the answer
    started: float = field(default=0.0, repr=False, compare=False)  # by time.perf_counter

    @property
    def ok(self) -> bool:
        """Whether the call succeeded: any 2xx status."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> str:
        """The status as text, or "no answer" or "not sent"."""
        if self.status is not None:
            return str(self.status)
        return "no answer" if self.url else "not sent"

    def expect(self, status: int | None = None, data: Any = ..., /, **members: Any) -> CallResult:
        """Raises `ExpectationFailed` unless the answer has this status (any success if none is given) and data.

        `data` is the whole answer, `members` are some of an object's: values or matchers, as in `kit.matching`.
        Returns the result.
        """
        is_status = self.ok if status is None else self.status == status
        found = [] if is_status else [f"it was answered {self.outcome}, expected {status or 'success'}"]
        found += misfits(data, self.data, "the answer") + (misfits(members, self.data) if members else [])
        if isinstance(data, Mapping) and isinstance(self.data, Mapping) and not is_matcher(data):
            found += [f"the answer has {name} too" for name in self.data if name not in data]
        if found:
            raise ExpectationFailed(f"{self.operation}: {'; '.join(found)}.", f"What happened:\n{self!r}")
        return self

    def for_model(self, with_fault: bool = False) -> str:
        """What the model reads, 100,000 characters at most: the data, together with the status if that is an error.

        `with_fault` adds what the plugin's code raised, for a model that its author asks.
        """
        data: Any = self.data
        if not self.ok and self.status is not None:
            data = {"status": self.status, "error": data}
            if with_fault and self.fault:
                data["fault"] = f"{self.fault.error} ({self.fault.place})"
        return cut(data if isinstance(data, str) else json.dumps(data, ensure_ascii=False))

    def __repr__(self) -> str:
        fault = f"\n{visible(str(self.fault))}" if self.fault else ""
        return f"{call_line(self)} -> {self.outcome}\n{pretty(hide(self.data))}{fault}"

    def _repr_html_(self) -> str:
        return call_card(self)


@dataclass(repr=False)
class InstalledPlugin(Description):
    """A plugin that can be called: its description, and the transport to where it was found."""

    transport: Transport
    credentials: Credentials = field(default_factory=Credentials, kw_only=True)
    _is_at: ClassVar[str] = "installed from"

    def forget(self) -> None:
        """Forgets the token, or signs out: here, and in the system's keyring."""
        self.credentials.forget()

    def langchain(self) -> list[StructuredTool]:
        """LangChain's tools, one for each operation, for `create_agent(model, plugin.langchain())`."""
        return make_tools(self)

    @property
    def operations(self) -> Operations:
        """The operations as methods, which an editor completes: `plugin.operations.add_todo(username="sam")`."""
        return Operations(self)

    def form(self, operation: str, values: Mapping[str, Any] | None = None, /, **more: Any) -> Form:
        """A form to try an operation in a cell: `kit.form`."""
        import kit  # its page stands above a client: as a function of kit, it is asked for by name

        return kit.form(self, operation, values, **more)

    def call(self, operation: str, arguments: Mapping[str, Any] | None = None, /, **more: Any) -> CallResult:
        """Calls one operation. Wrong arguments, errors and timeouts come back as data, not raised.

        Raises `OperationError` for an operation that the plugin does not have.
        """
        return loop.run(self.invoke(self.tool(operation), {**(arguments or {}), **more}))

    async def acall(
        self, operation: str, arguments: Mapping[str, Any] | None = None, /, **more: Any
    ) -> CallResult:
        """`call`, to be awaited."""
        return await loop.arun(self.invoke(self.tool(operation), {**(arguments or {}), **more}))

    async def invoke(
        self, tool: Tool, arguments: dict[str, Any], transport: Transport | None = None
    ) -> CallResult:
        """Calls a tool on the running loop, over the plugin's own transport or `transport` for this call."""
        transport = transport or self.transport
        result = CallResult(tool.operation.id, {}, None, None, 0.0, tool.operation.method)
        result.plugin = self.manifest.name_for_human or self.name
        result.started = time.perf_counter()
        try:
            result.arguments = arguments = tool.coerced(read_values(arguments))
            problems = tool.problems(arguments)
        except Unreadable as error:
            problems = [f"what is given {error}"]
        if problems:
            result.data = {"error": f"The arguments do not fit {tool.name}.", "problems": problems}
            return result
        if transport.root.host == Root.of(NOWHERE).host:
            result.data = {"error": "The spec names no server: install it with base_url= to make calls."}
            return result
        request = tool.request(arguments)
        result.url = self.base_of(tool) + request.url
        start = time.perf_counter()
        try:
            answer = await self.answer(transport, tool, request, result.url)
            result.status = answer.status
            result.data = self.credentials.hide(data_of(answer))
            result.headers = [[name, self.credentials.hide(value)] for name, value in answer.headers]
            result.fault = faults.of(answer.content) if answer.status == 500 else None
            result.files = files_of(answer, result.data)
        except TimeoutError:
            result.data = {"error": f"No answer within {CALL_TIMEOUT:.0f} seconds."}
        except KitError as error:
            result.data = {"error": self.credentials.hide(error.problem)}
        result.seconds = time.perf_counter() - start
        return result

    async def answer(
        self, transport: Transport, tool: Tool, request: Request, url: str, limit: int = MAX_BYTES
    ) -> Answer:
        """The answer, to a second request if the first one's token turns out to have expired.

        `limit` is in bytes. Raises `KitError` or `TimeoutError` if there is none.
        """

        async def send() -> tuple[Answer, Proof | None]:
            proof = await self.credentials.proof(tool.operation, url)
            answer = await transport.send(
                request.method,
                url,
                headers=[("Accept", "application/json, */*;q=0.5"), *request.headers],
                content=request.body,
                files=request.files or None,
                limit=limit,
                timeout=CALL_TIMEOUT,
                proof=proof,
            )
            return answer, proof

        answer, proof = await send()
        if answer.status == 401 and await self.credentials.renewed(proof):
            answer, _ = await send()
        return answer


# -- display ------------------------------------------------------------------


class _Call(Protocol):
    @property
    def operation(self) -> str: ...

    @property
    def arguments(self) -> Any: ...


def call_line(call: _Call) -> str:
    """A call, made or about to be, written as code."""
    return f"{visible_line(call.operation)}({arguments_line(call.arguments)})"


def call_card(call: CallResult, is_open: bool = True) -> str:
    """One call as HTML: its line, which unfolds into request and response."""
    mark = "✓" if call.ok else "✗"
    line = f"{escape(call.operation)}({escape(arguments_line(call.arguments))})"
    slow = f", {call.seconds:.1f} s" if call.seconds >= 1 else ""
    request = (
        f"<div>{code(f'{call.method} {hide_given(call.url, call.arguments)}')}</div>" if call.url else ""
    )
    answer = "answer" if call.url else "why"
    card = details(
        f"{mark} <code>{line}</code> → {call.outcome}{slow}",
        f"{request}{pre(hide(call.arguments))}<div>{answer}</div>{pre(hide(call.data))}",
        is_open,
    )
    if call.fault:
        card += pre(str(call.fault))
    return card + shown(call.files)  # beneath: a picture is seen without unfolding
