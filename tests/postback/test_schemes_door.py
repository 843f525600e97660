"""Every generic scheme at the door: made through the API, asked for its example, and fired as it stands."""

import hashlib
import hmac
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import flask
import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from partners.models import SourceSecret
from tests.conftest import START, Answer, Caller, answer_of
from tests.postback.conftest import Stored

PEER = {"REMOTE_ADDR": "203.0.113.7"}
ALLOWED = {"allowlist": ["203.0.113.0/24"]}
BODY = '{"click_id":"ABC123","currency":"GBP","payout":"0.50","transaction_id":"TXN789"}'


def fired(app: flask.Flask, curl: str, token: str = "") -> Answer:
    """Run an example's curl command against the application."""
    words = shlex.split(curl.replace("{token}", token))[1:]
    headers, method, url, body = {}, "GET", "", None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "--data-raw":
            body = words.pop(0)
        else:
            url = word
    parts = urlsplit(url)
    return answer_of(
        app.test_client().open(
            parts.path, method=method, query_string=parts.query, headers=headers, data=body, environ_overrides=PEER
        )
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"scheme": "pb1"},
        {"scheme": "sw1"},
        {"scheme": "stripe1"},
        {"scheme": "body1", "options": {"header": "X-Hub-Signature-256", "prefix": "sha256="}},
        {"scheme": "body1", "options": {"header": "x-shop-hmac", "encoding": "base64", "body": "form"}},
        {"scheme": "body1", "options": {"header": "x-signature"}, "secret": "the network's own text"},
        {"scheme": "token"},
        {"scheme": "preset:rewardful", "secret": "a secret of theirs", "parameters": {"click_id": "via"}},
        {"scheme": "preset:everflow"},
        {"scheme": "preset:monlix", "secret": "0123456789abcdef-of-theirs"},
    ],
    ids=lambda asked: asked["scheme"],
)
def test_an_example_of_a_scheme_is_believed_as_it_stands(
    machine: Caller, app: flask.Flask, stored: Stored, asked: dict[str, Any]
) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "default_currency": "EUR", **ALLOWED, **asked})
    assert made.status_code == 201, made.text
    assert made.json["scheme"] == asked["scheme"]
    example = machine.get(f"/api/v1/sources/{made.json['id']}/example").json

    answer = fired(app, example["curl"], made.json["secret"]["value"])

    assert answer.status_code == 200, (answer.text, stored.receipts()[-1].faults)
    [conversion] = stored.conversions()
    assert conversion.state == "unmatched"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_network_that_signs_in_its_own_way_has_no_example(machine: Caller) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "preset:cpx", "secret": "a secret of theirs"})

    answer = machine.get(f"/api/v1/sources/{made.json['id']}/example")

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/no-example")


def post(app: flask.Flask, source_id: str, headers: dict[str, str], body: str = BODY) -> Answer:
    client = app.test_client()
    return answer_of(client.post(f"/postback/{source_id}", data=body, headers=headers, environ_overrides=PEER))


def test_stripes_header_takes_one_time_and_any_good_v1(machine: Caller, app: flask.Flask, stored: Stored) -> None:
    secret = "whsec_test_secret"
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "stripe1", "secret": secret}).json
    time = int(START.timestamp())
    good = hmac.new(secret.encode(), f"{time}.{BODY}".encode(), hashlib.sha256).hexdigest()
    name = "stripe-signature"

    assert post(app, made["id"], {name: f"t={time},v1={'0' * 64},v1={good},v0=old"}).json["status"] == "unmatched"
    for header in (f"t={time},t={time},v1={good}", f"t={time},v0={good}", f"v1={good}", f"t={time}", ""):
        assert post(app, made["id"], {name: header}).status_code == 401
    assert len(stored.conversions()) == 1


def test_a_token_needs_an_allowlist_and_is_kept_nowhere(
    machine: Caller, app: flask.Flask, stored: Stored, runtime: Runtime
) -> None:
    refused = machine.post("/api/v1/sources", {"name": "N", "scheme": "token"})
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "token", **ALLOWED}).json
    token = made["secret"]["value"]
    path = f"/postback/{made['id']}"
    query = "click_id=A&transaction_id=T&payout=1.00&currency=EUR&token="

    def get(value: str, **options: Any) -> int:
        options.setdefault("environ_overrides", PEER)
        return app.test_client().get(path, query_string=query + value, **options).status_code

    assert [error["field"] for error in refused.json["errors"]] == ["allowlist"]
    assert get(token) == 200
    assert get(token[:-1] + "x") == 401
    assert get(token, environ_overrides={"REMOTE_ADDR": "198.51.100.1"}) == 401
    assert [receipt.assurance for receipt in stored.receipts() if receipt.verdict == "believed"] == ["C"]
    assert all(token.encode() not in receipt.raw_query for receipt in stored.receipts())
    with runtime.reading() as session:
        secret = session.scalars(sa.select(SourceSecret)).one()
        opened = runtime.keyring.unseal(secret.sealed_value, bound_to=f"source_secret:{made['id']}:{secret.id}")
    assert (secret.key_format, token.encode() in opened, len(opened)) == ("token", False, 32)


def test_a_rotated_secret_works_at_once_and_a_revoked_one_no_more(machine: Caller, app: flask.Flask) -> None:
    asked = {"name": "N", "scheme": "body1", "options": {"header": "x-s"}, "secret": "first of theirs"}
    made = machine.post("/api/v1/sources", asked).json
    path = f"/api/v1/sources/{made['id']}/secrets"

    def status(key: str, transaction_id: str) -> int:
        body = BODY.replace("TXN789", transaction_id)
        signature = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
        return post(app, made["id"], {"x-s": signature}, body).status_code

    assert (status("first of theirs", "1"), status("second of theirs", "2")) == (200, 401)
    assert machine.post(path, {"overlap_days": 7, "value": "second of theirs"}).status_code == 201
    assert (status("first of theirs", "3"), status("second of theirs", "4")) == (200, 200)
    assert machine.delete(f"{path}/{made['secret']['id']}").status_code == 200
    assert (status("first of theirs", "5"), status("second of theirs", "6")) == (401, 200)


def test_a_source_in_test_mode_records_and_never_pays(machine: Caller, app: flask.Flask, stored: Stored) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "token", "is_test": True, **ALLOWED}).json
    query = f"click_id=A&transaction_id=T&payout=1.00&currency=EUR&token={made['secret']['value']}"

    answer = app.test_client().get(f"/postback/{made['id']}", query_string=query, environ_overrides=PEER)

    assert answer.status_code == 200
    assert [conversion.state for conversion in stored.conversions()] == ["test"]


STYLES = [("json", 422), ("ok", 200), ("gif", 200), ("empty", 200), ("always_200", 200)]


@pytest.mark.parametrize(("style", "invalid_code"), STYLES)
def test_a_network_hears_its_own_words_for_whatever_is_stored(
    machine: Caller, app: flask.Flask, style: str, invalid_code: int
) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "token", "answers": style, **ALLOWED}).json
    token = made["secret"]["value"]

    def get(query: str, value: str = token) -> Answer:
        client = app.test_client()
        path = f"/postback/{made['id']}"
        return answer_of(client.get(path, query_string=f"{query}&token={value}", environ_overrides=PEER))

    good = "click_id=A&transaction_id=T&payout=1.00&currency=EUR"
    bodies = {get(good).data, get(good).data}
    expected: Callable[[bytes], bool] = {
        "ok": lambda body: body == b"OK",
        "gif": lambda body: body.startswith(b"GIF89a\x01\x00\x01\x00") and body.endswith(b"\x3b"),
        "empty": lambda body: body == b"",
    }.get(style, lambda body: body.startswith(b'{"status": '))
    assert all(expected(body) for body in bodies)
    assert get("click_id=A&transaction_id=T&payout=x&currency=EUR").status_code == invalid_code
    assert get(good, "x" * 43).status_code == 401


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_presets_are_listed_with_what_to_enter_at_the_network(machine: Caller) -> None:
    items = {item["name"]: item for item in machine.get("/api/v1/presets").json["items"]}

    assert len(items) >= 40
    everflow = items["everflow"]
    assert everflow["scheme"] == "preset:everflow"
    assert (everflow["assurance"], everflow["secret_from"], everflow["covered_fields"]) == ("C", "us", [])
    assert everflow["url_template"].startswith("{postback_url}?sub1={sub1}&conversion_id={conversion_id}")
    assert items["rewardful"]["covered_fields"] is None
    unknown = machine.post("/api/v1/sources", {"name": "N", "scheme": "preset:nobody"})
    assert (unknown.status_code, unknown.json["errors"][0]["field"]) == (422, "scheme")
