"""An OpenAI-compatible server that gives a test's prepared answers over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kit.server.thread import ServerThread
from kit.sockets import listen
from kit.understudy import responses
from kit.understudy.dialogue import Answer, Step
from kit.understudy.requests import ModelRequest, read_chat, read_responses


class Broken(Exception):
    """Ends a stream in the middle."""


class Scripted:
    """`enqueue` a text, calls as (name, arguments as text), or `status=`, `drop=`, `hang=`, `usage=False`, `model=None`."""

    def __init__(self, *, has_responses: bool = True, models: Sequence[str] = (responses.MODEL,)) -> None:
        self.models = models
        self.headers: list[dict[str, str]] = []
        self.steps: deque[dict[str, Any]] = deque()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
        ]
        if has_responses:
            routes.append(Route("/v1/responses", self._responses, methods=["POST"]))
        sock = listen("127.0.0.1", 0)
        self.port: int = sock.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = ServerThread(Starlette(routes=routes), sock)
        self._thread.start()

    def enqueue(self, text: str = "", *calls: tuple[str, str], **more: Any) -> None:
        self.steps.append({"text": text, "calls": calls, **more})

    async def _models(self, request: Request) -> Response:
        data = [{**responses.model(), "id": name, "owned_by": "a test"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})

    async def _responses(self, request: Request) -> Response:
        body = await self._body(request)
        return await self._answer("responses", read_responses(body), body)

    async def _chat(self, request: Request) -> Response:
        body = await self._body(request)
        return await self._answer("chat", read_chat(body), body)

    async def _body(self, request: Request) -> dict[str, Any]:
        self.headers.append(dict(request.headers))
        return dict(await request.json())

    async def _answer(self, api: str, request: ModelRequest, body: dict[str, Any]) -> Response:
        self.requests.append((api, body))
        step = self.steps.popleft()
        if "status" in step:
            error = {
                "error": {"message": step["text"] or "scripted", "type": "x", "param": None, "code": None}
            }
            return JSONResponse(error, step["status"], headers={"retry-after-ms": "1"})
        # The arguments may be any text; a marker stands for them until the events are written.
        marked = [(name, f"@@{n}@@") for n, (name, _) in enumerate(step["calls"])]
        answer = Answer([Step(name, {"marker": mark}) for name, mark in marked], step["text"])
        if not request.stream:
            if step.get("hang"):
                await asyncio.sleep(30)
            whole = (
                responses.response(request, answer)
                if api == "responses"
                else responses.chat_completion(request, answer)
            )
            return Response(
                _with_arguments(step, json.dumps(_said(step, whole))), media_type="application/json"
            )
        events = (
            responses.response_events(request, answer)
            if api == "responses"
            else responses.chat_chunks(request, answer)
        )
        raw = [json.dumps(_said(step, event)) for event in events]

        if api == "chat":  # its arguments come in pieces: replaced by one piece
            raw = [line for line in raw if "@@" not in line and '"arguments": "{' not in line]
            for n, (_, arguments) in enumerate(step["calls"]):
                chunk = json.loads(raw[0])
                chunk["choices"][0]["delta"] = {
                    "tool_calls": [{"index": n, "function": {"arguments": arguments}}]
                }
                at = next(i for i, line in enumerate(raw) if '"finish_reason": "tool_calls"' in line)
                raw.insert(at, json.dumps(chunk))

        async def stream() -> Any:
            for n, line in enumerate(raw):
                if step.get("drop") and n == len(raw) - 2:
                    raise Broken
                if step.get("short") and n == len(raw) - 1:
                    return
                if n == step.get("hang"):
                    await asyncio.sleep(30)
                kind = f"event: {json.loads(line)['type']}\n" if api == "responses" else ""
                yield f"{kind}data: {_with_arguments(step, line)}\n\n"
            if api == "chat":
                yield "data: [DONE]\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.stop()


def _said(step: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """An answer or event as the server says it that gives no `usage=False`, or no name: `model=None`."""
    if "response" in value:
        return {**value, "response": _said(step, value["response"])}
    left_out = {name for name in ("usage", "model") if name in step and not step[name]}
    return {name: it for name, it in value.items() if name not in left_out}


def _with_arguments(step: dict[str, Any], line: str) -> str:
    for n, (_, arguments) in enumerate(step["calls"]):
        written = json.dumps(json.dumps({"marker": f"@@{n}@@"}))[1:-1]
        line = line.replace(written, json.dumps(arguments)[1:-1])
    return line
