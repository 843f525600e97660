"""The journal on both databases: posted once, balanced, never changed, nothing into a closed month."""

import threading
import time
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.errors import Conflict
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.models import JournalEntry, JournalLine, Period
from ledger.posting import EntryKind, Line, Posting

TODAY = date(2026, 11, 2)


def accrual(number: int = 1, *, occurred_on: date = date(2026, 10, 31), amount_minor: int = 1250) -> Posting:
    return posting.accrual(
        accrual_id=f"acr_{number}",
        conversion_id=f"cnv_{number}",
        affiliate_id="aff_1",
        account="expense:uncategorised",
        money=Money(amount_minor, "EUR"),
        occurred_on=occurred_on,
    )


def close(runtime: Runtime, period: str) -> None:
    with runtime.transaction() as session:
        periods.held_for_closing(session, period).state = "closed"


def balances(runtime: Runtime) -> dict[str, int]:
    with runtime.reading() as session:
        statement = sa.select(JournalLine.account, sa.func.sum(JournalLine.amount_minor)).group_by(JournalLine.account)
        return {account: int(total) for account, total in session.execute(statement)}


def test_a_posting_is_posted_once_however_often_it_is_asked_for(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        assert journal.post(runtime, session, [accrual(1), accrual(2), accrual(1)], today=TODAY) == 2
    with runtime.transaction() as session:
        assert journal.post(runtime, session, [accrual(2), accrual(3)], today=TODAY) == 1

    assert balances(runtime) == {"expense:uncategorised": 3750, "payable:affiliate": -3750}


def test_many_postings_at_once_are_all_there_with_their_lines(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        assert journal.post(runtime, session, [accrual(n) for n in range(2500)], today=TODAY) == 2500

    assert balances(runtime) == {"expense:uncategorised": 3_125_000, "payable:affiliate": -3_125_000}


def test_an_entry_that_does_not_balance_is_refused_and_nothing_is_posted(runtime: Runtime) -> None:
    crooked = Posting(
        EntryKind.ACCRUAL, "accrual", "acr_9", TODAY, "crooked", (Line("a", 5, "EUR"), Line("b", -4, "EUR"))
    )

    with pytest.raises(Conflict, match="does not balance"), runtime.transaction() as session:
        journal.post(runtime, session, [accrual(1), crooked], today=TODAY)

    assert balances(runtime) == {}


def test_an_entry_about_nothing_is_not_posted(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        assert journal.post(runtime, session, [accrual(amount_minor=0)], today=TODAY) == 0
        assert session.scalars(sa.select(JournalEntry)).all() == []


def test_an_open_month_takes_its_own_entries_and_a_closed_one_sends_them_to_the_current_month(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        journal.post(runtime, session, [accrual(1)], today=TODAY)
    close(runtime, "2026-10")
    with runtime.transaction() as session:
        journal.post(runtime, session, [accrual(2)], today=TODAY)

    with runtime.reading() as session:
        rows = session.execute(
            sa.select(JournalEntry.period, JournalEntry.posted_on, JournalEntry.occurred_on).order_by(
                JournalEntry.source_id
            )
        ).all()
    assert [tuple(row) for row in rows] == [
        ("2026-10", date(2026, 10, 31), date(2026, 10, 31)),
        ("2026-11", date(2026, 11, 2), date(2026, 10, 31)),
    ]


def test_with_its_month_and_the_current_one_closed_there_is_nowhere_to_post(runtime: Runtime) -> None:
    close(runtime, "2026-10")
    close(runtime, "2026-11")

    with pytest.raises(Conflict, match="no open month"), runtime.transaction() as session:
        journal.post(runtime, session, [accrual(1)], today=TODAY)


def test_the_database_itself_lets_nobody_change_or_remove_what_was_posted(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        journal.post(runtime, session, [accrual(1)], today=TODAY)

    for statement in (
        "UPDATE journal_entries SET description = 'other'",
        "DELETE FROM journal_entries",
        "UPDATE journal_lines SET amount_minor = 1",
        "DELETE FROM journal_lines",
    ):
        with pytest.raises(DBAPIError, match="append-only"), runtime.engine.begin() as connection:
            connection.execute(sa.text(statement))


def test_the_database_itself_lets_nobody_post_into_a_closed_month(runtime: Runtime) -> None:
    close(runtime, "2026-10")

    with pytest.raises(DBAPIError, match="closed"), runtime.engine.begin() as connection:
        connection.execute(sa.insert(JournalEntry).values(**entry_row("jrn_1", "2026-10")))
    with runtime.engine.begin() as connection:
        connection.execute(sa.insert(JournalEntry).values(**entry_row("jrn_2", "2026-11")))


def test_who_closes_a_month_waits_for_who_posts_into_it_and_sees_the_entry(runtime: Runtime) -> None:
    seen: list[int] = []
    posted, asked = threading.Event(), threading.Event()

    def closer() -> None:
        posted.wait(5)
        asked.set()
        with runtime.transaction() as session:
            period = periods.held_for_closing(session, "2026-10")
            seen.append(session.scalar(sa.select(sa.func.count()).select_from(JournalEntry)) or 0)
            period.state = "closed"

    closing = threading.Thread(target=closer)
    closing.start()
    with runtime.transaction() as session:
        # No row for the month existed before this: the entry must bring one for the closer to wait at.
        journal.post(runtime, session, [accrual(1)], today=TODAY)
        posted.set()
        asked.wait(5)
        time.sleep(0.2)  # time enough for the closer to run past a lock that is not there
    closing.join(10)

    assert seen == [1]
    with runtime.reading() as session:
        assert session.get_one(Period, "2026-10").state == "closed"


def test_who_posts_waits_for_who_closes_and_goes_to_the_next_month(runtime: Runtime) -> None:
    held, asked = threading.Event(), threading.Event()

    def poster() -> None:
        held.wait(5)
        asked.set()
        with runtime.transaction() as session:
            journal.post(runtime, session, [accrual(1)], today=TODAY)

    posting_ = threading.Thread(target=poster)
    posting_.start()
    with runtime.transaction() as session:
        period = periods.held_for_closing(session, "2026-10")
        held.set()
        asked.wait(5)
        time.sleep(0.2)
        period.state = "closed"
    posting_.join(10)

    with runtime.reading() as session:
        assert session.scalars(sa.select(JournalEntry.period)).all() == ["2026-11"]


def entry_row(entry_id: str, period: str) -> dict[str, Any]:
    return {
        "id": entry_id,
        "kind": "accrual",
        "source_type": "accrual",
        "source_id": entry_id,
        "period": period,
        "occurred_on": date(2026, 10, 5),
        "posted_on": date(2026, 10, 5),
        "posted_at": sa.func.now(),
        "description": "by hand",
    }
