"""What cannot work is refused where it is written, in a sentence that says what to write."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, Path, Request

import kit
from kit.errors import KitError, OperationError


def make() -> kit.Plugin:
    return kit.Plugin("shop", description_for_model="A shop.", description_for_human="A shop.")


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    def inner(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return inner


def number_of(item: int) -> int:
    return item


def nothing() -> None: ...


def by_number(number: int) -> None: ...


class Shelf:
    def of(self, book: str) -> str:
        return book


def of_all(*books: str) -> None: ...


def asks() -> str:
    return input("Which? ")


def prints() -> None: ...


@pytest.mark.parametrize(
    ("path", "function", "words"),
    [
        ("books", nothing, "does not begin with a slash.*Write '/books'"),
        ("", nothing, "does not begin with a slash"),
        ("https://shop.example/books", nothing, "is an address"),
        ("/books?limit={limit}", nothing, "more than a path"),
        ("/the books", nothing, "has a space"),
        ("/books/{id", nothing, "brace without its other half"),
        ("/books/{number}/{number}", by_number, r"has \{number\} twice"),
        ("/books/{id}", by_number, r"has \{id\}, which by_number does not take: its arguments are number"),
        ("/books/{id}", nothing, "it takes no argument"),
        ("/books", Shelf.of, "takes self: it is a method"),
        ("/books", of_all, r"takes \*books"),
        ("/books", wrapped(nothing), r"functools\.wraps"),
        ("/books", asks, r"asks with input\(\).*argument"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_operation_that_cannot_work(path: str, function: Any, words: str, method: str) -> None:
    plugin = make()
    with pytest.raises(OperationError, match=f"(?s){words}"):
        getattr(plugin, method)(path)(function)
    assert not plugin.spec.operations


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_decorator_without_its_parentheses(method: str) -> None:
    plugin = make()
    with pytest.raises(OperationError, match="'nothing' has no path: it is written without its parentheses"):
        getattr(plugin, method)(nothing)


def test_what_works_in_fastapi_is_not_refused() -> None:
    plugin = make()

    def reads(request: Request) -> str:
        return str(request.path_params["id"])

    def alias(number: Annotated[int, Path(alias="id")]) -> int:
        return number

    def depends(item: Annotated[int, Depends(number_of)]) -> int:
        return item

    @functools.wraps(by_number)
    def kept(*args: Any, **options: Any) -> Any:
        return by_number(*args, **options)

    def input(text: str) -> str:
        return text

    plugin.get("/a/{id}")(reads)
    plugin.get("/b/{id}")(alias)
    plugin.get("/c/{item}")(depends)
    plugin.get("/d/{number}")(kept)
    plugin.get("/e/{rest:path}", name="rest")(lambda rest: rest)
    plugin.get("/f")(Shelf().of)
    plugin.get("/g")(input)
    assert len(plugin.spec.operations) == 7


def test_print_instead_of_return_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = make()

    @plugin.get("/a")
    def says():  # type: ignore[no-untyped-def]
        print("hello")

    assert "says prints and returns nothing" in capsys.readouterr().err

    @plugin.get("/b")
    def both():  # type: ignore[no-untyped-def]
        print("hello")
        return "hello"

    @plugin.get("/c")
    def meant() -> None:
        print("hello")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kit.serve("books.ipynb"), r"kit\.load\('books\.ipynb'\)"),  # type: ignore[arg-type]
        (lambda: kit.serve(nothing), "the plugin that nothing is an operation of"),  # type: ignore[arg-type]
        (lambda: kit.serve(None), "is a NoneType, and no app"),  # type: ignore[arg-type]
        (lambda: kit.Chat(["a", "b"]), "one by one"),
        (lambda: kit.Chat(None), "is no plugin"),
        (lambda: kit.install(3), "3 is no plugin, but an int"),  # type: ignore[arg-type]
        (lambda: kit.check(3.5), "is no plugin"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_first_argument(call: Callable[[], object], words: str) -> None:
    with pytest.raises(KitError, match=words):
        call()


def test_a_name_written_wrong() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'Plugin'"):
        kit.plugins_  # noqa: B018
    with pytest.raises(TypeError, match=r"kit\.Chat\(plugin\)"):
        __import__("kit.chat").chat(make())


def test_a_stopped_server_says_so() -> None:
    plugin = make()
    plugin.get("/books")(nothing)
    server = kit.serve(plugin)
    installed = kit.install(server)
    server.stop()
    with pytest.raises(KitError, match=r"the server of Shop was stopped.\nServe it again"):
        kit.install(server)
    assert "was stopped" in str(installed.call("nothing").data)
    with kit.serve(plugin, port=server.port):
        assert installed.call("nothing").ok


def test_an_operation_may_use_a_name_that_gets_its_value_later() -> None:
    plugin = make()

    @plugin.get("/later")
    def later() -> str:
        return word

    word = "now"
    assert kit.install(plugin).call("later").data == "now"
