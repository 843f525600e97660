"""Accruals moved to another category by people, on both databases: what was posted stays."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from approvals.models import ApprovalRequest
from core.audit import AuditEntry
from core.runtime import Runtime
from ledger import periods
from ledger.models import JournalEntry
from payouts import jobs
from payouts.models import Accrual, Payout, Recategorisation
from postback.models import Conversion
from tests.conftest import Answer, Caller
from tests.payouts.books import Books

SPRING = {"code": "6210", "name": "Spring", "account": "expense:commission:spring"}


@pytest.fixture
def accrued(books: Books) -> Books:
    """One conversion of 12.50, accrued in October without a category."""
    books.conversion("cnv_1")
    jobs.accrue()
    return books


def accrual(runtime: Runtime, kind: str = "accrue") -> Accrual:
    with runtime.reading() as session:
        return session.scalars(sa.select(Accrual).where(Accrual.kind == kind)).one()


def moved(caller: Caller, runtime: Runtime, **values: Any) -> Answer:
    body = {"category": SPRING, "reason": "Spring campaign", "version": 1, **values}
    return caller.post(f"/api/v1/accruals/{accrual(runtime).id}/category", body)


def states(runtime: Runtime) -> list[str]:
    with runtime.reading() as session:
        return sorted(session.scalars(sa.select(ApprovalRequest.state)))


def test_a_correction_moves_the_expense_and_leaves_what_was_posted(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    assert [each["conversion_id"] for each in finance.get("/api/v1/accruals?uncategorised=true").json["items"]] == [
        "cnv_1"
    ]

    answer = moved(finance, runtime)

    assert answer.status_code == 200
    assert (answer.json["category"], answer.json["version"]) == (SPRING, 2)
    assert answer.json["categorised_by"] == finance.staff_id
    assert accrued.balances() == {"expense:commission:spring": 1250, "payable:affiliate": -1250}
    assert finance.get("/api/v1/accruals?uncategorised=true").json["items"] == []
    with runtime.reading() as session:
        entries = session.scalars(sa.select(JournalEntry).order_by(JournalEntry.kind)).all()
        assert [(entry.kind, entry.period) for entry in entries] == [
            ("accrual", "2026-10"),
            ("recategorisation", "2026-10"),
        ]
        lines = [(line.account, line.amount_minor) for line in entries[1].lines]
        assert lines == [("expense:commission:spring", 1250), ("expense:uncategorised", -1250)]
        act = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "recategorised")).one()
        assert (act.actor_id, act.reason, act.after) == (finance.staff_id, "Spring campaign", SPRING)
        kept = session.scalars(sa.select(Recategorisation)).one()
        assert (kept.before["code"], kept.after, kept.created_by) == ("uncategorised", SPRING, finance.staff_id)


def test_what_is_taken_back_later_follows_to_the_new_category(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    moved(sign_in("finance"), runtime)
    accrued.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)

    jobs.accrue()

    assert accrual(runtime, "clawback").category_code == "6210"
    assert accrued.balances() == {}


def test_a_closed_month_gets_its_correction_in_the_current_one(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        periods.held_for_closing(session, "2026-10").state = "closed"

    assert moved(sign_in("finance"), runtime).status_code == 200

    with runtime.reading() as session:
        entry = session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "recategorisation")).one()
        assert (entry.period, str(entry.occurred_on)) == ("2026-11", "2026-10-05")


@pytest.mark.parametrize("is_approved", [False, True])
def test_what_was_asked_about_its_payout_is_void_and_asked_anew_without_who_moved_it(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller], *, is_approved: bool
) -> None:
    mover, other = sign_in("finance"), sign_in("finance")
    jobs.bundle("2026-10")
    [payout] = accrued.payouts()
    path = f"/api/v1/approvals/{payout.approval_id}/decisions"
    if is_approved:
        assert other.post(path, {"verdict": "approve", "version": 1}).status_code in {200, 201}
        jobs.settle()
        assert [each.state for each in accrued.payouts()] == ["approved"]

    assert moved(mover, runtime).status_code == 200

    [payout] = accrued.payouts()
    assert states(runtime) == ["open", "voided"]
    assert (payout.state, payout.category_codes) == ("pending", ["6210"])
    with runtime.reading() as session:
        fresh = session.get_one(ApprovalRequest, payout.approval_id)
        assert (fresh.state, fresh.content_hash) == ("open", payout.content_hash)
        assert mover.staff_id in fresh.barred
    path = f"/api/v1/approvals/{payout.approval_id}/decisions"
    assert mover.post(path, {"verdict": "approve", "version": 1}).status_code == 403
    assert other.post(path, {"verdict": "approve", "version": 1}).status_code in {200, 201}
    jobs.settle()
    assert [each.state for each in accrued.payouts()] == ["approved"]


@pytest.mark.parametrize("state", ["batched", "sent"])
def test_a_payout_on_its_way_keeps_its_categories(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller], state: str
) -> None:
    jobs.bundle("2026-10")
    accrued.change(Payout, accrued.payouts()[0].id, state=state)

    answer = moved(sign_in("finance"), runtime)

    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (409, "payout-on-its-way")
    assert accrued.balances() == {"expense:uncategorised": 1250, "payable:affiliate": -1250}


def test_a_rejection_is_not_overridden_by_another_category(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    mover, other = sign_in("finance"), sign_in("finance")
    jobs.bundle("2026-10")
    path = f"/api/v1/approvals/{accrued.payouts()[0].approval_id}/decisions"
    other.post(path, {"verdict": "reject", "comment": "no", "version": 1})

    assert moved(mover, runtime).status_code == 409
    jobs.settle()
    assert moved(mover, runtime).status_code == 200
    assert [each.state for each in accrued.payouts()] == ["rejected"]


def test_finance_alone_moves_and_says_why_from_what_it_saw(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance")

    refused = [moved(sign_in(role), runtime).status_code for role in ("admin", "manager", "auditor")]

    assert refused == [403, 403, 403]
    assert moved(machine, runtime).status_code == 403
    assert moved(finance, runtime, reason=" ").status_code == 422
    assert moved(finance, runtime, category={**SPRING, "account": "bank:x"}).json["errors"][0]["field"] == (
        "category.account"
    )
    assert moved(finance, runtime, version=2).status_code == 409
    assert moved(finance, runtime).status_code == 200
    assert moved(finance, runtime).status_code == 409
    assert moved(finance, runtime, version=2).status_code == 422
    assert (
        finance.post("/api/v1/accruals/acr_0/category", {"category": SPRING, "reason": "x", "version": 1}).json[
            "status"
        ]
        == 404
    )


def test_the_record_of_who_moved_what_is_never_edited(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    moved(sign_in("finance"), runtime)

    with pytest.raises(DBAPIError), runtime.transaction() as session:
        session.execute(sa.update(Recategorisation).values(reason="another"))
