"""What a repeated key comes to at the door: words, policies and reversals, on both databases."""

from collections.abc import Callable

from payouts import jobs
from tests.postback.conftest import Network, Stored, Trade

NewNetwork = Callable[..., Network]
WORDS = {
    "ok": "approved",
    "wait": "pending",
    "no": "rejected",
    "back": "refunded",
    "cb": "charged_back",
    "t": "ignored",
}


def standing(stored: Stored) -> tuple[str, str | None, int | None]:
    [conversion] = stored.conversions()
    return conversion.state, conversion.hold_reason, conversion.payout_minor


def kinds(stored: Stored) -> list[str]:
    return [event.kind for event in stored.events()]


def test_a_word_that_waits_is_lifted_by_the_next_and_a_refund_takes_back(
    new_network: NewNetwork, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1")
    network = new_network(status_words=WORDS, dedupe_by="transaction_id")

    assert network.send(status="wait").json["status"] == "accepted"
    assert standing(stored) == ("recorded", "pending", 50)
    assert network.send(status="ok").json["status"] == "updated"
    assert standing(stored) == ("recorded", None, 50)
    assert network.send(status="back").json["status"] == "updated"
    assert network.send(status="back").json["status"] == "duplicate"
    assert standing(stored) == ("reversed", None, 50)
    assert kinds(stored) == ["recorded", "approved", "refunded"]
    jobs.accrue()
    assert standing(stored)[0] == "reversed"


def test_a_word_nobody_explained_is_held_and_a_test_call_leaves_a_receipt(
    new_network: NewNetwork, stored: Stored
) -> None:
    network = new_network(status_words=WORDS, dedupe_by="transaction_id", duplicates="add_event")

    assert network.send(status="t").json["status"] == "ignored"
    assert stored.conversions() == []
    network.send(status="strange")
    assert standing(stored) == ("unmatched", "unknown_status", 50)
    network.send(status="ok")
    assert standing(stored) == ("unmatched", None, 50)


def test_a_policy_says_what_other_money_comes_to(new_network: NewNetwork, stored: Stored) -> None:
    for number, (policy, status, payout_minor) in enumerate(
        [("ignore", "conflict", 50), ("update_amount", "updated", 80), ("update", "updated", 80),
         ("add_event", "updated", 130), ("update_status", "conflict", 50)]
    ):  # fmt: skip
        network = new_network(duplicates=policy)
        name = f"P{number}"
        network.send(transaction_id=name)

        answer = network.send(transaction_id=name, payout="0.80")
        again = network.send(transaction_id=name, payout="0.80")

        conversion = next(each for each in stored.conversions() if each.transaction_id == name)
        assert (answer.json["status"], conversion.payout_minor) == (status, payout_minor), policy
        assert again.json["status"] == ("conflict" if status == "conflict" else "duplicate"), policy


def test_reversals_are_known_by_prefix_sign_and_reference(new_network: NewNetwork, stored: Stored) -> None:
    for reversal, changes in (
        ({"kind": "prefix", "prefix": "r-"}, {"transaction_id": "r-TXN789"}),
        ({"kind": "negative"}, {"payout": "-0.50"}),
        ({"kind": "reference", "parameter": "parent"}, {"transaction_id": "OTHER", "parent": "TXN789"}),
    ):
        network = new_network(reversal=reversal)
        first = network.send().json

        answer = network.send(**changes)

        assert (answer.json["status"], answer.json["conversion_id"]) == ("updated", first["conversion_id"]), reversal
        assert network.send(**changes).json["status"] == "duplicate"
    assert [conversion.state for conversion in stored.conversions()] == ["reversed"] * 3


def test_two_refunds_of_a_part_with_ids_of_their_own_both_count(new_network: NewNetwork, stored: Stored) -> None:
    network = new_network(reversal={"kind": "reference", "parameter": "parent"})
    network.send(payout="1.00")

    for own_id in ("R1", "R2"):
        assert network.send(transaction_id=own_id, parent="TXN789", payout="0.30").json["status"] == "updated"

    assert standing(stored) == ("unmatched", None, 40)


def test_another_currency_is_never_added(new_network: NewNetwork, stored: Stored) -> None:
    network = new_network(duplicates="add_event")
    network.send()

    assert network.send(currency="EUR").json["status"] == "conflict"
    assert standing(stored) == ("unmatched", "conflict", 50)


def test_a_rejection_ends_what_nobody_paid_where_the_source_lets_words_count(
    new_network: NewNetwork, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1")
    network = new_network(status_words=WORDS, duplicates="update_status", dedupe_by="transaction_id")
    network.send(status="ok")

    assert network.send(status="no").json["status"] == "updated"
    assert standing(stored) == ("rejected", None, 50)
    assert network.send(status="ok", sub1="again").json["status"] == "conflict"
    assert standing(stored) == ("rejected", None, 50)
