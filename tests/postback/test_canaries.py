"""A static secret, however it is sent and wherever to, stands in no receipt, no log line and no answer."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import flask
import pytest
import sqlalchemy as sa

from core.logs import JsonFormatter
from core.runtime import Runtime
from postback import redaction
from postback.models import Receipt
from postback.presets.catalogue import CATALOGUE
from tests.conftest import Caller
from tests.postback.conftest import Network, Stored

PEER = {"REMOTE_ADDR": "203.0.113.7"}
GIVEN = "Th3irs.of_the-n3twork"
TOLD = "click_id=CLICK-1&transaction_id=T1&payout=1.00&currency=EUR"
TOKEN = {"scheme": "token"}
RENAMED = {"scheme": "token", "options": {"parameter": "k"}}
MONLIX = {"scheme": "preset:monlix", "secret": GIVEN}
IN_PATH = {"scheme": "token", "options": {"in": "path"}}
PLUS = {"scheme": "preset:monlix", "secret": "the+ir%41secret"}
SPACED = {"scheme": "preset:monlix", "secret": "a text, of the network/s"}
HOTMART = {"scheme": "preset:hotmart", "secret": GIVEN}
MISSPELT = "src_01k9aaaaaaaaaaaaaaaaaaaaaa"


@dataclass(frozen=True)
class Way:
    """One way to send a secret: `SECRET` stands for it, `SOURCE` for the source, `PERCENT` for it letter by letter."""

    source: Mapping[str, Any]
    path: str = "SOURCE"
    query: str = TOLD
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


WAYS = {
    "where it belongs": Way(TOKEN, query=f"{TOLD}&token=SECRET"),
    "twice": Way(TOKEN, query=f"token=SECRET&{TOLD}&token=SECRET"),
    "also as a sub id": Way(TOKEN, query=f"{TOLD}&sub1=SECRET&token=SECRET"),
    "believed and not valid": Way(TOKEN, query="payout=x&token=SECRET"),
    "an encoded name": Way(TOKEN, query=f"{TOLD}&%74oken=SECRET"),
    "an encoded name beside it": Way(TOKEN, query=f"{TOLD}&%74oken=SECRET&token=SECRET"),
    "a name encoded twice": Way(TOKEN, query=f"{TOLD}&%2574oken=SECRET"),
    "an encoded value": Way(TOKEN, query=f"{TOLD}&token=PERCENT"),
    "upper case": Way(TOKEN, query=f"{TOLD}&TOKEN=SECRET"),
    "another name": Way(TOKEN, query=f"{TOLD}&tkn=SECRET"),
    "no name": Way(TOKEN, query="SECRET"),
    "a second question mark": Way(TOKEN, query=f"{TOLD}?token=SECRET"),
    "a semicolon": Way(TOKEN, query=f"{TOLD};k=SECRET"),
    "a form": Way(TOKEN, body=f"{TOLD}&token=SECRET"),
    "a form with a bracketed name": Way(TOKEN, body=f"{TOLD}&auth%5Btoken%5D=PERCENT"),
    "JSON": Way(TOKEN, body='{"click_id":"A","token":"SECRET","n":1.50}'),
    "deep in JSON": Way(TOKEN, body='{"auth":{"anything":["SECRET"]},"a":[{"SECRET":1}]}'),
    "JSON with an escape": Way(TOKEN, body='{"a":"\\u0020SECRET"}'),
    "JSON cut short": Way(TOKEN, body='{"token":"SECRET"'),
    "a form in parts": Way(TOKEN, body='--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nSECRET\r\n--x--'),
    "the path where a parameter is asked for": Way(TOKEN, path="SOURCE/SECRET"),
    "a parameter that nobody asked for": Way(IN_PATH, query=f"{TOLD}&whatever=SECRET"),
    "the path and a parameter": Way(IN_PATH, path="SOURCE/SECRET", query=f"{TOLD}&sub2=SECRET"),
    "a name of its own, encoded": Way(RENAMED, query=f"{TOLD}&%6B=SECRET"),
    "a source that is not there": Way(TOKEN, path=MISSPELT, query=f"{TOLD}&token=SECRET"),
    "no source, another name": Way(RENAMED, path=MISSPELT, query=f"{TOLD}&k=PERCENT"),
    "no source, as a click id": Way(TOKEN, path=MISSPELT, query="click_id=SECRET"),
    "no source, JSON": Way(TOKEN, path=MISSPELT, body='{"k":{"v":"SECRET"}}'),
    "no source, in the path": Way(TOKEN, path=f"{MISSPELT}/SECRET"),
    "source and token changed about": Way(IN_PATH, path="SECRET/SOURCE"),
    "no stroke between them": Way(IN_PATH, path="SOURCESECRET"),
    "one stroke too many": Way(TOKEN, path="SOURCE/SECRET/x"),
    "another door": Way(TOKEN, path="../postbacks/SOURCE/SECRET"),
    "theirs": Way(MONLIX, query="userId=A&transactionId=T&rewardValue=1&secretKey=SECRET"),
    "theirs, another name": Way(MONLIX, query=f"{TOLD}&k=PERCENT"),
    "theirs, in a form": Way(MONLIX, body="k=SECRET"),
    "theirs, no source": Way(MONLIX, path=MISSPELT, query=f"{TOLD}&k=SECRET"),
    "theirs, no source, JSON": Way(MONLIX, path=MISSPELT, body='{"k":"SECRET"}'),
    "theirs, with signs that mean something": Way(PLUS, query=f"{TOLD}&k=SECRET&l=PERCENT"),
    "theirs, of any form": Way(SPACED, query=f"{TOLD}&k=PERCENT&secretKey=PERCENT"),
    "theirs, in its header": Way(HOTMART, body='{"data":{"a":1}}', headers={"X-HOTMART-HOTTOK": "SECRET"}),
    "theirs, in its header and the body": Way(
        HOTMART, body='{"hottok":"SECRET","a":"SECRET"}', headers={"X-HOTMART-HOTTOK": "SECRET"}
    ),
    "theirs, with a slip in its header": Way(HOTMART, body="{}", headers={"X-HOTMART-HOTTOK": "SECRETx"}),
}


def everything(runtime: Runtime) -> list[bytes]:
    """All columns of all receipts, as they are and decoded."""
    with runtime.reading() as session:
        rows = session.execute(sa.select(*sa.inspect(Receipt).columns)).all()
    texts = [each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row]
    return [*texts, *map(unquote_to_bytes, texts)]


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_secret_is_found_nowhere(  # noqa: PLR0917 - fixtures
    way: Way,
    app: flask.Flask,
    runtime: Runtime,
    machine: Caller,
    sign_in: Callable[..., Caller],
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = {"name": "N", "default_currency": "EUR", "allowlist": ["203.0.113.0/24"], **way.source}
    made = machine.post("/api/v1/sources", asked)
    assert made.status_code == 201, made.text
    secret = way.source.get("secret") or made.json["secret"]["value"]
    admin = sign_in("admin")

    def filled(text: str) -> str:
        percent = "".join(f"%{each:02x}" for each in secret.encode())
        return text.replace("SOURCE", made.json["id"]).replace("SECRET", secret).replace("PERCENT", percent)

    with caplog.at_level(logging.DEBUG):
        answer = app.test_client().open(
            filled(f"/postback/{way.path}"),
            method="GET" if way.body is None else "POST",
            query_string=filled(way.query) if way.body is None else "",
            data=None if way.body is None else filled(way.body),
            headers={name: filled(value) for name, value in way.headers.items()},
            environ_overrides=PEER,
        )
        listed = admin.get("/api/v1/receipts")
        shown = [admin.get(f"/api/v1/receipts/{each['id']}") for each in listed.json["items"]]

    canary = secret.encode()
    assert [kept for kept in everything(runtime) if canary in kept] == []
    assert [each.text for each in (listed, *shown) if secret in each.text or secret in repr(each.json)] == []
    assert canary not in answer.data
    assert [line for line in map(JsonFormatter().format, caplog.records) if secret in line] == []
    assert all(each.status_code == 200 for each in shown)


def kept(stored: Stored) -> tuple[bytes, bytes]:
    """What of the only receipt's request is kept."""
    [receipt] = stored.receipts()
    return receipt.raw_query, receipt.raw_body


def test_all_but_the_secret_stays_byte_by_byte(app: flask.Flask, machine: Caller, stored: Stored) -> None:
    made = machine.post("/api/v1/sources", {"name": "N", "allowlist": ["203.0.113.0/24"], **TOKEN}).json
    token = made["secret"]["value"]

    app.test_client().get(f"/postback/{made['id']}?a=%41&&b&%74oken={token}&click_id=A%20B+C", environ_overrides=PEER)

    assert kept(stored) == (b"a=%41&&b&%74oken=-&click_id=A%20B+C", b"")


def test_what_a_source_reads_stays_in_what_it_refuses(new_network: Callable[..., Network], stored: Stored) -> None:
    network = new_network(parameters={"transaction_id": "token"})

    network.fire("token=T-1&api_key=12345678&payout=1.00&sig=00")

    assert kept(stored) == (b"token=T-1&api_key=-&payout=1.00&sig=00", b"")


def test_of_a_request_to_no_source_only_known_names_keep_their_values(app: flask.Flask, stored: Stored) -> None:
    path = f"/postback/{MISSPELT}"

    app.test_client().post(
        path, data='{"click_id": "A", "payout": 1.50, "who": "B", "key": [1, {"event": "x"}]}', environ_overrides=PEER
    )

    [receipt] = stored.receipts()
    assert (receipt.source_id, receipt.reason) == (MISSPELT, "unknown_source")
    assert receipt.raw_body == b'{"click_id":"A","payout":1.50,"who":"-","key":["-",{"event":"-"}]}'


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"", b""),
        (b'{"a": [1.10, true, null, "\\u00e9"], "a": 2}', b'{"a": [1.10, true, null, "\\u00e9"], "a": 2}'),
        (b'{"key": 1.10, "b": 1.10, "b": null}', b'{"key":"-","b":1.10,"b":null}'),
        (b"a=1&b=\xff%ff", b"a=1&b=\xff%ff"),
        (b"<xml>", b"(5 bytes that are neither JSON nor a form)"),
        (b"[" * 60_000, b"(60000 bytes that are neither JSON nor a form)"),
        (b'"whsec_AAECAwQFBgcICQoLDA0ODxAR"', b'"-"'),
    ],
)
def test_a_body_is_read_as_json_or_a_form_and_else_not_kept(raw: bytes, kept: bytes) -> None:
    assert redaction.body(raw, redaction.of_refused(None, (), ())) == kept


def test_every_presets_secret_has_a_place_that_is_cut() -> None:
    rule = redaction.of_unknown()
    places = {name: preset.verifier["parameter"] for name, preset in CATALOGUE.items() if preset.kind == "token"} | {
        "hotmart": "x-hotmart-hottok"
    }

    assert [name for name, place in places.items() if not rule.cuts(place)] == []


@pytest.mark.parametrize(
    "name", ["token", "API_Key", "apiKey", "secretKey", "key", "pass", "data[auth]", "Authorization"]
)
def test_usual_names_of_secrets_are_known(name: str) -> None:
    assert redaction.is_usual(name)


@pytest.mark.parametrize(
    "name", ["click_id", "monkey", "keyword", "author", "sig", "hash", "signature", "payout", "bypass"]
)
def test_names_of_no_secret_are_left_alone(name: str) -> None:
    assert not redaction.is_usual(name)


def test_a_line_about_a_path_that_leads_nowhere_keeps_all_but_a_token() -> None:
    token = "A" * 21 + "-" + "b" * 21

    assert redaction.path(f"/postbacks/src_1/{token}") == "/postbacks/src_1/-"
    assert json.dumps(redaction.path("/api/v1/nothing")) == '"/api/v1/nothing"'
