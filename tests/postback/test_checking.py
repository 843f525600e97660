"""A pasted request is judged as the door would, with the reason, and nothing is recorded."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from core.runtime import Runtime
from tests.conftest import Caller, TestClock
from tests.postback.conftest import Network, Stored, Trade, rotate

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


def test_each_mistake_is_named(network: Network, sign_in: SignIn, runtime: Runtime, clock: TestClock) -> None:
    admin, query = sign_in("admin"), network.query(click_id="A%20B")

    def signed(message: str, key: bytes = network.key) -> str:
        return f"{query}&sig={hmac.new(key, message.encode(), hashlib.sha256).hexdigest()}"

    head = f"pb1\nGET\n/postback/{network.source_id}\n"
    for wrong, hint in (
        (signed(query), "the query alone was signed"),
        (signed(head + query.replace("%20", " ")), "the decoded query was signed"),
        (signed(head + query.replace("%20", "+")), "a space is written"),
        (signed(head + query, b"another key"), "another key, or over other bytes"),
        (query, "there is no proof"),
        (f"sig={'0' * 64}&{query}", "`sig` is the last parameter"),
    ):
        report = judged(admin, network, wrong)
        assert (report["verdict"], report["answer"]["code"]) == ("refused", 401)
        assert hint in says(report), (hint, report)

    good = signed(head + query)
    rotate(runtime, network.source_id, overlap_days=1)
    clock.advance(days=2)
    assert "revoked or has ended" in says(judged(sign_in("admin"), network, good))


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
