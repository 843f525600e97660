"""What repeated postbacks come to at the door: policies, words, ways to take back, and orders of arrival."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from partners.models import CampaignTerms
from payouts import jobs
from payouts.models import Accrual
from tests.conftest import START
from tests.postback.conftest import Network, Stored, Trade

NewNetwork = Callable[..., Network]
POLICIES = ("ignore", "update_status", "update_amount", "update", "add_event")
# How a source tells a refund of the whole, and what is sent then.
REVERSALS: dict[str, tuple[dict[str, str], dict[str, str | None]]] = {
    "status": ({"kind": "status"}, {"status": "refunded"}),
    "prefix": ({"kind": "prefix", "prefix": "r-"}, {"transaction_id": "r-TXN789"}),
    "negative": ({"kind": "negative"}, {"payout": "-0.50"}),
    "reference": ({"kind": "reference", "parameter": "orig"}, {"transaction_id": "OTHER", "orig": "TXN789"}),
}


@pytest.fixture
def by_id(new_network: NewNetwork, trade: Trade) -> NewNetwork:
    """Make a network whose transactions are one conversion each, with a click that fits."""
    trade.click("CLICK-1")

    def made(**settings: Any) -> Network:
        return new_network(dedupe_by="transaction_id", **settings)

    return made


@pytest.fixture
def by_event(new_network: NewNetwork, trade: Trade) -> Network:
    """A network whose refunds have an event of their own."""
    trade.click("CLICK-1")
    return new_network(dedupe_by="transaction_event", reversal={"kind": "status"})


def standing(stored: Stored) -> list[tuple[str, str | None, int | None]]:
    return sorted(
        (each.state, each.hold_reason, each.payout_minor) for each in stored.conversions()
    )  # fmt: skip


def kinds(stored: Stored) -> list[str]:
    return [event.kind for event in stored.events()]


def statuses(*answers: Any) -> list[str]:
    return [answer.json["status"] for answer in answers]


@pytest.mark.parametrize("way", REVERSALS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_refund_takes_back_under_every_policy_and_told_again_it_is_a_duplicate(
    by_id: NewNetwork, stored: Stored, policy: str, way: str
) -> None:
    reversal, refund = REVERSALS[way]
    network = by_id(duplicates=policy, reversal=reversal)

    answers = statuses(network.send(), network.send(**refund), network.send(**refund))

    assert answers == ["accepted", "updated", "duplicate"]
    assert standing(stored) == [("reversed", None, 50)]
    assert kinds(stored) == ["recorded", "refunded"]


@pytest.mark.parametrize("way", REVERSALS)
def test_a_refund_before_its_sale_leaves_nothing_owed(by_id: NewNetwork, stored: Stored, way: str) -> None:
    reversal, refund = REVERSALS[way]
    network = by_id(reversal=reversal)

    answers = statuses(network.send(**refund), network.send())

    assert answers == ["accepted", "conflict"]
    assert standing(stored) == [("reversed", None, 50)]


@pytest.mark.parametrize(
    ("policy", "money", "answer", "after"),
    [
        ("ignore", "2.00", "conflict", ("recorded", "conflict", 50)),
        ("update_status", "2.00", "conflict", ("recorded", "conflict", 50)),
        ("update_amount", "2.00", "updated", ("recorded", None, 200)),
        ("update", "0.20", "updated", ("recorded", None, 20)),
        ("add_event", "2.00", "updated", ("recorded", None, 250)),
    ],
)
def test_other_money_is_what_the_policy_makes_of_it(
    by_id: NewNetwork, stored: Stored, *, policy: str, money: str, answer: str, after: tuple[str, str | None, int]
) -> None:
    network = by_id(duplicates=policy)

    assert statuses(network.send(), network.send(payout=money)) == ["accepted", answer]
    assert standing(stored) == [after]


@pytest.mark.parametrize("policy", POLICIES)
def test_another_currency_is_a_conflict_under_every_policy(by_id: NewNetwork, stored: Stored, policy: str) -> None:
    network = by_id(duplicates=policy)

    assert statuses(network.send(), network.send(payout="2.00", currency="EUR")) == ["accepted", "conflict"]
    assert standing(stored) == [("recorded", "conflict", 50)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("first", ["pending", "martian"])
def test_the_word_that_was_awaited_approves_once_and_a_refund_may_follow(
    by_id: NewNetwork, stored: Stored, policy: str, first: str
) -> None:
    network = by_id(duplicates=policy, reversal={"kind": "status"})
    hold = {"pending": "pending", "martian": "unknown_status"}[first]

    network.send(status=first)
    assert standing(stored) == [("recorded", hold, 50)]
    network.send(status="approved")
    assert standing(stored) == [("recorded", None, 50)]
    network.send(status="refunded")

    assert standing(stored) == [("reversed", None, 50)]
    assert kinds(stored) == ["recorded", "approved", "refunded"]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_was_pending_may_be_rejected_and_is_never_approved_again(
    by_id: NewNetwork, stored: Stored, policy: str
) -> None:
    network = by_id(duplicates=policy)

    answers = statuses(*(network.send(status=word) for word in ("pending", "rejected", "approved")))

    assert answers == ["accepted", "updated", "conflict"]
    assert standing(stored) == [("rejected", None, 50)]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_ignored_word_leaves_a_receipt_and_nothing_else(by_id: NewNetwork, stored: Stored, policy: str) -> None:
    network = by_id(duplicates=policy)

    assert statuses(network.send(status="test"), network.send(), network.send(status="test")) == [
        "ignored", "accepted", "ignored",
    ]  # fmt: skip
    assert kinds(stored) == ["recorded"]
    assert sorted(receipt.outcome for receipt in stored.receipts()) == ["accepted", "ignored", "ignored"]


def test_two_refunds_of_the_same_part_with_ids_of_their_own_take_back_twice(by_id: NewNetwork, stored: Stored) -> None:
    network = by_id(reversal={"kind": "reference", "parameter": "orig"})
    part = {"payout": "0.20", "orig": "TXN789"}

    answers = [network.send(), *(network.send(transaction_id=own, **part) for own in ("R1", "R2", "R1"))]

    assert statuses(*answers) == ["accepted", "updated", "updated", "duplicate"]
    assert standing(stored) == [("recorded", None, 10)]


def test_a_refund_with_an_event_of_its_own_takes_back_the_transactions_sale(by_event: Network, stored: Stored) -> None:
    refund = {"event": "refund", "status": "refunded"}

    answers = statuses(by_event.send(), by_event.send(**refund), by_event.send(**refund))

    assert answers == ["accepted", "updated", "duplicate"]
    assert standing(stored) == [("reversed", None, 50)]


def test_a_sale_after_its_refund_waits_for_a_person_and_a_chargeback_then_takes_it_back(
    by_event: Network, stored: Stored, runtime: Runtime
) -> None:
    refund = {"event": "refund", "status": "refunded"}

    assert statuses(by_event.send(**refund), by_event.send(), by_event.send(**refund), by_event.send()) == [
        "accepted", "accepted", "duplicate", "duplicate",
    ]  # fmt: skip
    assert standing(stored) == [("recorded", "conflict", 50), ("reversed", None, 50)]
    jobs.accrue()
    assert "accrued" not in kinds(stored)

    assert statuses(by_event.send(event="chargeback", status="chargeback")) == ["updated"]
    assert standing(stored) == [("reversed", None, 50), ("reversed", None, 50)]


def test_another_transaction_is_not_held_for_it(by_event: Network, stored: Stored) -> None:
    by_event.send(event="refund", status="refunded", transaction_id="A")
    by_event.send(transaction_id="B")

    assert standing(stored) == [("recorded", None, 50), ("reversed", None, 50)]


def test_from_the_door_to_the_books_a_part_and_then_the_rest_is_taken_back(
    by_id: NewNetwork, stored: Stored, runtime: Runtime
) -> None:
    network = by_id(reversal={"kind": "negative"})
    with runtime.transaction() as session:
        _terms(session)
    network.send()
    jobs.accrue()

    for payout in ("-0.20", "-0.30"):
        network.send(payout=payout)
        jobs.accrue()

    assert kinds(stored) == ["recorded", "accrued", "refunded", "accrued", "refunded", "accrued"]
    assert _accrued(runtime) == [-30, -20, 50]
    assert [(each.state, each.is_accrual_due) for each in stored.conversions()] == [("reversed", False)]


def _terms(session: Any) -> None:
    session.add(CampaignTerms(campaign_id="cmp_one", version=1, kind="told", starts_at=START, created_at=START))


def _accrued(runtime: Runtime) -> list[int]:
    with runtime.reading() as session:
        return sorted(session.scalars(sa.select(Accrual.amount_minor)))
