"""Transactions: all or nothing, the ring after the commit, and a database that is away."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa

from access.models import Staff
from core import audit, doorbell
from core.actors import system
from core.audit import Act, AuditEntry
from core.database import connect, insert_new, sessions
from core.errors import Unavailable
from core.runtime import Runtime
from tests.conftest import TestClock

RING = "rq:job:stage_accrual"


def staff(runtime: Runtime, email: str) -> dict[str, object]:
    """A row."""
    return {
        "id": runtime.new_id("stf"), "email": email, "password_hash": "x", "roles": [], "created_at": runtime.clock(),
    }  # fmt: skip


def test_a_stage_is_rung_for_after_the_commit_and_not_before(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        doorbell.after_commit(session, "accrual")
        session.flush()
        assert not runtime.redis.exists(RING)

    assert runtime.redis.exists(RING)


def test_a_transaction_that_fails_leaves_no_row_and_rings_for_nobody(runtime: Runtime) -> None:
    with suppress(ZeroDivisionError), runtime.transaction() as session:
        insert_new(session, Staff, [staff(runtime, "a@example.com")], key=["email"])
        doorbell.after_commit(session, "accrual")
        raise ZeroDivisionError

    assert not runtime.redis.exists(RING)
    with runtime.reading() as session:
        assert session.scalars(sa.select(Staff)).all() == []


def test_rings_for_one_stage_melt_into_one_while_it_waits(runtime: Runtime) -> None:
    first = doorbell.ring(runtime.redis, "accrual")

    assert doorbell.ring(runtime.redis, "accrual") == first
    assert runtime.redis.llen("rq:queue:stages") == 1
    assert doorbell.ring(runtime.redis, "bundling", {"period": "2026-10"}) == "stage_bundling_period-2026-10"
    assert runtime.redis.llen("rq:queue:stages") == 2


def test_of_rows_with_a_taken_key_only_the_new_ones_are_inserted(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        insert_new(session, Staff, [staff(runtime, "a@example.com")], key=["email"])
    rows = [staff(runtime, "a@example.com"), staff(runtime, "b@example.com")]

    with runtime.transaction() as session:
        inserted = insert_new(session, Staff, rows, key=["email"])
        nothing = insert_new(session, Staff, [], key=["email"])

    assert [row.id for row in inserted] == [rows[1]["id"]]
    assert nothing == []


def test_of_transactions_at_once_with_the_same_key_one_inserts(runtime: Runtime) -> None:
    together = Barrier(6)

    def insert(_: int) -> int:
        together.wait(timeout=10)
        with runtime.transaction() as session:
            return len(insert_new(session, Staff, [staff(runtime, "a@example.com")], key=["email"]))

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(insert, range(6))) == [0, 0, 0, 0, 0, 1]


def test_acts_at_once_form_one_chain(runtime: Runtime) -> None:
    together = Barrier(6)

    def act(number: int) -> None:
        together.wait(timeout=10)
        with runtime.transaction() as session:
            audit.record(session, Act(system("tests"), "did", "thing", str(number), runtime.clock()))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(act, range(6)))

    with runtime.reading() as session:
        assert audit.first_break(session) == (6, None)
        assert set(session.scalars(sa.select(AuditEntry.subject_id))) == set("012345")


def test_moments_come_back_in_utc_to_the_microsecond(runtime: Runtime, clock: TestClock) -> None:
    clock.advance(microseconds=123456)
    with runtime.transaction() as session:
        insert_new(session, Staff, [staff(runtime, "a@example.com")], key=["email"])

    with runtime.reading() as session:
        stored = session.scalars(sa.select(Staff.created_at)).one()
    assert stored.isoformat() == "2026-11-02T09:00:00.123456+00:00"


def test_a_naive_moment_is_refused(runtime: Runtime, clock: TestClock) -> None:
    row = staff(runtime, "a@example.com") | {"created_at": clock.now.replace(tzinfo=None)}

    with pytest.raises(ValueError, match="time zone"), runtime.transaction() as session:
        insert_new(session, Staff, [row], key=["email"])


def test_a_reader_waits_for_no_writer(runtime: Runtime) -> None:
    with runtime.transaction() as writing:
        insert_new(writing, Staff, [staff(runtime, "a@example.com")], key=["email"])
        with runtime.reading() as session:
            assert session.scalars(sa.select(Staff)).all() == []


def test_a_database_that_is_away_is_unavailable_and_its_address_stays_out_of_the_answer(runtime: Runtime) -> None:
    engine = connect("postgresql://someone:hunter2@127.0.0.1:1/nowhere")
    away = replace(runtime, engine=engine, sessions=sessions(engine))

    with pytest.raises(Unavailable) as raised, away.transaction() as session:
        session.execute(sa.text("SELECT 1"))

    assert "hunter2" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
