"""A pasted request is judged as the door would, with the reason, and nothing is recorded."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from core.runtime import Runtime
from tests.conftest import Caller, TestClock
from tests.postback.conftest import NOW_S, Network, Stored, Trade, rotate, secret_ids

SignIn = Callable[..., Caller]


def judged(admin: Caller, network: Network, query: str, **more: Any) -> Any:
    url = f"https://clicks.example/postback/{network.source_id}?{query}"
    answer = admin.post(f"/api/v1/sources/{network.source_id}/validate", {"method": "GET", "url": url, **more})
    assert answer.status_code == 200, answer.text
    return answer.json


def says(report: Any) -> str:
    return "; ".join(check["says"] for check in report["checks"] if check["ok"] is False)


def test_a_good_request_is_believed_and_recorded_nowhere(
    network: Network, sign_in: SignIn, stored: Stored, trade: Trade
) -> None:
    trade.click("CLICK-1")
    admin = sign_in("admin")

    first = judged(admin, network, network.signed(), peer="203.0.113.7")
    assert (first["verdict"], first["answer"]) == ("believed", {"code": 200, "status": "accepted"})
    assert (first["claim"]["payout"], first["claim"]["meaning"], first["repeats"]) == ("0.50 GBP", "approved", None)
    assert (stored.receipts(), stored.conversions()) == ([], [])

    sent = network.send().json
    again = judged(admin, network, network.signed())
    assert (again["answer"]["status"], again["repeats"]) == ("duplicate", sent["conversion_id"])


def secret_ids_of(runtime: Runtime, source_id: str) -> list[str]:
    with runtime.reading() as session:
        return secret_ids(session, source_id)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {}),
        ({}, {"payout": "9.00"}),
        ({}, {"transaction_id": "T2", "payout": "x"}),
        ({}, {"ts": str(NOW_S - 3600)}),
        ({}, {"transaction_id": "T3", "ts": str(NOW_S - 3600)}),
        ({}, {"ts": str(NOW_S + 121)}),
        ({"status": "pending"}, {"status": "approved"}),
        ({}, {"status": "refunded"}),
        ({"status": "test"}, {"status": "test"}),
    ],
    ids=str,
)
def test_the_verdict_is_what_the_door_then_says_and_nothing_is_left_behind(
    new_network: Callable[..., Network], sign_in: SignIn, stored: Stored, first: Any, then: Any
) -> None:
    network, admin = new_network(duplicates="update_status", reversal={"kind": "status"}), sign_in("admin")
    network.send(**first)
    before = (len(stored.receipts()), len(stored.events()), [each.version for each in stored.conversions()])

    report = judged(admin, network, network.signed(**then))

    assert (len(stored.receipts()), len(stored.events()), [each.version for each in stored.conversions()]) == before
    heard = network.send(**then)
    assert report["answer"] == {"code": heard.status_code, "status": heard.json["status"]}
    is_repeated = heard.json["status"] in {"duplicate", "conflict", "updated"}
    assert report["repeats"] == (heard.json["conversion_id"] if is_repeated else None)


def test_each_mistake_is_named(
    new_network: Callable[..., Network], sign_in: SignIn, runtime: Runtime, clock: TestClock
) -> None:
    network, other = new_network(), new_network()
    admin, query = sign_in("admin"), network.query(click_id="A%20B")

    def signed(message: str, key: bytes = network.key) -> str:
        return f"{query}&sig={hmac.new(key, message.encode(), hashlib.sha256).hexdigest()}"

    text = b"whsec_" + base64.b64encode(network.key)
    head = f"pb1\nGET\n/postback/{network.source_id}\n"
    for wrong, hint in (
        (signed(query), "the query alone was signed"),
        (signed(head + query.replace("%20", " ")), "the decoded query was signed"),
        (signed(head + query.replace("%20", "+")), "encoded in another way"),
        (signed(head.replace(network.source_id, other.source_id) + query), f"for another source, {other.source_id}"),
        (signed(head + query, text), "the secret's text was used as the key"),
        (signed(head + query).replace("&sig=", "&sig=&sig="), "`sig` comes more than once"),
        (query + "&sig=" + signed(head + query)[-64:].upper(), "upper-case digits"),
        (signed(head + query, b"another key"), "another key, or over other bytes"),
        (query, "there is no proof"),
        (f"sig={'0' * 64}&{query}", "`sig` is not the last parameter"),
    ):
        report = judged(admin, network, wrong)
        assert (report["verdict"], report["answer"]["code"]) == ("refused", 401)
        assert hint in says(report), (hint, report)

    good = signed(head + query)
    clock.advance(seconds=1)  # ids of one millisecond come in any order
    rotate(runtime, network.source_id, overlap_days=1)
    clock.advance(days=2)
    admin = sign_in("admin")
    [first, _] = secret_ids_of(runtime, network.source_id)
    assert f"{first}, which is past its overlap" in says(judged(admin, network, good))
    assert admin.delete(f"/api/v1/sources/{network.source_id}/secrets/{first}").status_code == 200
    assert f"{first}, which is revoked" in says(judged(admin, network, good))


def test_address_state_time_and_faults_are_looked_at_in_the_doors_order(
    new_network: Callable[..., Network], sign_in: SignIn, clock: TestClock
) -> None:
    network, admin = new_network(allowlist=["192.0.2.0/24"], stale="reject"), sign_in("admin")
    invalid = judged(admin, network, network.signed(payout="x"))
    assert (invalid["verdict"], invalid["answer"]["code"]) == ("invalid", 422)
    assert [fault["field"] for fault in invalid["faults"]] == ["payout"]

    outside = judged(admin, network, network.signed(), peer="203.0.113.7")
    assert (outside["reason"], says(outside)) == ("address_not_allowed", "203.0.113.7 is not in the allowlist")
    early = judged(admin, network, network.signed(ts="1999999999"))
    assert early["reason"] == "from_the_future"
    clock.advance(hours=1)
    assert judged(admin, network, network.signed())["reason"] == "stale"


def test_it_is_for_admins_and_tells_no_secret(network: Network, sign_in: SignIn, machine: Caller) -> None:
    path = f"/api/v1/sources/{network.source_id}/validate"
    body = {"method": "GET", "url": f"/postback/{network.source_id}?{network.query()}&sig={'0' * 64}"}

    assert machine.post(path, body).status_code == 403
    assert sign_in("finance").post(path, body).status_code == 403
    told = sign_in("admin").post(path, body).text
    right = network.signed().rpartition("=")[2]
    assert right not in told
    assert network.key.hex() not in told
    assert sign_in("admin").post(path, {"method": "GET", "url": "/elsewhere"}).status_code == 422
