"""The roll-forward holds in every history of payments, and closes at what the journal owes."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from core.runtime import Runtime
from ledger.models import JournalLine
from ledger.posting import PAYABLE
from reports.exports.catalogue import REPORTS
from reports.exports.filtering import Filters
from tests.payouts.books import Books
from tests.payouts.test_reachable_states import Payments


class Rolled(Payments):
    """The payments' own machine, begun where money has left, watched by the reports."""

    @initialize(
        minors=st.lists(st.integers(1, 5000), min_size=2, max_size=4),
        words=st.permutations(["settle", "fail", "return", "unknown"]),
    )
    def have_a_month_of_payments(self, minors: list[int], words: list[str]) -> None:
        for place, minor in enumerate(minors):
            self.accrue(place % 2, minor)
        self.pay_all()
        self.answer(0, words)

    @invariant()
    def what_came_in_less_what_went_is_what_is_left(self) -> None:
        with self.books.runtime.reading() as session:
            rolled = {period: self._rows(session, period) for period in ("2026-10", "2026-11")}
            owed = session.execute(
                sa.select(JournalLine.affiliate_id, -sa.func.sum(JournalLine.amount_minor))
                .where(JournalLine.account == PAYABLE)
                .group_by(JournalLine.affiliate_id)
            )
            journal = {name: int(minor) for name, minor in owed if minor}
            today = Filters(as_of=self.books.runtime.clock().date())
            aged = {row[0]: row[-1] for row in REPORTS["ageing-unpaid"].rows(session, today) if row[-1]}
            [total] = list(REPORTS["roll-forward"].rows(session, Filters(period="2026-11"))) or [("EUR", *[0] * 7)]
        for rows in rolled.values():
            for opening, accrued, clawed_back, paid, came_back, other, closing in rows.values():
                assert opening + accrued - clawed_back - paid + came_back + other == closing
                assert other == 0
        before, after = rolled["2026-10"], rolled["2026-11"]
        assert {name: row[-1] for name, row in before.items() if row[-1]} == {
            name: row[0] for name, row in after.items() if row[0]
        }
        assert {name: row[-1] for name, row in after.items() if row[-1]} == journal
        assert aged == journal
        assert total[-1] == sum(journal.values())

    def _rows(self, session: Any, period: str) -> dict[Any, Any]:
        rows = REPORTS["roll-forward-by-affiliate"].rows(session, Filters(period=period))
        return {row[1]: row[3:] for row in rows}


@pytest.fixture
def quick(runtime: Runtime) -> Books:
    """Books without waiting for the disk: this is about what is written, not whether it lasts."""
    if runtime.engine.dialect.name == "sqlite":
        with runtime.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
    books = Books(runtime)
    books.source()
    books.campaign()
    return books


@pytest.mark.timeout(300)
def test_in_every_history_the_roll_forward_closes_at_what_the_journal_owes(quick: Books) -> None:
    reached: set[str] = set()
    of_books = {"books": quick, "runs": iter(range(1_000_000)), "reached": reached}
    run_state_machine_as_test(
        type("RolledOnTheseBooks", (Rolled,), of_books),
        settings=settings(
            max_examples=5, stateful_step_count=8, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

    # Without a payment that failed or came back this shows little.
    assert reached & {"failed", "returned"}
