"""The question before a call that its author marked as consequential, in clients that can ask their user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.client.installed import CallResult, call_line
from kit.openapi.documents import Unreadable, read_values

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext
    from mcp.types import CallToolRequestParams, InputRequiredResult

    from kit.tools.tool import Tool

_KEY = "confirmation"
# From this version on the server asks in the result, and the client calls again with the answer.
_ASKS_IN_RESULT = "2026-07-28"


async def confirmation(
    context: ServerRequestContext[Any, Any], params: CallToolRequestParams, tool: Tool, human_name: str
) -> InputRequiredResult | CallResult | None:
    """Asks the user by elicitation: None if the call may be made, else the question or the refusal.

    Only where the operation says `x-openai-isConsequential: true`. Hosts ask by `destructiveHint` already, and who is
    asked twice reads neither. A client without elicitation is not asked, nor one of the older era over HTTP, since no
    connection is kept there on which it could answer.
    """
    arguments = params.arguments or {}
    if tool.operation.raw.get("x-openai-isConsequential") is not True or not _fits(tool, arguments):
        return None
    answer = await _answer(context, params, _question(tool, arguments, human_name))
    if answer is None or answer == "accept":
        return None
    if not isinstance(answer, str):
        return answer
    verb = "declined" if answer == "decline" else "did not answer"
    data = {"error": f"The user {verb}: {tool.operation.id} was not called. Do not call it again unasked."}
    return CallResult(tool.operation.id, arguments, None, data, 0.0)


async def _answer(
    context: ServerRequestContext[Any, Any], params: CallToolRequestParams, question: str
) -> InputRequiredResult | str | None:
    """The user's `accept`, `decline` or `cancel`; the question that is still to be asked; None if nobody can ask it."""
    from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
    from mcp.types.version import is_version_at_least

    session = context.session
    asks = session.client_capabilities and session.client_capabilities.elicitation
    if not asks or (asks.form is None and asks.url is not None):
        return None
    schema: dict[str, Any] = {"type": "object", "properties": {}}  # accept or decline says all
    if not is_version_at_least(session.protocol_version, _ASKS_IN_RESULT):
        if not session.can_send_request:
            return None
        return (await session.elicit_form(question, schema, context.request_id)).action
    given = (params.input_responses or {}).get(_KEY)
    if isinstance(given, ElicitResult):
        return given.action
    form = ElicitRequestFormParams(message=question, requested_schema=schema)
    return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=form)})


def _fits(tool: Tool, arguments: dict[str, Any]) -> bool:
    """Whether the call can be made: nobody is asked about one that cannot."""
    try:
        return not tool.problems(tool.coerced(read_values(arguments)))
    except Unreadable:
        return False


def _question(tool: Tool, arguments: dict[str, Any], human_name: str) -> str:
    made = CallResult(tool.operation.id, arguments, None, None, 0.0)
    return f"{human_name}: may {call_line(made)} be called? {tool.operation.summary}".strip()
