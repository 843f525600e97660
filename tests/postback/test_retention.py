"""Receipts are sealed, kept as long as the setting says, and go by month where the table has parts."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import partitions
from core import runtime as runtimes
from core.audit import AuditEntry
from core.database import oldest_write_s
from core.ids import first_token, token
from core.runtime import Runtime
from postback import jobs, retention, seals
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
        held, broken = seals.first_break(session)
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


def purged(runtime: Runtime) -> list[dict[str, Any]]:
    """What the audit log says about purges."""
    with runtime.reading() as session:
        statement = sa.select(AuditEntry.after).where(AuditEntry.verb == "purged").order_by(AuditEntry.seq)
        return [after for after in session.scalars(statement) if after is not None]


def in_rest(runtime: Runtime) -> int:
    """How many receipts lie in no month."""
    with runtime.reading() as session:
        return int(session.scalar(sa.text("SELECT count(*) FROM receipts_beyond")) or 0)


def sealed_and_old(network: Network, clock: TestClock, *, days: int = 130) -> None:
    """Two seals of two receipts each, past a quarter."""
    for name in ("T", "U"):
        fire(network, clock, 2, name)
        clock.advance(minutes=3)
        jobs.seal_receipts()
    clock.advance(days=days)


def test_a_purge_stands_on_the_record_with_its_seals_and_its_receipts(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock)
    ids = [receipt.id for receipt in stored.receipts()]

    purge()
    purge()

    assert purged(quarter) == [
        {"seals": [1, 2], "after_id": "", "up_to_id": ids[3], "receipts": 4, "sealed": 4, "retention_days": 90}
    ]
    assert (stored.receipts(), break_of(quarter)) == ([], (2, None))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_where_rows_go_one_by_one_they_go_by_whole_seals_in_bounded_steps(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock)

    left = []
    for _ in range(3):
        with quarter.transaction() as session:
            gone = retention.purge(quarter, session, limit=3)
        left.append((gone, len(stored.receipts()), break_of(quarter)))

    assert left == [(1, 2, (2, None)), (1, 0, (2, None)), (0, 0, (2, None))]
    assert [after["seals"] for after in purged(quarter)] == [[1, 1], [2, 2]]


@pytest.mark.parametrize("which", ["id = :id", "id > :id", "id >= :id"])
def test_receipts_that_somebody_removed_are_no_purge_however_old_they_are(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored, which: str
) -> None:
    sealed_and_old(network, clock)
    with quarter.engine.begin() as connection:
        connection.execute(sa.text(f"DELETE FROM receipts WHERE {which}"), {"id": stored.receipts()[0].id})  # noqa: S608

    held, reason = break_of(quarter)

    assert (held, reason is not None and reason.endswith("removed since")) == (0, True)


def test_a_purge_of_less_than_was_sealed_is_told(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock)
    with quarter.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM receipts WHERE id = :id"), {"id": stored.receipts()[2].id})

    purge()

    assert break_of(quarter) == (0, "and those up to 2 were purged with 3 of 4 receipts")


def test_what_is_written_under_a_purged_seal_is_told(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock)
    first = stored.receipts()[0].id
    purge()

    with quarter.transaction() as session:
        session.execute(sa.insert(Receipt).values(**_receipt(first)))

    assert break_of(quarter) == (0, "has 1 receipts added since")


def test_a_receipt_younger_than_the_retention_stays(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock, days=89)

    purge()

    assert (len(stored.receipts()), purged(quarter)) == (4, [])


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_postgresql
def test_who_reads_for_long_holds_up_no_postbacks_and_the_purge_comes_again(
    network: Network, clock: TestClock, quarter: Runtime, stored: Stored
) -> None:
    sealed_and_old(network, clock)
    with quarter.engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM receipts"))
        purge()
        answer = network.send(transaction_id="V", ts=str(int(clock.now.timestamp())))
    assert (answer.status_code, len(stored.receipts()), purged(quarter)) == (200, 5, [])

    purge()

    assert [receipt.dedupe_key for receipt in stored.receipts()] == ["V\x1fsale"]
    assert len(purged(quarter)) == 1


@on_postgresql
def test_what_came_when_nobody_had_made_its_month_moves_into_it_in_bounded_steps(
    runtime: Runtime, clock: TestClock
) -> None:
    march, may = (datetime(2031, month, 20, tzinfo=UTC) for month in (3, 5))
    with runtime.transaction() as session:
        for moment in (march, march, march, may):
            session.execute(sa.insert(Receipt).values(**_receipt(f"rcp_{token(moment)}")))
    clock.now = may

    with runtime.transaction() as session:
        first = retention.gather(runtime, session, limit=2)
    assert (first, in_rest(runtime)) == (2, 2)
    purge()

    with runtime.reading() as session:
        parts = [part for part in partitions.parts(session, "receipts") if part.name.startswith("receipts_2031")]
        where = session.scalars(sa.text("SELECT tableoid::regclass::text FROM receipts ORDER BY id")).all()
    assert where == ["receipts_2031_03_1", "receipts_2031_03_1", "receipts_2031_03", "receipts_2031_05"]
    assert [part.name[-4:] for part in parts] == ["03_1", "1_03", "1_05", "1_06", "1_07", "1_08"]
    assert (parts[0].high, parts[1].high) == (parts[1].low, f"rcp_{first_token(datetime(2031, 4, 1, tzinfo=UTC))}")
    assert in_rest(runtime) == 0


@on_postgresql
def test_months_in_pieces_go_together_past_their_retention(
    network: Network, clock: TestClock, quarter: Runtime
) -> None:
    clock.now = datetime(2031, 3, 20, tzinfo=UTC)
    fire(network, clock, 3)
    clock.advance(minutes=3)
    jobs.seal_receipts()
    with quarter.transaction() as session:
        retention.gather(quarter, session, limit=2)
    clock.advance(days=130)

    purge()

    with quarter.reading() as session:
        names = {part.name for part in partitions.parts(session, "receipts")}
        assert session.scalar(sa.select(sa.func.count()).select_from(Receipt)) == 0
    assert {name for name in names if name.startswith("receipts_2031_03")} == set()
    assert ([after["receipts"] for after in purged(quarter)], break_of(quarter)) == ([3], (1, None))


@on_postgresql
def test_two_processes_that_make_the_same_months_make_them_once(runtime: Runtime, clock: TestClock) -> None:
    clock.now = datetime(2031, 3, 20, tzinfo=UTC)
    barrier, errors = threading.Barrier(2), []

    def make() -> None:
        barrier.wait()
        try:
            jobs.tidy_receipts()
        except Exception as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with runtime.reading() as session:
        names = [part.name for part in partitions.parts(session, "receipts")]
    assert (errors, names[-3:]) == ([], ["receipts_2031_04", "receipts_2031_05", "receipts_2031_06"])


@on_postgresql
def test_who_writes_for_long_holds_the_seals_back(
    network: Network, clock: TestClock, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "_IN_LINE", timedelta(hours=1))
    fire(network, clock, 1)
    clock.advance(minutes=3)
    late = f"rcp_{token(clock.now - timedelta(minutes=3, milliseconds=500))}"
    with runtime.engine.connect() as writer:
        writer.execute(sa.insert(Receipt).values(**_receipt(late)))
        jobs.seal_receipts()
        assert break_of(runtime) == (0, None)
        writer.commit()

    jobs.seal_receipts()

    with runtime.reading() as session:
        assert list(session.scalars(sa.select(ReceiptSeal.receipts))) == [2]
    assert break_of(runtime) == (1, None)


@on_postgresql
def test_only_who_writes_counts_as_a_writer(runtime: Runtime) -> None:
    def asked() -> float:
        with runtime.sessions() as session:
            return oldest_write_s(session)

    with runtime.engine.connect() as reader, runtime.engine.connect() as writer:
        reader.execute(sa.text("SELECT count(*) FROM receipts"))
        before = asked()
        writer.execute(sa.text("SELECT pg_current_xact_id()"))
        during = asked()

    assert before == 0.0
    assert 0.0 < during < 60.0


def _receipt(receipt_id: str) -> dict[str, object]:
    return {
        "id": receipt_id, "received_at": datetime(2031, 5, 20, tzinfo=UTC), "source_id": "src_1", "peer": "",
        "method": "GET", "raw_query": b"", "raw_body": b"", "signature_headers": {}, "verdict": "refused",
        "faults": [], "assurance": "E", "covered_fields": [], "outcome": "unauthorised", "latency_us": 1,
    }  # fmt: skip
