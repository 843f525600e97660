"""Receipts are sealed, kept as long as the setting says, and go by month where the table has parts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core import partitions
from core import runtime as runtimes
from core.ids import token
from core.runtime import Runtime
from postback import jobs, seals
from postback.models import Receipt, ReceiptSeal
from tests.conftest import TestClock
from tests.postback.conftest import Network, Stored
from web.jobs import purge


@pytest.fixture
def quarter(runtime: Runtime) -> Runtime:
    """The runtime with a retention of 90 days, installed."""
    kept = replace(runtime, receipt_retention=timedelta(days=90))
    runtimes.install(kept)
    return kept


def break_of(runtime: Runtime) -> tuple[int, str | None]:
    with runtime.reading() as session:
        kept_since = runtime.clock() - runtime.receipt_retention
        held, broken = seals.first_break(session, kept_since=kept_since)
    return held, broken.reason if broken else None


def fire(network: Network, clock: TestClock, count: int, name: str = "T") -> None:
    for number in range(count):
        clock.advance(seconds=1)
        answer = network.send(transaction_id=f"{name}{number}", ts=str(int(clock.now.timestamp())))
        assert answer.status_code == 200


def test_receipts_are_sealed_two_minutes_later_each_once(network: Network, clock: TestClock, runtime: Runtime) -> None:
    fire(network, clock, 3)
    jobs.seal_receipts()
    assert break_of(runtime) == (0, None)

    clock.advance(minutes=3)
    jobs.seal_receipts()
    fire(network, clock, 2, "U")
    clock.advance(minutes=3)
    jobs.seal_receipts()
    jobs.seal_receipts()

    with runtime.reading() as session:
        assert list(session.scalars(sa.select(ReceiptSeal.receipts).order_by(ReceiptSeal.seq))) == [3, 2]
    assert break_of(runtime) == (2, None)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE receipts SET outcome = 'duplicate' WHERE id = :id", "has a receipt that was changed since"),
        ("UPDATE receipts SET raw_query = raw_body WHERE id = :id", "has a receipt that was changed since"),
        ("DELETE FROM receipts WHERE id = :id", "has 1 receipts removed since"),
    ],
)
def test_a_seal_tells_a_receipt_that_was_touched(  # noqa: PLR0917 - fixtures
    network: Network, clock: TestClock, runtime: Runtime, stored: Stored, statement: str, reason: str
) -> None:
    fire(network, clock, 3)
    clock.advance(minutes=3)
    jobs.seal_receipts()

    with runtime.transaction() as session:
        session.execute(sa.text(statement), {"id": stored.receipts()[1].id})

    assert break_of(runtime) == (0, reason)


def test_what_is_past_its_retention_goes_once_it_is_sealed_and_the_chain_still_holds(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    fire(network, clock, 2)
    clock.advance(days=130)
    purge()
    assert len(stored.receipts()) == 2  # not sealed yet

    jobs.seal_receipts()
    fire(network, clock, 1, "U")
    clock.advance(minutes=3)
    jobs.seal_receipts()
    purge()

    assert [receipt.dedupe_key for receipt in stored.receipts()] == ["U0\x1fsale"]
    assert len(stored.conversions()) == 3
    assert break_of(quarter) == (2, None)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_months_to_come_have_parts_and_what_came_before_them_moves_in(runtime: Runtime, clock: TestClock) -> None:
    clock.now = datetime(2031, 3, 15, tzinfo=UTC)
    early = f"rcp_{token(datetime(2031, 5, 20, tzinfo=UTC))}"
    with runtime.transaction() as session:
        session.execute(sa.insert(Receipt).values(**_receipt(early)))

    purge()
    purge()

    with runtime.reading() as session:
        names = {part.name for part in partitions.parts(session, "receipts")}
        where = session.execute(sa.text("SELECT tableoid::regclass::text FROM receipts")).scalar_one()
    assert {"receipts_2031_04", "receipts_2031_05", "receipts_2031_06"} <= names
    assert where == "receipts_2031_05"


def _receipt(receipt_id: str) -> dict[str, object]:
    return {
        "id": receipt_id, "received_at": datetime(2031, 5, 20, tzinfo=UTC), "source_id": "src_1", "peer": "",
        "method": "GET", "raw_query": b"", "raw_body": b"", "signature_headers": {}, "verdict": "refused",
        "faults": [], "assurance": "E", "covered_fields": [], "outcome": "unauthorised", "latency_us": 1,
    }  # fmt: skip
