"""Open WebUI, by its API: the tool servers of its administrator (routers/configs.py of open-webui 0.12.4)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kit.addresses import complete, is_this_machine
from kit.connections.access import Access
from kit.connections.connection import Change, Said
from kit.errors import ConnectError

if TYPE_CHECKING:
    import httpx2

TITLE = "Open WebUI"
KEY = "OPEN_WEBUI_API_KEY"
TOKEN = "KIT_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT = "http://localhost:8080"  # of `open-webui serve`
TIMEOUT = 30.0  # seconds: it asks every server when the list changes, 10 s each (env.py:671)
_SERVERS = "/api/v1/configs/tool_servers"


class OpenWebUI:
    """The host; its address is the one place that it has."""

    def at(self, project: bool, at: str | None) -> ApiStore:
        if project:
            raise ConnectError(f"{TITLE} has no projects.", "Leave out --project.", host=TITLE)
        return ApiStore(complete(at or DEFAULT).rstrip("/"))


@dataclass(frozen=True)
class ApiStore:
    """The tool servers of a running Open WebUI, at `url`."""

    url: str
    title: str = TITLE

    def entries(self) -> dict[str, Any]:
        """Its connections by their ids, as it keeps them."""
        return {_id(connection, place): connection for place, connection in enumerate(self._connections())}

    def entry(self, access: Access) -> dict[str, Any]:
        """MCP if the plugin speaks it, else its OpenAPI document, which Open WebUI reads at `/openapi.json`."""
        key = os.environ.get(TOKEN, "") if access.variable else ""
        is_mcp = bool(access.url)
        return {
            "url": access.url or access.base_url,
            "path": "" if is_mcp else "openapi.json",
            "type": "mcp" if is_mcp else "openapi",
            "auth_type": "oauth_2.1"
            if access.is_oauth
            else "bearer"
            if access.variable and not access.is_basic
            else "none",
            "key": "" if access.is_basic else key,
            "headers": {"Authorization": f"Basic {key}"} if access.is_basic and key else None,
            "config": {"enable": True, "access_grants": []},
            "info": {"id": access.name, "name": access.title, "description": access.description},
        }

    def change(self, access: Access) -> Change:
        entry = self.entry(access)
        shown = {
            **entry,
            "key": "***" if entry["key"] else "",
            "headers": {"Authorization": "***"} if entry["headers"] else None,
        }
        where = f"by its administrator, POST {self.url}{_SERVERS}"
        remedy = ""
        if not entry["url"]:
            remedy = f"{TITLE} starts no command: serve the plugin, and connect its address."
        elif access.variable and not os.environ.get(TOKEN):
            remedy = f"{TITLE} keeps the token in its own database: set {TOKEN} to it, and connect again."
        elif access.is_oauth:
            remedy = f"{TITLE} registers itself where the user signs in: add the address in its Admin Settings, External Tools, with OAuth 2.1."
        return Change(where, json.dumps(shown, indent=2, ensure_ascii=False), remedy)

    def link(self, access: Access) -> str:
        return ""

    def notes(self, access: Access) -> list[str]:
        return [
            "In a chat, choose it by the + beneath the text field. Its users see it once its Access says so."
        ]

    def add(self, access: Access) -> None:
        self._save([*self._connections(), self.entry(access)])

    def remove(self, name: str) -> None:
        connections = self._connections()
        self._save([each for place, each in enumerate(connections) if _id(each, place) != name])

    def ask(self, access: Access) -> Said:
        """Open WebUI connects to the plugin now, and says what it can call there."""
        entry = self.entries().get(access.name)
        if entry is None:
            return Said(False, "it has no such tool server")
        answer = self._request("POST", f"{_SERVERS}/verify", entry)
        if answer.status_code != 200:
            detail = _json(answer).get("detail", f"status {answer.status_code}")
            hint = "; in a container, this machine is host.docker.internal" if access.is_here else ""
            return Said(False, f"{detail}{hint}")
        found = _json(answer)
        paths = found.get("paths") or {}
        tools = [str(spec.get("name")) for spec in found.get("specs") or []] or [
            str(operation["operationId"])
            for path in paths.values()
            for operation in path.values()
            if isinstance(operation, dict) and "operationId" in operation
        ]
        return Said(bool(tools), "connected" if tools else "it found no tools", tools)

    # -- the API ------------------------------------------------------------------

    def _connections(self) -> list[dict[str, Any]]:
        answer = self._request("GET", _SERVERS)
        found = _json(answer).get("TOOL_SERVER_CONNECTIONS")
        if answer.status_code == 200 and isinstance(found, list):
            return found
        raise self._refused(answer)

    def _save(self, connections: list[dict[str, Any]]) -> None:
        answer = self._request("POST", _SERVERS, {"TOOL_SERVER_CONNECTIONS": connections})
        if answer.status_code != 200:
            raise self._refused(answer)

    def _refused(self, answer: httpx2.Response) -> ConnectError:
        detail = _json(answer).get("detail") or f"status {answer.status_code}"
        return ConnectError(
            f"{TITLE} at {self.url} did not do it: {detail}.",
            f"Set {KEY} to an API key of its administrator: Settings, Account, API keys.",
            host=TITLE,
        )

    def _request(self, method: str, path: str, content: Any = None) -> httpx2.Response:
        import httpx2  # late: slow to import

        here = is_this_machine(urlsplit(self.url).hostname or "")
        try:
            with httpx2.Client(base_url=self.url, timeout=TIMEOUT, trust_env=not here) as client:
                return client.request(method, path, json=content, headers=self._key(client))
        except httpx2.HTTPError as error:
            raise ConnectError(
                f"There is no {TITLE} at {self.url}: {error}.",
                "Start it, `open-webui serve`, or say where it is: --at http://localhost:3000",
                host=TITLE,
            ) from None

    def _key(self, client: httpx2.Client) -> dict[str, str]:
        """The administrator's key; that of the only user where nobody signs in (`WEBUI_AUTH=False`)."""
        key = os.environ.get(KEY)
        if not key and _json(client.get("/api/config")).get("features", {}).get("auth") is False:
            answer = client.post("/api/v1/auths/signin", json={"email": "", "password": ""})
            key = _json(answer).get("token")
        return {"Authorization": f"Bearer {key}"} if key else {}


def _id(connection: dict[str, Any], place: int) -> str:
    return str((connection.get("info") or {}).get("id") or place)


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
