"""Which addresses a plugin may lead to: ChatGPT's rules of mid-2023, and no way into a private network."""

from __future__ import annotations

import pytest

import kit
from kit.addresses import Root, choose_server, complete, is_document, is_private, is_public


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
    "url",
    [
        "ftp://x.example",
        "file:///etc/passwd",
        "https://",
        "http://x:notaport",
        "http://[::1",
        "https://a..example.com",
        "http://.x.com",
        "https://a．．example.com",
        f"https://{'a' * 64}.example.com",
        f"https://{'a.' * 127}com",
        "http://ｌｏｃａｌｈｏｓｔ",
        "http://x.example/\ud800",
        "http://\udc80.example",
        "http://x.example/\x00",
        "http://a%00b.example",
    ],
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
        ("http://localhost:3333", "http://localhost:5000", False),
        ("http://localhost:3333", "http://[::1]:3333", True),
        ("http://localhost", "http://127.0.0.1:80", True),
        ("http://box:8000", "http://box:6379", False),
        ("http://10.0.0.5:8000", "http://10.0.0.5:6379", False),
        ("http://10.0.0.5:8000", "http://10.0.0.5:8000/x", True),
        ("https://example.com", "https://example.com:8443", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("https://faß.example", "https://fass.example", False),
        ("https://example．com", "https://example.com", True),
        ("http://localhost:3333", "http://127.0.0.1:3333", True),
        ("http://localhost:3333", "https://example.com", False),
        ("http://example.com", "https://example.com", True),
        ("https://example.com", "https://other.example", False),
        ("https://example.com", "http://169.254.169.254/latest", False),
        ("https://example.com", "http://localhost", False),
        ("https://example.com", "https://127.0.0.1", False),
        ("https://1.2.3.4", "https://x.1.2.3.4", False),
    ],
)
def test_what_a_plugin_owns_by_one_rule_for_specs_servers_redirects_and_tokens(
    root: str, url: str, covered: bool
) -> None:
    assert Root.of(root).covers(url) is covered


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


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "127.0.0.1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *(
            "192.0.0.8",
            "192.88.99.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ),
        *(
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%eth0",
        ),
        *(
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "2001:db8::1",
        ),
        *("100::1", "3fff::1", "5f00::1", "4000::1"),
    ],
)
def test_what_is_no_host_of_the_internet(address: str) -> None:
    assert not is_public(address)
    assert is_private(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_what_is(address: str) -> None:
    assert is_public(address)
    assert not is_private(address)


@pytest.mark.parametrize("strict", [True, False])
def test_the_running_server_comes_before_those_that_its_author_listed(strict: bool) -> None:
    root, spec_url = Root.of("http://127.0.0.1:8000"), "http://127.0.0.1:8000/openapi.json"
    listed = ["http://localhost:3333"]
    assert choose_server(listed, spec_url, root, strict) == ("http://127.0.0.1:8000", listed)
    listed = ["https://api.example.com", "http://localhost:8000/v1"]
    assert choose_server(listed, spec_url, root, strict) == ("http://localhost:8000/v1", listed[:1])


def test_what_names_a_document() -> None:
    assert is_document("https://x.example/openapi.YAML?v=1")
    assert not is_document("https://x.example/json")
