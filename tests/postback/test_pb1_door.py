"""GET /postback/<source_id>: who is believed, who is not, and what each hears."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from partners import secrets
from partners.models import Source, SourceSecret
from postback.models import Receipt
from tests.conftest import START, Answer, TestClock
from tests.postback.conftest import NOW_S, TESTS, Network, Stored, Trade, rotate, secret_ids, sign_pb1

REFUSED = b'{"status": "unauthorised"}'


def set_state(runtime: Runtime, source_id: str, state: str) -> None:
    with runtime.transaction() as session:
        session.execute(sa.update(Source).where(Source.id == source_id).values(state=state))


def is_refusal(answer: Answer) -> bool:
    return answer.status_code == 401 and answer.data == REFUSED and answer.headers["Cache-Control"] == "no-store"


def test_a_new_postback_is_recorded_with_its_receipt_and_first_event(
    network: Network, trade: Trade, stored: Stored
) -> None:
    click = trade.click("CLICK-1")

    answer = network.send(sub1="news", amount="20.00")

    [receipt], [conversion], [event] = stored.receipts(), stored.conversions(), stored.events()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json == {"status": "accepted", "receipt_id": receipt.id, "conversion_id": conversion.id}
    assert (receipt.verdict, receipt.outcome, receipt.assurance, receipt.reason) == ("believed", "accepted", "A", None)
    assert receipt.covered_fields == ["amount", "click_id", "currency", "payout", "sub1", "transaction_id", "ts"]
    assert receipt.raw_query.decode() == network.signed(sub1="news", amount="20.00")
    assert (receipt.peer, receipt.method, receipt.conversion_id) == ("203.0.113.7", "GET", conversion.id)
    assert (conversion.state, conversion.hold_reason, conversion.receipt_id) == ("recorded", None, receipt.id)
    assert (conversion.click_id, conversion.affiliate_id, conversion.campaign_id) == (click, "aff_one", "cmp_one")
    assert (conversion.payout_minor, conversion.amount_minor, conversion.currency) == (50, 2000, "GBP")
    assert (conversion.occurred_at, conversion.subs) == (START, {"sub1": "news"})
    assert (event.kind, event.seq, event.actor_id, event.receipt_id) == ("recorded", 1, "intake", receipt.id)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_refusal_has_one_public_body_and_its_own_stored_reason(
    new_network: Callable[..., Network], stored: Stored, clock: TestClock, method: str
) -> None:
    network = new_network(allowlist=["203.0.113.0/24"])
    signed = network.signed()
    other = new_network(name="Other")

    def fire(query: str, **changes: str) -> Answer:
        clock.advance(milliseconds=1)  # receipts are numbered by their time
        sender = replace(network, source_id=changes.get("source", network.source_id))
        sender.peer = changes.get("peer", network.peer)
        return sender.fire(query, method=method, data=b"{}" if method == "POST" else None)

    answers = [
        fire(signed, source="src_unknown"),
        fire(signed, source="src;1"),
        fire(signed, source="x" * 300),
        fire(signed, peer="198.51.100.1"),
        *([fire(signed)] if method == "POST" else []),
        fire(network.query()),
        fire(signed[:-1]),
        fire(signed.replace("0.50", "9.50")),
        fire(signed.replace("TXN789", "TXN78%39")),
        fire(signed.replace("click_id=CLICK-1&transaction_id=TXN789", "transaction_id=TXN789&click_id=CLICK-1")),
        fire(signed, source=other.source_id),
        fire(network.signed(ts=str(NOW_S + 121))),
    ]

    assert all(is_refusal(answer) for answer in answers), [(a.status_code, a.data) for a in answers]
    assert len({(a.data, a.mimetype, tuple(sorted(n for n in a.headers))) for a in answers}) == 1
    expected = ["unknown_source"] * 3 + ["address_not_allowed"]
    if method == "POST":
        expected += ["wrong_method"] * 8
    else:
        expected += ["signature_missing", "signature_malformed"] + ["bad_signature"] * 4 + ["from_the_future"]
    assert stored.reasons() == expected
    assert {(r.verdict, r.outcome, r.assurance) for r in stored.receipts()} == {("refused", "unauthorised", "E")}
    assert stored.conversions() == []


def test_the_same_postback_again_is_a_duplicate_with_the_first_ids(
    network: Network, trade: Trade, stored: Stored, clock: TestClock
) -> None:
    trade.click("CLICK-1")
    first = network.send()
    clock.advance(seconds=5)

    again, resigned = network.send(), network.send(ts=str(NOW_S + 5), payout="0.5")

    expected = {**first.json, "status": "duplicate"}
    assert [(a.status_code, a.json) for a in (again, resigned)] == [(200, expected), (200, expected)]
    assert len(stored.conversions()) == len(stored.events()) == 1
    assert [(r.outcome, r.conversion_id) for r in stored.receipts()] == [
        ("accepted", first.json["conversion_id"]),
        ("duplicate", first.json["conversion_id"]),
        ("duplicate", first.json["conversion_id"]),
    ]


def test_other_content_under_the_same_key_is_a_conflict_that_holds_the_first_one_once(
    network: Network, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1")
    first = network.send()

    answers = [network.send(payout="9.50"), network.send(payout="9.50"), network.send(payout="7.00"), network.send()]

    assert [(a.status_code, a.json["status"]) for a in answers] == [
        (200, "conflict"), (200, "conflict"), (200, "conflict"), (200, "duplicate"),
    ]  # fmt: skip
    assert {a.json["conversion_id"] for a in answers} == {first.json["conversion_id"]}
    [conversion] = stored.conversions()
    assert (conversion.payout_minor, conversion.state, conversion.hold_reason) == (50, "recorded", "conflict")
    assert conversion.version == 3
    assert [(e.seq, e.kind) for e in stored.events()] == [(1, "recorded"), (2, "conflicted"), (3, "conflicted")]
    assert stored.events()[1].details["told"]["payout"] == "9.50 GBP"


def test_an_unknown_click_is_unmatched(network: Network, stored: Stored) -> None:
    answer = network.send(click_id="NOBODY")

    assert (answer.status_code, answer.json["status"]) == (200, "unmatched")
    [conversion] = stored.conversions()
    assert (conversion.state, conversion.click_id, conversion.claimed_click_id) == ("unmatched", None, "NOBODY")


def test_a_conversion_outside_the_campaigns_window_is_accepted_and_held(
    network: Network, trade: Trade, stored: Stored
) -> None:
    trade.click("IN", clicked_at=START - timedelta(days=30))
    trade.click("OUT", clicked_at=START - timedelta(days=30, seconds=1))

    inside, outside = network.send(click_id="IN", transaction_id="1"), network.send(click_id="OUT", transaction_id="2")

    assert [inside.json["status"], outside.json["status"]] == ["accepted", "accepted"]
    assert [c.hold_reason for c in stored.conversions()] == [None, "outside_window"]


def test_a_postback_exactly_at_the_age_limit_is_believed_and_one_second_past_it_is_held(
    network: Network, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1", clicked_at=START - timedelta(days=1))

    at_limit = network.send(transaction_id="1", ts=str(NOW_S - 1800))
    past_it = network.send(transaction_id="2", ts=str(NOW_S - 1801))
    ahead = network.send(transaction_id="3", ts=str(NOW_S + 120))
    too_far_ahead = network.send(transaction_id="4", ts=str(NOW_S + 121))

    assert [(a.status_code, a.json["status"]) for a in (at_limit, past_it, ahead)] == [
        (200, "accepted"), (202, "held_late"), (200, "accepted"),
    ]  # fmt: skip
    assert is_refusal(too_far_ahead)
    assert [(c.transaction_id, c.state, c.hold_reason) for c in stored.conversions()] == [
        ("1", "recorded", None), ("2", "recorded", "late"), ("3", "recorded", None),
    ]  # fmt: skip


def test_a_late_one_that_was_seen_is_a_duplicate_whatever_the_source_wants_with_late_ones(
    new_network: Callable[..., Network], stored: Stored, clock: TestClock
) -> None:
    rejecting = new_network(stale="reject")
    first = rejecting.send()
    clock.advance(hours=3)

    seen = rejecting.send()
    clock.advance(seconds=1)
    unseen = rejecting.send(transaction_id="NEW")

    assert (seen.status_code, seen.json) == (200, {**first.json, "status": "duplicate"})
    assert is_refusal(unseen)
    assert stored.reasons() == [None, None, "stale"]
    assert len(stored.conversions()) == 1


def test_a_signed_but_faulty_postback_hears_every_fault_and_leaves_a_receipt(network: Network, stored: Stored) -> None:
    answer = network.send(click_id=None, payout="1.005", currency="EUR", occurred_at="soon", ts="176722560", x="%ff")

    [receipt] = stored.receipts()
    fields = {"click_id", "payout", "occurred_at", "ts", "x"}
    assert answer.status_code == 422
    assert (answer.json["status"], answer.json["receipt_id"]) == ("invalid", receipt.id)
    assert {fault["field"] for fault in answer.json["errors"]} == fields
    assert all(field in answer.json["reason"] for field in fields)
    assert (receipt.verdict, receipt.outcome, {fault["field"] for fault in receipt.faults}) == (
        "believed", "invalid", fields,
    )  # fmt: skip
    assert stored.conversions() == []


def test_a_repeated_parameter_is_invalid_and_never_silently_the_first(network: Network, stored: Stored) -> None:
    query = sign_pb1(network.key, network.source_id, network.query() + "&payout=99.00")

    answer = network.fire(query)

    assert (answer.status_code, answer.json["errors"]) == (
        422, [{"field": "payout", "reason": "comes more than once"}],
    )  # fmt: skip
    assert stored.conversions() == []


def test_the_sources_own_names_currency_and_key_count(new_network: Callable[..., Network], stored: Stored) -> None:
    network = new_network(
        parameters={"click_id": "aff_sub", "transaction_id": "order", "ts": "time"},
        default_currency="JPY",
        dedupe_by="click_event",
    )
    query = f"aff_sub=C1&order=O1&payout=50&click_id=ignored&time={NOW_S}"

    answer = network.fire(sign_pb1(network.key, network.source_id, query))

    assert answer.json["status"] == "unmatched"
    [conversion] = stored.conversions()
    assert (conversion.claimed_click_id, conversion.transaction_id, conversion.payout_minor) == ("C1", "O1", 50)
    assert (conversion.currency, conversion.dedupe_key) == ("JPY", "C1\x1fsale")


def test_both_secrets_count_during_a_rotation_and_the_old_one_ends_with_it(
    network: Network, runtime: Runtime, clock: TestClock
) -> None:
    old = network.key
    new = rotate(runtime, network.source_id, overlap_days=7)

    def send(key: bytes) -> int:
        seconds = str(int(clock.now.timestamp()))
        return network.fire(sign_pb1(key, network.source_id, network.query(ts=seconds))).status_code

    assert [send(old), send(new)] == [200, 200]
    clock.advance(days=7)
    assert [send(old), send(new)] == [401, 200]


def test_a_revoked_secret_is_refused_at_once(network: Network, runtime: Runtime, stored: Stored) -> None:
    with runtime.transaction() as session:
        [secret_id] = secret_ids(session, network.source_id)
        secrets.revoke(runtime, session, network.source_id, secret_id, actor=TESTS)

    assert is_refusal(network.send())
    assert stored.reasons() == ["bad_signature"]


def test_a_secrets_use_is_noted_once_a_minute(network: Network, runtime: Runtime, clock: TestClock) -> None:
    def noted() -> object:
        with runtime.reading() as session:
            return session.scalars(sa.select(SourceSecret.last_used_at)).one()

    network.send(transaction_id="1")
    clock.advance(seconds=59)
    network.send(transaction_id="2")
    assert noted() == START
    clock.advance(seconds=1)
    network.send(transaction_id="3")
    assert noted() == START + timedelta(minutes=1)


def test_the_allowlist_folds_mapped_addresses_and_no_header_passes_it(new_network: Callable[..., Network]) -> None:
    network = new_network(allowlist=["203.0.113.7/32", "2001:db8::/32"])

    def code(peer: str, transaction_id: str, **headers: str) -> int:
        return network.fire(
            network.signed(transaction_id=transaction_id),
            environ_overrides={"REMOTE_ADDR": peer},
            headers=headers,
        ).status_code

    assert [code("203.0.113.7", "1"), code("::ffff:203.0.113.7", "2"), code("2001:db8::9", "3")] == [200, 200, 200]
    assert code("203.0.113.8", "4", **{"X-Forwarded-For": "203.0.113.7"}) == 401


def test_head_and_options_record_nothing(network: Network, stored: Stored) -> None:
    head = network.fire(network.signed(), method="HEAD")
    options = network.fire(network.signed(), method="OPTIONS")

    assert (head.status_code, head.headers["Allow"]) == (405, "GET, OPTIONS, POST")
    assert options.status_code == 200
    assert (stored.receipts(), stored.conversions()) == ([], [])


def test_a_query_above_eight_kibibytes_is_too_long(network: Network, stored: Stored) -> None:
    filler = "&".join(f"f{number}={'x' * 250}" for number in range(40))

    answer = network.fire(sign_pb1(network.key, network.source_id, network.query() + "&" + filler))

    assert (answer.status_code, answer.json) == (414, {"status": "line_too_long"})
    assert stored.receipts() == []


def test_a_paused_or_removed_source_says_so_to_its_own_network_alone(
    network: Network, runtime: Runtime, stored: Stored
) -> None:
    set_state(runtime, network.source_id, "paused")
    paused = network.send()
    set_state(runtime, network.source_id, "removed")
    removed = network.send()

    assert (paused.status_code, paused.json, paused.headers["Retry-After"]) == (503, {"status": "paused"}, "300")
    assert (removed.status_code, removed.json) == (410, {"status": "removed"})
    assert is_refusal(network.fire(network.query() + "&sig=" + "0" * 64))
    assert [r.reason for r in stored.receipts()] == ["bad_signature"]


def test_a_source_sends_as_fast_as_its_rate_and_is_told_when_to_come_back(
    new_network: Callable[..., Network], stored: Stored, clock: TestClock
) -> None:
    network = new_network()
    with stored.runtime.transaction() as session:
        session.execute(sa.update(Source).values(rate_per_second=1, rate_burst=2))

    codes = [network.send(transaction_id=str(number)) for number in range(3)]

    assert [answer.status_code for answer in codes] == [200, 200, 429]
    assert (codes[2].json, codes[2].headers["Retry-After"]) == ({"status": "too_many"}, "1")
    assert len(stored.receipts()) == 2
    clock.advance(seconds=1)
    assert network.send(transaction_id="3").status_code == 200


def test_who_proves_nothing_is_slowed_down_by_address_and_slows_no_network_down(
    network: Network, stored: Stored
) -> None:
    forged = network.query() + "&sig=" + "0" * 64

    codes = [network.fire(forged).status_code for _ in range(51)]
    elsewhere = network.fire(forged, environ_overrides={"REMOTE_ADDR": "198.51.100.1"})

    assert codes == [401] * 50 + [429]
    assert elsewhere.status_code == 401
    assert network.send().status_code == 200


def test_of_refused_attempts_a_bounded_sample_of_bounded_size_is_kept(
    network: Network, stored: Stored, clock: TestClock
) -> None:
    forged = f"{network.query()}&x={'x' * 5000}&sig={'0' * 64}"

    for number in range(100):
        answer = network.fire(forged, environ_overrides={"REMOTE_ADDR": f"198.51.100.{number}"})
        assert is_refusal(answer)

    kept = stored.receipts()
    assert len(kept) == 60
    assert {len(receipt.raw_query) for receipt in kept} == {2048}
    clock.advance(seconds=5)
    for _ in range(10):
        network.fire(forged)
    assert len(stored.receipts()) == 65


def test_the_raw_request_reaches_no_log(
    network: Network, trade: Trade, caplog: pytest.LogCaptureFixture, runtime: Runtime
) -> None:
    caplog.set_level("DEBUG")
    trade.click("CLICK-1")

    for answer in (network.send(), network.fire(network.query() + "&sig=zz"), network.send(payout="x")):
        assert answer.status_code in {200, 401, 422}

    lines = "\n".join(
        str(record.__dict__) for record in caplog.records if record.name.startswith(("click", "postback"))
    )
    # Its receipt is a postback's log. What a log line may still say of one is that there was an outage.
    for secret in ("TXN789", "payout", "sig="):
        assert secret not in lines
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Receipt)) == 3
