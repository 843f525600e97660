"""Bundling on both databases: what is payable becomes one payout and one question."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from approvals.models import ApprovalRequest
from core.runtime import Runtime
from partners.models import Affiliate, PayeeEdit
from payouts import bundling, jobs
from payouts.models import Accrual, Payout
from postback.models import Conversion
from tests.conftest import Caller, TestClock
from tests.payouts.books import OCTOBER, Books


def request_of(runtime: Runtime, payout_id: str) -> ApprovalRequest:
    with runtime.reading() as session:
        return session.scalars(sa.select(ApprovalRequest).where(ApprovalRequest.subject_id == payout_id)).one()


def unbundled(runtime: Runtime) -> set[str]:
    with runtime.reading() as session:
        return set(session.scalars(sa.select(Accrual.conversion_id).where(Accrual.payout_id.is_(None))))


def test_what_an_affiliate_may_be_paid_becomes_one_payout_with_one_request(
    runtime: Runtime, books: Books, machine: Caller
) -> None:
    books.affiliate("aff_2")
    books.conversion("cnv_1")
    books.conversion("cnv_2", payout_minor=333, assurance="B", covered_fields="transaction_id status")
    books.conversion("cnv_3", affiliate_id="aff_2")
    jobs.accrue()

    jobs.bundle("2026-10", "stf_1")
    jobs.bundle("2026-10", "stf_1")

    payouts = {payout.affiliate_id: payout for payout in books.payouts()}
    assert {name: payout.amount_minor for name, payout in payouts.items()} == {"aff_1": 1583, "aff_2": 1250}
    payout = payouts["aff_1"]
    request = request_of(runtime, payout.id)
    assert (payout.state, payout.approval_id, payout.created_by) == ("pending", request.id, "stf_1")
    assert request.content_hash == payout.content_hash
    assert request.barred == ["stf_1"]
    assert request.facts == {
        "amount_base": 1583,
        "amount_alone": 1583,
        "currency": "EUR",
        "affiliate_id": "aff_1",
        "affiliate.status": "new",
        "affiliate.bank_changed_days": 305,
        "payee.payouts_before": 0,
        "source_id": ["src_1"],
        "campaign_id": ["cmp_1"],
        "category": ["uncategorised"],
        "assurance": "B",
        "covered_fields": ["status", "transaction_id"],
        "amount_is_covered": False,
    }
    listed = machine.get("/api/v1/payouts?state=pending&affiliate_id=aff_1").json["items"]
    assert [(each["id"], each["money"], each["category_codes"], each["approval_id"]) for each in listed] == [
        (payout.id, {"amount": "15.83", "currency": "EUR"}, ["uncategorised"], request.id)
    ]
    detail = machine.get(f"/api/v1/payouts/{payout.id}").json
    assert len(detail["accrual_ids"]) == 2
    assert detail["payee"] == {
        "name": "Payee of aff_1 & Söhne", "iban": "DE89…13000", "bic": None, "kind": "iban", "account": None,
    }  # fmt: skip


def test_what_is_on_hold_not_yet_payable_or_of_a_later_month_stays_behind(
    runtime: Runtime, books: Books, clock: TestClock
) -> None:
    books.affiliate("aff_2", hold_days=28)
    books.conversion("cnv_1")
    books.conversion("cnv_held")
    books.conversion("cnv_later", occurred_at=datetime(2026, 11, 1, tzinfo=UTC))
    books.conversion("cnv_28_days", affiliate_id="aff_2", occurred_at=OCTOBER)
    books.conversion("cnv_too_young", affiliate_id="aff_2", occurred_at=OCTOBER + timedelta(days=1))
    jobs.accrue()
    books.change(Conversion, "cnv_held", hold_reason="conflict")

    jobs.bundle("2026-10")

    assert unbundled(runtime) == {"cnv_held", "cnv_later", "cnv_too_young"}
    assert {payout.created_by for payout in books.payouts()} == {"stage:bundling"}


@pytest.mark.parametrize(
    "values",
    [
        {"status": "suspended"},
        {"payee_iban": None, "payee_name": None},
        {"minimum_payout_minor": 1251},
        {"currency": "USD"},
    ],
)
def test_an_affiliate_that_cannot_be_paid_or_has_too_little_is_left_to_a_later_month(
    runtime: Runtime, books: Books, values: dict[str, object]
) -> None:
    books.affiliate("aff_2", **values)
    books.conversion("cnv_1", affiliate_id="aff_2")
    jobs.accrue()

    jobs.bundle("2026-10")

    assert books.payouts() == []
    assert unbundled(runtime) == {"cnv_1"}


def test_exactly_the_minimum_is_paid(runtime: Runtime, books: Books) -> None:
    books.affiliate("aff_2", minimum_payout_minor=1250)
    books.conversion("cnv_1", affiliate_id="aff_2")
    jobs.accrue()

    jobs.bundle("2026-10")

    assert [payout.amount_minor for payout in books.payouts()] == [1250]


def test_without_a_period_the_current_month_is_bundled(runtime: Runtime, books: Books) -> None:
    books.conversion("cnv_1", occurred_at=datetime(2026, 11, 2, tzinfo=UTC))
    jobs.accrue()

    jobs.bundle()

    assert [payout.period for payout in books.payouts()] == ["2026-11"]


def test_whoever_set_or_changed_the_account_within_thirty_days_is_barred(
    runtime: Runtime, books: Books, clock: TestClock
) -> None:
    for affiliate_id, days in (("aff_2", 29), ("aff_3", 30)):
        books.affiliate(affiliate_id)
        edits = [("stf_editor", days), ("stf_later", 1), ("stf_long_ago", 31)]
        with runtime.transaction() as session:
            session.add_all(
                PayeeEdit(affiliate_id=affiliate_id, edited_at=clock() - timedelta(days=ago), edited_by=who)
                for who, ago in edits
            )
        books.conversion(f"cnv_{affiliate_id}", affiliate_id=affiliate_id)
    jobs.accrue()

    jobs.bundle("2026-10", "stf_1")

    payouts = {payout.affiliate_id: payout for payout in books.payouts()}
    assert request_of(runtime, payouts["aff_2"].id).barred == ["stf_1", "stf_editor", "stf_later"]
    assert request_of(runtime, payouts["aff_3"].id).barred == ["stf_1", "stf_later"]


def test_thresholds_look_at_what_the_affiliate_comes_to_in_the_month(
    runtime: Runtime, books: Books, clock: TestClock
) -> None:
    def bundled(conversion_id: str, payout_minor: int, *, affiliate_id: str = "aff_1") -> dict[str, object]:
        books.conversion(conversion_id, affiliate_id=affiliate_id, payout_minor=payout_minor)
        jobs.accrue()
        jobs.bundle("2026-12")
        facts = request_of(runtime, books.payouts()[-1].id).facts
        clock.advance(seconds=1)
        return {name: facts[name] for name in ("amount_alone", "amount_base")}

    books.affiliate("aff_2")
    first = bundled("cnv_1", 600)
    other = bundled("cnv_2", 50, affiliate_id="aff_2")
    second = bundled("cnv_3", 500)
    books.change(Payout, books.payouts()[-1].id, state="rejected")
    third = bundled("cnv_4", 10)
    clock.advance(days=40)
    next_month = bundled("cnv_5", 7)

    assert (first, other) == (
        {"amount_alone": 600, "amount_base": 600},
        {"amount_alone": 50, "amount_base": 50},
    )
    assert second == {"amount_alone": 500, "amount_base": 1100}
    assert third == {"amount_alone": 10, "amount_base": 610}  # what was turned down does not count
    assert next_month == {"amount_alone": 7, "amount_base": 7}


def test_more_accruals_than_one_payout_takes_make_a_second_one(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "ACCRUALS_A_PAYOUT_MAX", 2)
    for number in range(3):
        books.conversion(f"cnv_{number}", payout_minor=100 + number)
    jobs.accrue()

    jobs.bundle("2026-10")

    assert sorted(payout.amount_minor for payout in books.payouts()) == [102, 201]


def test_four_bundlings_at_once_make_one_payout_an_affiliate(runtime: Runtime, books: Books) -> None:
    for number in range(3):
        books.affiliate(f"aff_r{number}")
        for sale in range(4):
            books.conversion(f"cnv_{number}_{sale}", affiliate_id=f"aff_r{number}")
    jobs.accrue()
    together = threading.Barrier(4)

    def bundle() -> None:
        together.wait(10)
        jobs.bundle("2026-10")

    threads = [threading.Thread(target=bundle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [payout.amount_minor for payout in books.payouts()] == [5000, 5000, 5000]
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ApprovalRequest)) == 3
        assert session.get_one(Affiliate, "aff_r0").version == 1
    assert unbundled(runtime) == set()
