"""What the servers of the pages share: their files, the body of a request, an error as the page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from kit.errors import KitError
from kit.forms.page import STATIC as FORMS
from kit.openapi.documents import read_json
from kit.visible import encodable

STATIC = Path(__file__).parent / "static"
BUNDLED = STATIC / "bundled"  # libraries of others, as npm has them
MAX_BODY = 1_000_000  # bytes of one request
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


async def static(request: Request) -> Response:
    """A file of the pages, of the libraries that they use, or of the forms in them."""
    name = request.path_params["name"]
    file = next(
        (it for folder in (STATIC, BUNDLED, FORMS) for it in folder.iterdir() if it.name == name), None
    )
    if file is None or file.suffix not in _KINDS:
        return PlainTextResponse("Not found", 404)
    return Response(file.read_bytes(), media_type=_KINDS[file.suffix])


async def read(request: Request, most: int = MAX_BODY) -> dict[str, Any]:
    """The JSON object that was sent, of at most `most` bytes. Raises `KitError`."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise KitError(f"The request is longer than {most:,} bytes.", "Send less.")
    try:
        body = read_json(content) if content else {}
    except ValueError as error:
        raise KitError(f"The request {error}.") from None
    if not isinstance(body, dict):
        raise KitError("The request is not a JSON object.")
    return dict(encodable(body))


async def refused(request: Request, error: Exception) -> Response:
    """A `KitError`, which the page shows."""
    assert isinstance(error, KitError)  # noqa: S101 - for mypy: never false
    return JSONResponse(encodable({"error": error.problem, "remedy": error.remedy}), 409)
