"""Recording a batch: outcomes in order, each key once, whatever stands in it twice."""

from datetime import timedelta

from core.runtime import Runtime
from postback import content, recording
from postback.answers import Status
from postback.beliefs import Belief
from postback.content import Claim, Reading
from postback.receipts import Attempt
from tests.conftest import START
from tests.postback.conftest import Network, Stored, Trade


def belief(source_id: str, transaction_id: str, payout: str = "1.00", *, late: str = "") -> Belief:
    values = {"click_id": "CLICK-1", "transaction_id": transaction_id, "payout": payout, "currency": "EUR"}
    claim = content.read(values, Reading(), sent_at=START)
    assert isinstance(claim, Claim)
    return Belief(
        Attempt(source_id, "GET", "192.0.2.1", b"raw", START, started=0.0), "sec_1", "A", ["payout"], claim,
        claim.transaction_id, is_late=late != "", refuses_late=late == "refused",
    )  # fmt: skip


def test_a_batch_answers_in_order_and_records_each_key_once(
    network: Network, trade: Trade, stored: Stored, runtime: Runtime
) -> None:
    trade.click("CLICK-1", clicked_at=START - timedelta(days=1))
    source = network.source_id
    batch = [
        belief(source, "Z"), belief(source, "A"), belief(source, "Z"), belief(source, "Z", "2.00"),
        belief(source, "M", late="held"), belief(source, "N", late="refused"), belief(source, "A", late="refused"),
        belief(source, "Z", "2.00"),
    ]  # fmt: skip

    with runtime.transaction() as session:
        recorded = recording.record(runtime, session, batch)

    assert [each.status for each in recorded] == [
        Status.ACCEPTED, Status.ACCEPTED, Status.DUPLICATE, Status.CONFLICT,
        Status.HELD_LATE, Status.UNAUTHORISED, Status.DUPLICATE, Status.CONFLICT,
    ]  # fmt: skip
    assert recorded[2].receipt_id == recorded[3].receipt_id == recorded[0].receipt_id
    assert recorded[6].conversion_id == recorded[1].conversion_id
    assert [(c.transaction_id, c.hold_reason) for c in stored.conversions()] == [
        ("A", None), ("M", "late"), ("Z", "conflict"),
    ]  # fmt: skip
    assert len(stored.receipts()) == 8
    assert len(stored.events()) == 4


def test_nothing_of_a_batch_is_there_when_its_transaction_does_not_commit(
    network: Network, stored: Stored, runtime: Runtime
) -> None:
    with runtime.sessions() as session:
        recording.record(runtime, session, [belief(network.source_id, "A")])
        session.rollback()

    assert (stored.receipts(), stored.conversions(), stored.events()) == ([], [], [])
