"""What happens to a conversion after its accrual, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from payouts import adjusting, jobs
from payouts.models import Accrual, Payout
from postback.models import Conversion, ConversionEvent
from reports import custody
from tests.conftest import TestClock
from tests.payouts.books import Books

TODAY = date(2026, 11, 2)


def accruals(runtime: Runtime, conversion_id: str = "cnv_1") -> list[tuple[str, int, int]]:
    with runtime.reading() as session:
        statement = sa.select(Accrual.kind, Accrual.seq, Accrual.amount_minor).where(
            Accrual.conversion_id == conversion_id
        )
        return sorted((kind, seq, amount) for kind, seq, amount in session.execute(statement))


def conversion(runtime: Runtime, conversion_id: str = "cnv_1") -> Conversion:
    with runtime.reading() as session:
        return session.get_one(Conversion, conversion_id)


def events(runtime: Runtime, conversion_id: str = "cnv_1") -> list[tuple[int, str]]:
    with runtime.reading() as session:
        statement = sa.select(ConversionEvent.seq, ConversionEvent.kind).where(
            ConversionEvent.conversion_id == conversion_id
        )
        return sorted((seq, kind) for seq, kind in session.execute(statement))


def changed(books: Books, conversion_id: str = "cnv_1", **values: Any) -> None:
    """Change a conversion as intake and people do, and accrue."""
    books.change(Conversion, conversion_id, is_accrual_due=True, **values)
    jobs.accrue()


@pytest.fixture
def accrued(books: Books) -> Books:
    """One conversion of 12.50, accrued in October."""
    books.conversion("cnv_1")
    jobs.accrue()
    return books


def test_a_refund_takes_back_what_was_accrued_under_the_frozen_terms_and_category(
    runtime: Runtime, accrued: Books
) -> None:
    changed(accrued, state="reversed")

    assert accruals(runtime) == [("accrue", 1, 1250), ("clawback", 1, -1250)]
    assert accrued.balances() == {}
    assert events(runtime) == [(1, "recorded"), (2, "accrued"), (3, "accrued")]
    after = conversion(runtime)
    assert (after.state, after.is_accrual_due, after.version) == ("reversed", False, 3)
    with runtime.reading() as session:
        first, taken = session.scalars(sa.select(Accrual).order_by(Accrual.kind)).all()
        assert (taken.occurred_on, taken.payable_on, taken.period) == (TODAY, TODAY, "2026-11")
        assert (taken.terms, taken.category_code, taken.assurance) == (
            first.terms,
            first.category_code,
            first.assurance,
        )
        assert taken.unrounded == -first.unrounded


def test_a_second_refund_and_a_chargeback_after_it_take_back_nothing_more(runtime: Runtime, accrued: Books) -> None:
    changed(accrued, state="reversed")
    changed(accrued, state="reversed")

    assert accruals(runtime) == [("accrue", 1, 1250), ("clawback", 1, -1250)]
    assert not conversion(runtime).is_accrual_due


def test_parts_are_taken_back_one_after_another_and_an_upsell_comes_on_top_after_the_hold_days(
    runtime: Runtime, books: Books
) -> None:
    books.affiliate("aff_2", hold_days=30)
    books.conversion("cnv_1", affiliate_id="aff_2")
    jobs.accrue()

    changed(books, payout_minor=1000)
    changed(books, payout_minor=800)
    changed(books, payout_minor=2000)
    changed(books, payout_minor=0)

    assert accruals(runtime) == [
        ("accrue", 1, 1250), ("adjust", 1, 1200), ("clawback", 1, -250), ("clawback", 2, -200), ("clawback", 3, -2000),
    ]  # fmt: skip
    assert books.balances() == {}
    with runtime.reading() as session:
        added = session.scalars(sa.select(Accrual).where(Accrual.kind == "adjust")).one()
        assert (added.occurred_on, added.payable_on) == (TODAY, date(2026, 12, 2))


def test_revenue_follows_what_the_network_owes_and_its_changes_are_counted_once(runtime: Runtime, books: Books) -> None:
    books.source("src_2", payout_means="owed_to_us")
    books.campaign("cmp_2", kind="fixed", amount_minor=300, currency="EUR")
    books.conversion("cnv_1", source_id="src_2", campaign_id="cmp_2", payout_minor=1000)
    jobs.accrue()

    changed(books, payout_minor=600)
    assert books.balances()["receivable:network"] == 600
    changed(books, payout_minor=700)
    # What we owe is the same: an accrual of nothing stands for each change of the revenue.
    assert accruals(runtime) == [("accrue", 1, 300), ("adjust", 1, 0), ("adjust", 2, 0)]
    assert books.balances()["receivable:network"] == 700
    changed(books, state="reversed")

    assert books.balances() == {}
    assert accruals(runtime)[-1] == ("clawback", 1, -300)


def test_what_was_taken_back_before_it_accrued_never_accrues(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1", state="reversed")
    jobs.accrue()
    changed(books)

    assert accruals(runtime) == []
    assert not conversion(runtime).is_accrual_due


def test_what_cannot_be_priced_any_more_is_held_and_looked_at_again_after_a_decision(
    runtime: Runtime, accrued: Books
) -> None:
    changed(accrued, payout_minor=None)
    held = conversion(runtime)
    assert (held.state, held.hold_reason, held.is_accrual_due) == ("accrued", "unpriceable", True)
    jobs.accrue()
    assert events(runtime)[-1] == (3, "unpriceable")

    changed(accrued, payout_minor=900, hold_reason=None)

    assert accruals(runtime) == [("accrue", 1, 1250), ("clawback", 1, -350)]


def test_terms_changed_since_change_nothing(runtime: Runtime, books: Books) -> None:
    books.campaign("cmp_2", kind="percent", percent="10")
    books.conversion("cnv_1", campaign_id="cmp_2", amount_minor=10_000)
    jobs.accrue()
    with runtime.transaction() as session:
        session.execute(sa.text("UPDATE campaign_terms SET percent = '99' WHERE campaign_id = 'cmp_2'"))

    changed(books, amount_minor=5000)

    assert accruals(runtime) == [("accrue", 1, 1000), ("clawback", 1, -500)]


def test_several_workers_at_once_take_back_once(runtime: Runtime, books: Books) -> None:
    for number in range(6):
        books.conversion(f"cnv_{number}")
    jobs.accrue()
    with runtime.transaction() as session:
        session.execute(sa.update(Conversion).values(state="reversed", is_accrual_due=True))
    together = threading.Barrier(4)

    def work(_: int) -> None:
        together.wait()
        with runtime.transaction() as session:
            adjusting.run_batch(runtime, session, 10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    jobs.accrue()

    assert [accruals(runtime, f"cnv_{number}") for number in range(6)] == [
        [("accrue", 1, 1250), ("clawback", 1, -1250)]
    ] * 6
    assert books.balances() == {}


def test_a_clawback_reduces_the_next_payout_and_the_pending_one_stays_what_was_asked(
    runtime: Runtime, accrued: Books
) -> None:
    jobs.bundle("2026-10")
    changed(accrued, state="reversed")
    accrued.conversion("cnv_2", payout_minor=2000)
    jobs.accrue()
    jobs.settle()
    jobs.bundle("2026-10")

    assert sorted((each.state, each.amount_minor) for each in accrued.payouts()) == [
        ("pending", 750), ("pending", 1250),
    ]  # fmt: skip


def test_an_approved_payout_is_not_asked_about_again_because_of_a_refund(runtime: Runtime, accrued: Books) -> None:
    jobs.bundle("2026-10")
    [payout] = accrued.payouts()
    accrued.change(Payout, payout.id, state="approved")

    changed(accrued, state="reversed")
    jobs.settle()

    assert [(each.state, each.amount_minor) for each in accrued.payouts()] == [("approved", 1250)]


def test_a_debt_carries_forward_until_more_is_earned(runtime: Runtime, accrued: Books, clock: TestClock) -> None:
    jobs.bundle("2026-10")
    changed(accrued, state="reversed")
    accrued.conversion("cnv_2", payout_minor=1000)
    jobs.accrue()
    jobs.bundle("2026-11")
    assert len(accrued.payouts()) == 1

    accrued.conversion("cnv_3", payout_minor=700, occurred_at=datetime(2026, 11, 1, tzinfo=UTC))
    jobs.accrue()
    jobs.bundle("2026-11")

    assert sorted(each.amount_minor for each in accrued.payouts()) == [450, 1250]


def test_nothing_is_bundled_while_a_refund_waits_to_be_accrued(runtime: Runtime, accrued: Books) -> None:
    accrued.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)

    jobs.bundle("2026-11")

    assert accrued.payouts() == []


def test_the_custody_shows_what_was_taken_back_and_its_entries(runtime: Runtime, books: Books) -> None:
    books.source("src_2", payout_means="owed_to_us")
    books.campaign("cmp_2", kind="share", percent="50")
    books.conversion("cnv_1", source_id="src_2", campaign_id="cmp_2", payout_minor=1000)
    jobs.accrue()
    changed(books, state="reversed")

    with runtime.reading() as session:
        steps = custody.of(session, session.get_one(Conversion, "cnv_1"))

    sentences = [step.sentence for step in steps if step.kind in {"accrual", "journal_entry"}]
    assert "5.00 EUR became owed, as Uncategorised" in sentences
    assert "5.00 EUR was taken back, as Uncategorised" in sentences
    assert "posted: changed revenue of cnv_1" in sentences
    assert "posted: commission taken back of cnv_1" in sentences
