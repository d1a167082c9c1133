"""The TODO plugin of the tutorial, and the sentences that `kit demo` says to it."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path
from pydantic import BaseModel, Field

from kit.plugin.app import Plugin

SENTENCES = (
    "Add 'buy milk' to sam's list",
    "Remind sam to call the dentist",
    "What does sam have to do?",
    "Delete todo 1 of sam",
    "Show me sam's list",
)


Username = Annotated[str, Path(description="The user whose list it is")]
Number = Annotated[int, Path(description="The number of the todo, from 1")]


class NewTodo(BaseModel):
    """A todo to add."""

    todo: str = Field(description="The text of the todo")


def make_plugin() -> Plugin:
    """A TODO plugin that keeps its lists in memory."""
    plugin = Plugin(
        "todo",
        name_for_human="TODO Plugin",
        description_for_model="Plugin for managing a TODO list: add, list and delete the todos of a user.",
        description_for_human="Manage your TODO list.",
    )
    lists: dict[str, list[str]] = {}

    @plugin.post("/users/{username}/todos", summary="Add a todo to the list of a user")
    def add_todo(username: Username, new: NewTodo) -> list[str]:
        todos = lists.setdefault(username, [])
        todos.append(new.todo)
        return todos

    @plugin.get("/users/{username}/todos", summary="List the todos of a user")
    def list_todos(username: Username) -> list[str]:
        return lists.get(username, [])

    @plugin.delete(
        "/users/{username}/todos/{number}",
        summary="Delete a todo of a user by its number",
        responses={404: {"description": "The user has no todo of that number"}},
    )
    def delete_todo(username: Username, number: Number) -> list[str]:
        todos = lists.get(username, [])
        if not 1 <= number <= len(todos):
            raise HTTPException(404, f"{username} has no todo {number}; the numbers are 1 to {len(todos)}.")
        del todos[number - 1]
        return todos

    return plugin
