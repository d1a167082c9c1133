"""The log of a server: one line for each request, with the id of the answer, and without secrets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from roads import ROADS, Running, running

APP = """
import logging
import kit
from fastapi.responses import StreamingResponse

plugin = kit.Plugin("logs", description_for_model="Is logged.")
log = logging.getLogger("app")

@plugin.get("/say/{word}")
def say(word: str, api_key: str = "") -> str:
    log.warning("it says %s", word)
    return word

@plugin.get("/fail")
def fail() -> str:
    raise ValueError("not today\\nnor tomorrow")

@plugin.get("/half")
async def half() -> StreamingResponse:
    async def parts():
        yield "a"
        raise ValueError("in the middle")
    return StreamingResponse(parts())
"""

on_each = pytest.mark.parametrize("road", ["uvicorn", "kit", "kit, 2 workers"])


def lines(server: Running, **facts: Any) -> list[dict[str, Any]]:
    """The JSON lines that have all of `facts`, once there are any."""
    while True:
        written = server.log.splitlines(keepends=True)  # the last of which may be half a line
        all_lines = [json.loads(line) for line in written if line.startswith("{") and line.endswith("\n")]
        matching = [line for line in all_lines if facts.items() <= line.items()]
        if matching:
            return matching
        time.sleep(0.02)


@on_each
def test_a_request_is_one_line_with_the_id_that_its_answer_has(tmp_path: Path, road: str) -> None:
    with running(tmp_path, APP, *ROADS[road], LOG_FORMAT="json") as server:
        answer = httpx2.get(f"{server.url}/say/hello?api_key=hunter2&n=1")
        known = answer.headers["x-request-id"]
        (line,) = lines(server, logger="kit.requests", request_id=known)
        assert (line["method"], line["path"], line["status"]) == ("GET", "/say/hello?api_key=***&n=1", 200)
        assert line["level"] == "info"
        assert line["ms"] > 0
        assert line["time"].endswith("+00:00")
        # what the operation itself logs has the same id, even from its thread
        (own,) = lines(server, logger="app")
        assert (own["message"], own["level"], own["request_id"]) == ("it says hello", "warning", known)
        assert "hunter2" not in server.log
        assert "/health" not in server.log


@on_each
def test_an_exception_is_one_line_with_its_traceback_and_the_id(tmp_path: Path, road: str) -> None:
    with running(tmp_path, APP, *ROADS[road], LOG_FORMAT="json") as server:
        answer = httpx2.get(f"{server.url}/fail", headers={"X-Request-ID": "mine-1"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine-1")
        (line,) = lines(server, logger="kit.requests", request_id="mine-1")
        assert (line["status"], line["level"]) == (500, "error")
        (error,) = lines(server, level="error", logger="uvicorn.error", request_id="mine-1")
        assert "ValueError: not today\nnor tomorrow" in error["exception"]
        assert "app.py" in error["exception"]


@pytest.mark.parametrize("sent", ["a b", "x" * 200, 'a"}', ""])
def test_an_id_that_is_not_sane_is_replaced(tmp_path: Path, sent: str) -> None:
    with running(tmp_path, APP, *ROADS["uvicorn"], LOG_FORMAT="json") as server:
        ids = {
            httpx2.get(f"{server.url}/say/a", headers={"X-Request-ID": sent}).headers["x-request-id"]
            for _ in range(2)
        }
        assert len(ids) == 2
        assert sent not in ids


def test_an_answer_that_breaks_off_is_logged(tmp_path: Path) -> None:
    with running(tmp_path, APP, *ROADS["uvicorn"], LOG_FORMAT="json") as server:
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{server.url}/half", headers={"X-Request-ID": "half"})
        (line,) = lines(server, logger="kit.requests", request_id="half")
        assert line["status"] == 500


def test_text_is_for_people(tmp_path: Path) -> None:
    with running(tmp_path, APP, *ROADS["kit"], LOG_FORMAT="text") as server:
        httpx2.get(f"{server.url}/say/hello?token=abc", headers={"X-Request-ID": "mine-1"})
        while "GET" not in server.log:
            time.sleep(0.02)
        (line,) = [line for line in server.log.splitlines() if "GET" in line]
        assert " INFO GET /say/hello?token=*** 200 in " in line
        assert line.endswith("[mine-1]")


def test_without_the_variable_nothing_is_logged_or_added(tmp_path: Path) -> None:
    with running(tmp_path, APP, *ROADS["kit"]) as server:
        assert "x-request-id" not in httpx2.get(f"{server.url}/say/hello").headers
        assert "GET" not in server.log


FORGED = "/say/x%0A2026-11-26%2000:00:00,000%20ERROR%20forged?n=%0D%0A2026-11-26%20forged%1b[2J%E2%80%A8x"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_request_forges_no_line_and_moves_no_cursor(tmp_path: Path, log_format: str) -> None:
    with running(tmp_path, APP, *ROADS["kit"], LOG_FORMAT=log_format) as server:
        httpx2.get(f"{server.url}{FORGED}", headers={"X-Request-ID": "mine-1"})
        while "GET" not in server.log:
            time.sleep(0.02)
        log = server.log
        assert not any(
            line.startswith("2026-11-26 ") and "forged" in line.split()[2:4] for line in log.splitlines()
        )
        assert len([line for line in log.splitlines() if "GET" in line]) == 1
        assert "\x1b[2J" not in log


def test_uvicorns_own_lines_show_no_secret_and_are_not_forged(tmp_path: Path) -> None:
    with running(tmp_path, APP, *ROADS["uvicorn"]) as server:
        httpx2.get(f"{server.url}/say/x?api_key=hunter22&sig=hunter22")
        httpx2.get(f"{server.url}{FORGED.replace('say', 'nothing')}")
        httpx2.get(f"{server.url}/fail")
        while "ValueError" not in server.log:
            time.sleep(0.02)
        log = server.log
        assert "hunter22" not in log
        assert "/say/x?api_key=***&sig=***" in log
        assert "  nor tomorrow" in log  # a line of an exception does not begin where lines of the log do
        assert not any(line.startswith(("nor", "2026")) for line in log.splitlines())
        assert "\x1b[2J" not in log


def test_a_secret_in_the_path_is_hidden_by_its_parameters_name(tmp_path: Path) -> None:
    app = (
        APP
        + """
@plugin.get("/verify/{token}")
def verify(token: str) -> str:
    return "yes"
"""
    )
    with running(tmp_path, app, *ROADS["kit"], LOG_FORMAT="text") as server:
        httpx2.get(f"{server.url}/verify/hunter-zwei")
        while "GET" not in server.log:
            time.sleep(0.02)
        assert "GET /verify/*** 200" in server.log
