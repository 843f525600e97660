"""Every generic scheme at the door: made through the API, asked for its example, and fired as it stands."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import flask
import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from partners.models import SourceSecret
from postback.presets.catalogue import CATALOGUE
from tests.conftest import START, Answer, Caller, answer_of
from tests.postback.conftest import Stored

PEER = {"REMOTE_ADDR": "203.0.113.7"}
ALLOWED = {"allowlist": ["203.0.113.0/24"]}
BODY = '{"click_id":"ABC123","currency":"GBP","payout":"0.50","transaction_id":"TXN789"}'


def post(app: flask.Flask, source_id: str, headers: dict[str, str], body: str = BODY) -> Answer:
    client = app.test_client()
    return answer_of(client.post(f"/postback/{source_id}", data=body, headers=headers, environ_overrides=PEER))


def code_of_body(app: flask.Flask, source_id: str, header: str, signature: str, body: str = BODY) -> int:
    return post(app, source_id, {header: signature}, body).status_code


def test_the_stripe_vector_is_believed_and_is_late_by_now(machine: Caller, app: flask.Flask) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "stripe1", "secret": "whsec_test_secret"}).json
    vector = "t=1767225600,v1=77a42113ddf9a771828b2a4dd498cf5e1285850da63942c612f50c49a03e42d9"

    assert post(app, made["id"], {"stripe-signature": vector}).json["status"] == "held_late"


def test_githubs_published_vector_proves_its_sender_who_then_hears_that_it_is_no_json(
    machine: Caller, app: flask.Flask
) -> None:
    options = {"header": "X-Hub-Signature-256", "prefix": "sha256="}
    asked = {"name": "N", "scheme": "body1", "options": options, "secret": "It's a Secret to Everybody"}
    made = machine.post("/api/v1/sources", asked).json
    vector = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert code_of_body(app, made["id"], "x-hub-signature-256", vector, "Hello, World!") == 422
    assert code_of_body(app, made["id"], "x-hub-signature-256", vector, "Hello, World?") == 401


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

    both = {"in": "path", "parameter": "t"}
    odd = machine.post("/api/v1/sources", {"name": "O", "scheme": "token", **ALLOWED, "options": both})
    assert [error["field"] for error in refused.json["errors"]] == ["allowlist"]
    assert [error["field"] for error in odd.json["errors"]] == ["options.parameter"]
    assert get(token) == 200
    assert get(token[:-1] + "x") == 401
    assert get(token, environ_overrides={"REMOTE_ADDR": "198.51.100.1"}) == 401
    assert [receipt.assurance for receipt in stored.receipts() if receipt.verdict == "believed"] == ["C"]
    assert all(token.encode() not in receipt.raw_query for receipt in stored.receipts())
    with runtime.reading() as session:
        secret = session.scalars(sa.select(SourceSecret)).one()
        opened = runtime.keyring.unseal(secret.sealed_value, bound_to=f"source_secret:{made['id']}:{secret.id}")
    assert (secret.key_format, token.encode() in opened, len(opened)) == ("token", False, 32)


def test_a_token_in_the_path_is_believed_there_alone_and_stands_in_no_row(
    machine: Caller, app: flask.Flask, stored: Stored
) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "scheme": "token", "options": {"in": "path"}, **ALLOWED}).json
    token, query = made["secret"]["value"], "click_id=A&transaction_id=T&payout=1.00&currency=EUR"

    def get(path: str, query: str = query) -> int:
        client = app.test_client()
        return client.get(f"/postback/{made['id']}{path}", query_string=query, environ_overrides=PEER).status_code

    assert made["options"] == {"in": "path", "body": "query"}
    assert get(f"/{token}") == 200
    assert (get(f"/{token[:-1]}x"), get("")) == (401, 401)
    assert all(token.encode() not in receipt.raw_query for receipt in stored.receipts())
    assert get("", f"{query}&token={token}") == 401


# One rule: what proves itself by a value in clear needs an allowlist, whoever made the value.
STATIC = sorted(name for name, preset in CATALOGUE.items() if preset.assurance == "C")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_static_secret_needs_an_allowlist(machine: Caller) -> None:
    assert {"hotmart", "monlix", "affise"} <= set(STATIC)
    for name in STATIC:
        preset = CATALOGUE[name]
        secret = {} if preset.is_secret_ours else {"secret": "a secret of theirs"}
        asked = {"name": name, "scheme": f"preset:{name}", **secret}
        open_to_all = machine.post("/api/v1/sources", {**asked, "allowlist": []})
        assert [error["field"] for error in open_to_all.json["errors"]] == ["allowlist"], name
        made = machine.post("/api/v1/sources", {**asked, "allowlist": ["192.0.2.1/32"]})
        path = f"/api/v1/sources/{made.json['id']}"
        emptied = machine.patch(path, {"version": 1, "allowlist": []})
        assert [error["field"] for error in emptied.json["errors"]] == ["allowlist"], name
        assert machine.patch(path, {"version": 1, "state": "paused"}).status_code == 200
    signed = machine.post("/api/v1/sources", {"name": "signed", "scheme": "preset:torox", "secret": "their secret"})
    assert signed.status_code == 201


def test_a_hottok_is_kept_on_no_receipt(machine: Caller, app: flask.Flask, stored: Stored) -> None:
    hottok = "hottok-of-the-account"
    asked = {"name": "N", "scheme": "preset:hotmart", "secret": hottok, "default_currency": "EUR", **ALLOWED}
    made = machine.post("/api/v1/sources", asked).json

    assert code_of_body(app, made["id"], "x-hotmart-hottok", hottok, "{}") == 200  # invalid, in the style of Hotmart
    assert code_of_body(app, made["id"], "x-hotmart-hottok", hottok + "x", "{}") == 401
    assert [each.outcome for each in stored.receipts()].count("invalid") == 1
    assert [each.signature_headers for each in stored.receipts()] == [{"x-hotmart-hottok": "-"}] * 2


@pytest.mark.parametrize("sent", ["k3y+of/them=", "k3y%2Bof%2Fthem%3D", "k3y%2bof/them="])
def test_a_networks_own_token_is_any_text_in_any_spelling_of_a_url(
    machine: Caller, app: flask.Flask, sent: str
) -> None:
    asked = {"name": "N", "scheme": "preset:monlix", "secret": "k3y+of/them=", "default_currency": "EUR", **ALLOWED}
    made = machine.post("/api/v1/sources", asked).json
    path, query = f"/postback/{made['id']}", "sub_id=A&transaction_id=T&payout=1&status=1&secret="

    def get(secret: str) -> int:
        return app.test_client().get(path, query_string=query + secret, environ_overrides=PEER).status_code

    assert (get(sent), get(sent[:-1]), get(sent + "="), get("k3y")) == (200, 401, 401, 401)


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
    address = "http://localhost/postback/{source_id}"
    assert everflow["url_template"].startswith(f"{address}?sub1={{sub1}}&conversion_id={{conversion_id}}")
    assert items["rewardful"]["covered_fields"] is None
    assert machine.get("/api/v1/presets/cpx").json == items["cpx"]
    assert machine.get("/api/v1/presets/nobody").status_code == 404
    unknown = machine.post("/api/v1/sources", {"name": "N", "scheme": "preset:nobody"})
    assert (unknown.status_code, unknown.json["errors"][0]["field"]) == (422, "scheme")
