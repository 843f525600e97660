"""Every route declares who may pass, and every refusal is a problem document."""

import json
import re
from collections.abc import Callable

import flask
import pytest
from openapi_spec_validator import validate

from access.roles import SCOPES, Role
from core.http.doors import Door, DoorKind
from core.runtime import Runtime
from tests.conftest import Caller, answer_of
from web.guard import door_of

# What anyone may ask. A new line here is a decision, not a formality.
OPEN_RULES = {
    "/static/<path:filename>", "/healthz", "/readyz", "/metrics", "/session",
    "/api/openapi.json", "/api/docs", "/api/docs/<path:name>",
    "/c/<campaign_id>/<affiliate_id>",
}  # fmt: skip
OPEN_PAGES = {"/sign-in", "/sign-in/code", "/sign-in/passkey", "/sign-in/oidc", "/sign-in/oidc/callback"}
# What no token may do, whatever its scopes.
PEOPLE_ONLY = (
    "/decision",
    "/decisions",
    "/release",
    "/bulk",
    "/matches",
    "/confirm",
    "/reject",
    "/unmatch",
    "/split",
    "/merge",
    "/close",
    "/reopen",
    "/reopen/confirm",
    "/activate",
    "/force",
    "/reassign",
    "/resubmit",
    "/delegations",
    "/revoke",
    "/apply",
)


def doors(app: flask.Flask) -> list[tuple[str, set[str], Door | None]]:
    """Every rule, its methods and its door."""
    return [(rule.rule, set(rule.methods or ()), door_of(app, rule.endpoint)) for rule in app.url_map.iter_rules()]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_route_declares_its_door(app: flask.Flask) -> None:
    found = doors(app)

    assert len(found) > 20
    assert [rule for rule, _, door in found if door is None] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_door_names_only_roles_and_scopes_that_there_are(app: flask.Flask) -> None:
    for rule, _, door in doors(app):
        if door is not None and door.kind is DoorKind.ACTORS:
            assert door.roles <= {role.value for role in Role}, rule
            assert door.scope is None or door.scope in SCOPES, rule
            assert door.roles or door.scope, rule


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_open_but_what_stands_on_the_list(app: flask.Flask) -> None:
    assert {rule for rule, _, door in doors(app) if door and door.kind is DoorKind.OPEN} - OPEN_PAGES == OPEN_RULES


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_token_decides_releases_closes_or_activates(app: flask.Flask) -> None:
    acts = [(rule, door) for rule, methods, door in doors(app) if rule.endswith(PEOPLE_ONLY) and "POST" in methods]

    assert acts
    assert [rule for rule, door in acts if door is None or door.scope is not None] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_closed_door_turns_a_stranger_away(app: flask.Flask) -> None:
    client = app.test_client()
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        door = door_of(app, rule.endpoint)
        if door is None or door.kind is not DoorKind.ACTORS:
            continue
        path = adapter.build(rule.endpoint, {name: "csv" if name == "form" else "1" for name in rule.arguments})
        for method in set(rule.methods or ()) - {"OPTIONS"}:
            assert client.open(path, method=method).status_code in {401, 302, 303}, (method, path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_method_that_is_not_there_is_answered_with_those_that_are(machine: Caller) -> None:
    answer = machine.call("PUT", "/api/v1/affiliates")

    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_problem_document_says_what_where_and_under_which_request(
    machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    not_found = machine.get("/api/v1/nothing", headers={"X-Request-ID": "request-of-the-caller"})
    invalid = machine.post("/api/v1/campaigns", {"name": "", "terms": {"kind": "x"}, "surprise": 1})
    forbidden = sign_in("auditor").post("/api/v1/affiliates", {"name": "x", "currency": "EUR"})

    for answer, status in ((not_found, 404), (invalid, 422), (forbidden, 403)):
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(answer.json)
        assert answer.json["status"] == status
        assert answer.headers["X-Request-ID"] == answer.json["request_id"]
    assert not_found.json["instance"] == "/api/v1/nothing"
    assert not_found.json["request_id"] == "request-of-the-caller"
    assert {error["field"] for error in invalid.json["errors"]} == {
        "name", "destination_url", "terms.kind", "surprise",
    }  # fmt: skip
    assert forbidden.json["detail"] == "this takes one of the roles: admin, affiliate_manager"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("data", [b"{", b"\xff", b'{"a": }'])
def test_a_body_that_is_no_json_is_the_callers_fault(machine: Caller, data: bytes) -> None:
    answer = machine.post("/api/v1/affiliates", data=data, content_type="application/json")

    assert answer.status_code in {400, 422}
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/v1/affiliates/%00", "/api/v1/affiliates?after=%00", "/c/%00/%00"])
def test_a_nul_in_an_address_is_never_our_fault(machine: Caller, path: str) -> None:
    assert machine.get(path).status_code in {404, 422}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_breaks_on_our_side_says_nothing_of_it(
    app: flask.Flask, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> flask.Response:
        message = "the secret inside"
        raise RuntimeError(message)

    broken.__dict__["door"] = app.view_functions["healthz"].__dict__["door"]
    monkeypatch.setitem(app.view_functions, "healthz", broken)

    answer = answer_of(app.test_client().get("/healthz"))

    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "secret" not in answer.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_openapi_document_holds_and_names_every_door(machine: Caller) -> None:
    document = machine.get("/api/openapi.json").json

    validate(document)
    operation = document["paths"]["/api/v1/affiliates"]["post"]
    assert operation["security"] == [{"session": []}, {"token": []}]
    assert operation["x-door"] == "people: admin, affiliate_manager; tokens: `affiliates:write`"
    # Patterns there are JavaScript's: Python's inline flags, such as (?s), are none to a client.
    assert re.findall(r'"pattern": "[^"]*\(\?[a-z]', json.dumps(document)) == []
