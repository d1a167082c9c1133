"""The manifest: all broken rules are reported together, and one from elsewhere is never refused."""

from __future__ import annotations

import pickle

import pytest

import kit
from kit.manifest import Manifest


def test_every_violation_is_listed_at_once() -> None:
    with pytest.raises(kit.ManifestError) as caught:
        kit.Plugin(
            "my todo",
            name_for_human="T" * 51,
            description_for_model="d" * 8001,
            description_for_human="h" * 121,
            contact_email="nobody",
            legal_info_url="javascript:alert(1)",
        )
    fields = [field for field, _ in caught.value.violations]
    assert fields == [
        "name_for_model",
        "name_for_human",
        "description_for_model",
        "description_for_human",
        "contact_email",
        "legal_info_url",
    ]
    text = str(caught.value)
    assert "'my_todo' is legal" in text
    assert "has 121 characters, the limit is 120: cut 1" in text
    assert text.endswith("run this cell again.")


@pytest.mark.parametrize(
    ("field", "longest"),
    [
        ("name_for_model", 50),
        ("name_for_human", 50),
        ("description_for_human", 120),
        ("description_for_model", 8000),
    ],
)
def test_the_documented_limits(field: str, longest: int) -> None:
    good = {
        "name_for_model": "todo",
        "description_for_model": "For todos.",
        "description_for_human": "For todos.",
    }
    assert kit.Plugin(**{**good, field: "x" * longest})
    with pytest.raises(kit.ManifestError, match=field):
        kit.Plugin(**{**good, field: "x" * (longest + 1)})


def test_defaults_are_derived() -> None:
    manifest = kit.Plugin("my_todo", description_for_model="Plugin for todos.").manifest
    assert manifest.name_for_human == "My Todo"
    assert manifest.description_for_human == "Plugin for todos."


def test_a_description_for_the_model_cannot_be_left_out() -> None:
    with pytest.raises(kit.ManifestError, match="description_for_model is empty"):
        kit.Plugin("todo")


def test_a_field_set_later_is_checked_and_the_old_value_stays() -> None:
    manifest = kit.Plugin("todo", description_for_model="Plugin for todos.").manifest
    with pytest.raises(kit.ManifestError, match="name_for_human"):
        manifest.name_for_human = "x" * 51
    assert manifest.name_for_human == "Todo"
    manifest.name_for_human = "Lists"
    assert manifest.render("http://localhost")["name_for_human"] == "Lists"


def test_the_rendered_document() -> None:
    manifest = kit.Plugin(
        "todo", description_for_model="Plugin for todos.", logo_url="https://cdn.example/l.png"
    ).manifest
    assert manifest.render("https://todo.example/base") == {
        "schema_version": "v1",
        "name_for_model": "todo",
        "name_for_human": "Todo",
        "description_for_model": "Plugin for todos.",
        "description_for_human": "Plugin for todos.",
        "auth": {"type": "none"},
        "api": {
            "type": "openapi",
            "url": "https://todo.example/base/.well-known/openapi.json",
            "is_user_authenticated": False,
        },
        "logo_url": "https://cdn.example/l.png",
        "contact_email": "support@example.com",
        "legal_info_url": "https://todo.example/base/legal",
    }


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (kit.NoAuth(), {"type": "none"}),
        (kit.UserHttp("basic"), {"type": "user_http", "authorization_type": "basic"}),
        (
            kit.ServiceHttp(verification_tokens={"openai": "abc"}),
            {
                "type": "service_http",
                "authorization_type": "bearer",
                "verification_tokens": {"openai": "abc"},
            },
        ),
        (
            kit.OAuth("https://a.example/login", "https://a.example/token", instructions="Sign in."),
            {
                "type": "oauth",
                "client_url": "https://a.example/login",
                "authorization_url": "https://a.example/token",
                "scope": "",
                "authorization_content_type": "application/json",
                "instructions": "Sign in.",
            },
        ),
    ],
)
def test_the_kinds_of_auth(auth: object, expected: dict[str, object]) -> None:
    plugin = kit.Plugin("todo", description_for_model="Plugin for todos.", auth=auth)  # type: ignore[arg-type]
    rendered = plugin.manifest.render("http://localhost")
    assert rendered["auth"] == expected
    assert Manifest.read(rendered).auth == auth
    assert Manifest.read(rendered).problems == []


def test_wrong_auth_is_named() -> None:
    with pytest.raises(kit.ManifestError) as caught:
        kit.Plugin(
            "todo",
            description_for_model="x",
            auth=kit.OAuth("nowhere", "https://a.example", authorization_content_type="text/plain"),
        )
    assert [field for field, _ in caught.value.violations] == [
        "auth.client_url",
        "auth.authorization_content_type",
    ]


def test_errors_survive_pickling() -> None:
    with pytest.raises(kit.ManifestError) as caught:
        kit.Plugin("my todo", description_for_model="x")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.violations == caught.value.violations


def test_a_manifest_from_elsewhere_is_read_whatever_it_holds() -> None:
    manifest = Manifest.read(
        {"name_for_model": 7, "auth": {"type": "magic"}, "api": "nowhere", "contact_email": None}
    )
    assert manifest.name_for_model == "7"
    assert manifest.auth == kit.NoAuth()
    places = [place for place, _ in manifest.problems]
    assert {"name_for_model", "auth.type", "api.url", "contact_email", "logo_url"} <= set(places)


def test_a_legal_page_on_another_domain() -> None:
    with pytest.raises(
        kit.ManifestError, match=r"(?s)name_for_model.*legal_info_url must be on the plugin's own domain"
    ):
        kit.Plugin(
            "a b",
            description_for_model="x",
            public_url="https://todo.example.com",
            legal_info_url="https://other.example/legal",
        )
    for legal in ("https://www.example.com/legal", "/legal", "https://example.com/x"):
        plugin = kit.Plugin(
            "todo", description_for_model="x", public_url="https://todo.example.com", legal_info_url=legal
        )
        plugin.manifest.name_for_human = "Other"
