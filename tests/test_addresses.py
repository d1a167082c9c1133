"""Which addresses a plugin may lead to: ChatGPT's rules of mid-2023, and no way into a private network."""

from __future__ import annotations

import pytest

import kit
from kit.addresses import Root, choose_server, complete, is_document, is_private


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:3333", "http://localhost:3333"),
        ("127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("[::1]:80", "http://[::1]:80"),
        ("example.com", "https://example.com"),
        ("example.com/a.json", "https://example.com/a.json"),
        ("http://example.com", "http://example.com"),
        ("box:8000", "http://box:8000"),
        (" printer.local ", "http://printer.local"),
        ("192.168.1.4:8000", "http://192.168.1.4:8000"),
    ],
)
def test_addresses_as_people_type_them(typed: str, url: str) -> None:
    assert complete(typed) == url


@pytest.mark.parametrize(
    "url", ["ftp://x.example", "file:///etc/passwd", "https://", "http://x:notaport", "http://[::1"]
)
def test_what_is_no_http_url(url: str) -> None:
    with pytest.raises(kit.InstallError, match="is not") as caught:
        Root.of(url)
    assert "Give a base URL" in str(caught.value)


@pytest.mark.parametrize(
    ("root", "url", "covered"),
    [
        ("https://example.com", "https://example.com/x", True),
        ("https://example.com", "https://api.example.com/x", True),
        ("https://www.example.com", "https://example.com", True),
        ("https://www.example.com", "https://api.example.com", True),
        ("https://api.example.com", "https://example.com", False),
        ("https://a.example.com", "https://b.example.com", False),
        ("https://example.com", "https://example.com.evil.net", False),
        ("https://example.com", "https://evilexample.com", False),
        ("https://example.com", "http://example.com", False),
        ("https://com", "https://example.com", False),
        ("http://localhost:3333", "http://localhost:5000", True),
        ("http://localhost:3333", "http://127.0.0.1:3333", True),
        ("http://localhost:3333", "https://example.com", False),
        ("https://example.com", "http://localhost", False),
        ("https://example.com", "https://127.0.0.1", False),
        ("https://1.2.3.4", "https://x.1.2.3.4", False),
    ],
)
def test_what_a_domain_covers(root: str, url: str, covered: bool) -> None:
    assert Root.of(root).covers(url) is covered


@pytest.mark.parametrize(
    ("root", "url", "allowed"),
    [
        ("https://example.com", "https://example.com/other", True),
        ("https://example.com", "https://api.example.com", True),
        ("https://www.example.com", "https://example.com", True),
        ("http://example.com", "https://example.com", True),
        ("https://example.com", "http://example.com", False),
        ("https://api.example.com", "https://example.com", False),
        ("https://example.com", "https://other.example", False),
        ("http://localhost:3333", "http://localhost:3333/x", True),
        ("http://localhost:3333", "http://localhost:6379", False),
        ("https://example.com", "http://169.254.169.254/latest", False),
    ],
)
def test_where_a_redirect_may_lead(root: str, url: str, allowed: bool) -> None:
    assert Root.of(root).may_redirect_to(url) is allowed


@pytest.mark.parametrize(
    ("servers", "chosen", "passed"),
    [
        ([], "https://docs.example.com", []),
        (["https://api.example.com/v1/"], "https://api.example.com/v1", []),
        (
            ["https://other.example", "https://example.com/v1"],
            "https://example.com/v1",
            ["https://other.example"],
        ),
        (["https://other.example"], "https://docs.example.com", ["https://other.example"]),
        (["/v2"], "https://docs.example.com/v2", []),
        (["v2"], "https://docs.example.com/specs/v2", []),
        (
            ["not a url:", "http://example.com"],
            "https://docs.example.com",
            ["not a url:", "http://example.com"],
        ),
    ],
)
def test_the_server_is_chosen_by_the_documented_rule(
    servers: list[str], chosen: str, passed: list[str]
) -> None:
    spec_url = "https://docs.example.com/specs/openapi.json"
    result = choose_server(servers, spec_url, Root.of("https://example.com"), strict=True)
    assert result == (chosen, passed)


def test_a_spec_named_by_the_user_may_have_its_server_elsewhere_but_not_inside() -> None:
    root = Root.of("https://raw.example")
    assert (
        choose_server(["https://api.other.example"], "https://raw.example/x.json", root, strict=False)[0]
        == "https://api.other.example"
    )
    assert (
        choose_server(["http://10.0.0.1"], "https://raw.example/x.json", root, strict=False)[0]
        == "https://raw.example"
    )


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("::1", True),
        ("fd00::1", True),
        ("db", True),
        ("x.internal", True),
        ("8.8.8.8", False),
        ("example.com", False),
    ],
)
def test_private_networks(host: str, private: bool) -> None:
    assert is_private(host) is private


def test_what_names_a_document() -> None:
    assert is_document("https://x.example/openapi.YAML?v=1")
    assert not is_document("https://x.example/json")
