"""What changes after an accrual is accrued as a difference, once, on both databases."""

from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from core.runtime import Runtime
from payouts import jobs, owing
from payouts.models import Accrual
from payouts.pricing import PayoutMeans, Priced, Terms, TermsKind, Told
from postback.models import Conversion
from tests.payouts.books import Books

PAYABLE = "payable:affiliate"


def accrued(runtime: Runtime) -> list[tuple[str, int, int]]:
    with runtime.reading() as session:
        statement = sa.select(Accrual.kind, Accrual.seq, Accrual.amount_minor).order_by(Accrual.kind, Accrual.seq)
        return [(row.kind, row.seq, row.amount_minor) for row in session.execute(statement)]


@pytest.fixture
def conversion(books: Books) -> Books:
    """One accrued conversion of 12.50 EUR."""
    books.conversion("cnv_1")
    jobs.accrue()
    return books


def test_a_refund_posts_the_reverse_into_the_open_month_once(runtime: Runtime, conversion: Books) -> None:
    conversion.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)

    jobs.accrue()
    jobs.accrue()

    assert accrued(runtime) == [("accrue", 1, 1250), ("clawback", 1, -1250)]
    assert conversion.balances() == {}
    with runtime.reading() as session:
        clawback = session.scalars(sa.select(Accrual).where(Accrual.kind == "clawback")).one()
        assert (clawback.occurred_on, clawback.period, clawback.payable_on) == (
            date(2026, 11, 2), "2026-11", date(2026, 11, 2),
        )  # fmt: skip
        assert session.get_one(Conversion, "cnv_1").is_accrual_due is False


def test_adjustments_up_and_down_leave_what_is_owed(runtime: Runtime, conversion: Books) -> None:
    for payout_minor in (2000, 500, 900):
        conversion.change(Conversion, "cnv_1", payout_minor=payout_minor, is_accrual_due=True)
        jobs.accrue()

    assert accrued(runtime) == [("accrue", 1, 1250), ("adjust", 1, 750), ("adjust", 2, 400), ("clawback", 1, -1500)]
    assert conversion.balances()[PAYABLE] == -900


def test_a_change_that_owes_nothing_else_leaves_no_row(runtime: Runtime, conversion: Books) -> None:
    conversion.change(Conversion, "cnv_1", amount_minor=77, is_accrual_due=True)

    jobs.accrue()

    assert accrued(runtime) == [("accrue", 1, 1250)]


def test_what_the_network_owes_us_goes_back_with_a_chargeback(runtime: Runtime, books: Books) -> None:
    books.source("src_2", payout_means="owed_to_us")
    books.campaign("cmp_2", kind="share", percent="70")
    books.conversion("cnv_9", source_id="src_2", campaign_id="cmp_2")
    jobs.accrue()
    before = books.balances()

    books.change(Conversion, "cnv_9", state="reversed", is_accrual_due=True)
    jobs.accrue()

    assert (before["receivable:network"], before[PAYABLE]) == (1250, -875)
    assert books.balances() == {}


def test_a_clawback_lessens_the_next_payout_and_a_debt_waits(runtime: Runtime, conversion: Books) -> None:
    jobs.bundle("2026-11")
    conversion.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)
    jobs.accrue()
    conversion.conversion("cnv_2", payout_minor=1000)
    jobs.accrue()

    jobs.bundle("2026-11")
    assert [payout.amount_minor for payout in conversion.payouts()] == [1250]

    conversion.conversion("cnv_3", payout_minor=700)
    jobs.accrue()
    jobs.bundle("2026-11")
    assert sorted(payout.amount_minor for payout in conversion.payouts()) == [450, 1250]


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), max_size=12))
def test_after_any_changes_the_accruals_come_to_what_is_owed(changes: list[int | None]) -> None:
    terms, total = Terms(TermsKind.TOLD), Money(0, "EUR")
    for payout_minor in changes:
        told = Told(payout_minor or 0, None, "EUR", PayoutMeans.OWED_TO_AFFILIATE)
        owed = owing.owed_now(terms, told, is_reversed=payout_minor is None, currency="EUR")
        assert isinstance(owed, Priced)

        total += owing.difference(owed.money, total)

        assert total == Money(payout_minor or 0, "EUR")
