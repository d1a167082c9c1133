"""An ordinary plugin: what people write with FastAPI today, for the readers of hosts to be tried on."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Literal

from fastapi import Body, Form, Header, Query, UploadFile
from pydantic import BaseModel, Field

import kit

PUBLIC = "https://shop.example.com"


class Priority(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Owner(BaseModel):
    name: str
    age: Annotated[int | None, Field(gt=0)] = None


class Task(BaseModel):
    text: str
    priority: Priority = Priority.LOW
    owner: Owner | None = None
    tags: list[str] = []
    due: date | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(examples=[9])


class Dog(BaseModel):
    kind: Literal["dog"]
    loud: bool = True


class Folder(BaseModel):
    name: str
    folders: list[Folder] = []


def ordinary(public_url: str | None = PUBLIC, auth: kit.NoAuth | kit.ServiceHttp | None = None) -> kit.Plugin:
    """Nine operations: queries, a header, a path, nested, listed, united and recursive bodies, a form, a file."""
    about = "Keeps the tasks of a shop."
    plugin = kit.Plugin(
        "shop",
        description_for_model=about,
        contact_email="a@example.com",
        public_url=public_url,
        auth=auth or kit.NoAuth(),
    )

    @plugin.get("/tasks", summary="List the tasks of the shop")
    def list_tasks(
        limit: int | None = None,
        priority: Priority | None = None,
        tag: Annotated[list[str] | None, Query()] = None,
        due: date | None = None,
        x_team: Annotated[str | None, Header()] = None,
    ) -> list[Task]:
        return []

    @plugin.post("/tasks/{number}", summary="Write one task", status_code=201)
    def write(number: int, task: Task) -> Task:
        return task

    @plugin.post("/many", summary="Write many tasks at once")
    def many(tasks: list[Task]) -> int:
        return len(tasks)

    @plugin.post("/names", summary="Name all that should be kept")
    def names(to_keep: Annotated[list[str], Body(title="What to keep")]) -> list[str]:
        return to_keep

    @plugin.post("/form", summary="Sign in with a form")
    def form(name: Annotated[str, Form()], about: Annotated[str | None, Form()] = None) -> str:
        return name

    @plugin.post("/file", summary="Upload a picture")
    def file(picture: UploadFile, note: UploadFile | None = None) -> str:
        return "ok"

    @plugin.post("/pets", summary="Register a pet")
    def pet(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> str:
        return pet.kind

    @plugin.put("/folders", summary="Keep a tree of folders")
    def keep(folder: Folder) -> Folder:
        return folder

    @plugin.delete("/tasks/{number}", summary="Delete one task", status_code=204)
    def delete(number: int) -> None:
        return None

    return plugin
