"""The accrual stage on both databases."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from ledger import periods
from ledger.models import JournalEntry
from payouts import jobs
from payouts.models import Accrual, CategoryRuleset
from postback.models import Conversion, ConversionEvent
from tests.conftest import Caller, TestClock
from tests.payouts.books import Books


def accruals(runtime: Runtime) -> list[Accrual]:
    with runtime.reading() as session:
        return list(session.scalars(sa.select(Accrual).order_by(Accrual.conversion_id)))


def events(runtime: Runtime, conversion_id: str) -> list[tuple[int, str, str | None]]:
    with runtime.reading() as session:
        statement = (
            sa.select(ConversionEvent.seq, ConversionEvent.kind, ConversionEvent.reason)
            .where(ConversionEvent.conversion_id == conversion_id)
            .order_by(ConversionEvent.seq)
        )
        return [(seq, kind, reason) for seq, kind, reason in session.execute(statement)]


def test_a_recorded_conversion_is_accrued_once_with_its_terms_and_category_frozen(
    runtime: Runtime, books: Books
) -> None:
    with runtime.transaction() as session:
        session.execute(
            sa.update(CategoryRuleset).values(
                rules=[
                    {
                        "id": "r1",
                        "when": {"campaign_id": {"eq": "cmp_1"}, "sub1": {"eq": "blog"}},
                        "category": {"code": "6210", "name": "Spring", "account": "expense:commission:spring"},
                    }
                ]
            )
        )
    books.affiliate("aff_2", hold_days=30)
    books.conversion("cnv_1", affiliate_id="aff_2", subs={"sub1": "blog"})
    books.conversion("cnv_2")

    jobs.accrue()
    jobs.accrue()

    first, second = accruals(runtime)
    assert (first.amount_minor, first.currency, first.unrounded) == (1250, "EUR", Decimal("12.5"))
    assert (first.category_code, first.rule_id, first.ruleset_version) == ("6210", "r1", 0)
    assert (first.occurred_on, first.payable_on, first.period) == (date(2026, 10, 5), date(2026, 11, 4), "2026-10")
    assert first.terms == {"version": 1, "kind": "told", "percent": None, "amount_minor": None, "currency": None}
    assert (second.category_code, second.category_account, second.rule_id) == (
        "uncategorised",
        "expense:uncategorised",
        None,
    )
    assert books.balances() == {
        "expense:commission:spring": 1250,
        "expense:uncategorised": 1250,
        "payable:affiliate": -2500,
    }
    assert events(runtime, "cnv_1") == [(1, "recorded", None), (2, "accrued", None)]
    with runtime.reading() as session:
        assert set(session.scalars(sa.select(Conversion.state))) == {"accrued"}


def test_a_batch_run_again_over_conversions_put_back_doubles_nothing(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1")
    jobs.accrue()
    books.change(Conversion, "cnv_1", state="recorded")

    jobs.accrue()

    assert len(accruals(runtime)) == 1
    assert books.balances() == {"expense:uncategorised": 1250, "payable:affiliate": -1250}


def test_what_a_network_owes_us_is_revenue_and_the_affiliate_gets_the_share(runtime: Runtime, books: Books) -> None:
    books.source("src_2", payout_means="owed_to_us")
    books.campaign("cmp_2", kind="share", percent="66.66666667")
    books.conversion("cnv_1", source_id="src_2", campaign_id="cmp_2", payout_minor=1000)

    jobs.accrue()

    [accrual] = accruals(runtime)
    assert (accrual.amount_minor, accrual.unrounded) == (667, Decimal("6.66666667"))
    assert books.balances() == {
        "expense:uncategorised": 667,
        "payable:affiliate": -667,
        "receivable:network": 1000,
        "revenue:network": -1000,
    }


def test_what_cannot_be_priced_is_held_with_its_reason_and_the_others_go_on(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1", payout_minor=None)
    books.conversion("cnv_2")

    jobs.accrue()

    assert [accrual.conversion_id for accrual in accruals(runtime)] == ["cnv_2"]
    assert events(runtime, "cnv_1") == [(1, "recorded", None), (2, "unpriceable", "payout_not_told")]
    with runtime.reading() as session:
        held = session.get_one(Conversion, "cnv_1")
        assert (held.state, held.hold_reason, held.version) == ("recorded", "unpriceable", 2)


def test_a_held_an_unmatched_and_a_rejected_conversion_are_not_accrued(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1", hold_reason="late")
    books.conversion("cnv_2", state="unmatched", campaign_id=None, affiliate_id=None)
    books.conversion("cnv_3", state="rejected")

    jobs.accrue()

    assert accruals(runtime) == []


def test_a_closed_month_sends_its_accrual_to_the_current_one_with_its_own_date_kept(
    runtime: Runtime, books: Books
) -> None:
    with runtime.transaction() as session:
        periods.held_for_closing(session, "2026-10").state = "closed"
    books.conversion("cnv_1")

    jobs.accrue()

    [accrual] = accruals(runtime)
    assert (accrual.period, accrual.occurred_on) == ("2026-11", date(2026, 10, 5))
    with runtime.reading() as session:
        entry = session.scalars(sa.select(JournalEntry)).one()
        assert (entry.period, entry.occurred_on, entry.posted_on) == (
            "2026-11",
            date(2026, 10, 5),
            date(2026, 11, 2),
        )


def test_an_accrual_of_nothing_is_kept_and_leaves_the_journal_alone(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1", payout_minor=0)

    jobs.accrue()

    assert [accrual.amount_minor for accrual in accruals(runtime)] == [0]
    assert books.balances() == {}


def test_fixed_terms_accrue_in_their_own_currency(runtime: Runtime, books: Books) -> None:
    books.campaign("cmp_2", kind="fixed", amount_minor=980, currency="JPY")
    books.conversion("cnv_1", campaign_id="cmp_2")

    jobs.accrue()

    assert [(accrual.amount_minor, accrual.currency) for accrual in accruals(runtime)] == [(980, "JPY")]


def test_more_than_one_batch_of_conversions_is_accrued(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_ROWS_MAX", 3)
    for number in range(7):
        books.conversion(f"cnv_{number}")

    jobs.accrue()

    assert len(accruals(runtime)) == 7


def test_accruals_are_listed_by_what_one_asks_for(
    runtime: Runtime, books: Books, machine: Caller, clock: TestClock
) -> None:
    books.affiliate("aff_2")
    books.conversion("cnv_1", occurred_at=datetime(2026, 9, 30, tzinfo=UTC))
    books.conversion("cnv_2", affiliate_id="aff_2", payout_minor=333)
    jobs.accrue()

    by_affiliate = machine.get("/api/v1/accruals?affiliate_id=aff_2").json["items"]
    by_period = machine.get("/api/v1/accruals?period=2026-09&state=unpaid").json["items"]

    assert [each["conversion_id"] for each in by_affiliate] == ["cnv_2"]
    assert by_affiliate[0]["money"] == {"amount": "3.33", "currency": "EUR"}
    assert by_affiliate[0]["unrounded"] == "3.33"
    assert by_affiliate[0]["category"]["code"] == "uncategorised"
    assert [each["conversion_id"] for each in by_period] == ["cnv_1"]
    assert machine.get("/api/v1/accruals?state=paid").json == {"items": [], "next": None}
    assert [each["conversion_id"] for each in machine.get("/api/v1/accruals?conversion_id=cnv_1").json["items"]] == [
        "cnv_1"
    ]
