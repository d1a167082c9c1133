"""What a tab of the local ChatGPT does, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from kit.web.page import LocalChatGPT


class Tab:
    """A tab with a conversation of its own."""

    def __init__(self, page: LocalChatGPT) -> None:
        token = page.url.partition("token=")[2]
        self.http = httpx2.Client(
            base_url=f"http://127.0.0.1:{page.port}", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self.id = self.post("conversations")["id"]

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/{path}").json()

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/api/{path}", json=body).json()

    def act(self, verb: str, **body: Any) -> Any:
        return self.post(f"conversations/{self.id}/{verb}", **body)

    def find(self, url: str) -> list[dict[str, Any]]:
        return lines(self.http.post("/api/plugins", json={"url": url}))

    def install(self, url: str, token: str = "") -> dict[str, Any]:
        found = self.find(url)[-1]["found"]
        return self.post(f"plugins/{found['id']}", token=token)

    def events(self, start: int = 0) -> list[dict[str, Any]]:
        return lines(self.http.get(f"/api/conversations/{self.id}/events?start={start}"))

    def say(self, text: str, answer: str = "allow") -> list[dict[str, Any]]:
        """The events of one turn, with the same answer to every question."""
        start = self.next()
        self.act("say", text=text)
        return self.answered(start, answer)

    def next(self) -> int:
        """The number that the next event will have."""
        return max((event["at"] + 1 for event in self.events()), default=0)

    def answered(self, start: int, answer: str) -> list[dict[str, Any]]:
        """The events from a number on until nothing runs, with the same answer to every question."""
        events = []
        path = f"/api/conversations/{self.id}/events?start={start}"
        with self.http.stream("GET", path) as response:
            for line in response.iter_lines():
                events.append(event := json.loads(line))
                if event["type"] == "question":
                    self.act("answer", n=event["n"], answer=answer)
        return events


def lines(response: httpx2.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events if event["type"] not in ("delta", "text", "alive", "note")]


def said(events: list[dict[str, Any]]) -> str:
    """What the model said."""
    return "".join(event["text"] for event in events if event["type"] == "text")
