"""Settlement on both databases: what was decided, what changed since, what the bank shows."""

from collections.abc import Callable
from datetime import date

import pytest
import sqlalchemy as sa

from approvals.models import ApprovalPolicy, ApprovalRequest
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import jobs, settlement
from payouts.models import Accrual, Batch, BatchItem, Payout
from postback.models import Conversion
from tests.conftest import Caller
from tests.payouts.books import IBANS, Books

BANK = "DE02120300000000202051"


@pytest.fixture
def finance(sign_in: Callable[..., Caller]) -> Caller:
    """Who approves: there before anything is asked, for approvers are settled when a request opens."""
    return sign_in("finance")


def bundled(books: Books, *conversion_ids: str) -> Payout:
    for conversion_id in conversion_ids or ("cnv_1",):
        books.conversion(conversion_id)
    jobs.accrue()
    jobs.bundle("2026-10")
    return books.payouts()[-1]


def decide(finance: Caller, approval_id: str | None, verdict: str = "approve") -> None:
    answer = finance.post(
        f"/api/v1/approvals/{approval_id}/decisions", {"verdict": verdict, "comment": "seen", "version": 1}
    )
    assert answer.status_code == 200, answer.text


def requests_of(runtime: Runtime, payout_id: str) -> list[tuple[str, bool]]:
    with runtime.reading() as session:
        rows = session.scalars(
            sa.select(ApprovalRequest)
            .where(ApprovalRequest.subject_id == payout_id)
            .order_by(ApprovalRequest.created_at, ApprovalRequest.state.desc())
        )
        return [(request.state, request.taken_at is not None) for request in rows]


def free_accruals(runtime: Runtime) -> list[str]:
    with runtime.reading() as session:
        statement = sa.select(Accrual.conversion_id).where(Accrual.payout_id.is_(None))
        return list(session.scalars(statement.order_by(Accrual.conversion_id)))


def test_what_was_approved_may_be_paid_and_is_taken_once(runtime: Runtime, books: Books, finance: Caller) -> None:
    payout = bundled(books)
    decide(finance, payout.approval_id)

    jobs.settle()
    jobs.settle()

    [payout] = books.payouts()
    assert (payout.state, payout.version) == ("approved", 2)
    assert requests_of(runtime, payout.id) == [("approved", True)]


def test_what_was_rejected_frees_its_accruals_and_the_next_bundling_asks_anew(
    runtime: Runtime, books: Books, finance: Caller
) -> None:
    payout = bundled(books)
    decide(finance, payout.approval_id, "reject")

    jobs.settle()

    assert [payout.state for payout in books.payouts()] == ["rejected"]
    assert free_accruals(runtime) == ["cnv_1"]
    jobs.bundle("2026-10")
    assert sorted(payout.state for payout in books.payouts()) == ["pending", "rejected"]


def test_what_a_policy_approves_goes_the_same_way(runtime: Runtime, books: Books) -> None:
    with runtime.transaction() as session:
        session.execute(
            sa.update(ApprovalPolicy).values(content={"chains": [{"id": "default", "when": {}, "steps": []}]})
        )
    payout = bundled(books)
    assert payout.state == "pending"

    jobs.settle()

    assert [payout.state for payout in books.payouts()] == ["approved"]


def test_an_account_changed_before_the_approval_takes_effect_voids_it_and_asks_anew(
    runtime: Runtime, books: Books, finance: Caller
) -> None:
    payout = bundled(books)
    decide(finance, payout.approval_id)
    books.change(Affiliate, "aff_1", payee_iban=IBANS[2])

    with runtime.transaction() as session:  # this step alone: a later one would find the change as well
        assert settlement.take_finished(runtime, session)

    [asked] = books.payouts()
    assert (asked.state, asked.payee_iban) == ("pending", IBANS[2])
    assert asked.approval_id != payout.approval_id
    assert asked.content_hash != payout.content_hash
    assert requests_of(runtime, payout.id) == [("voided", True), ("open", False)]
    decide(finance, asked.approval_id)
    jobs.settle()
    assert [payout.state for payout in books.payouts()] == ["approved"]


def test_an_account_changed_after_the_approval_voids_it_too(runtime: Runtime, books: Books, finance: Caller) -> None:
    payout = bundled(books)
    decide(finance, payout.approval_id)
    jobs.settle()
    books.change(Affiliate, "aff_1", payee_iban=IBANS[2])

    jobs.settle()

    assert [(payout.state, payout.payee_iban) for payout in books.payouts()] == [("pending", IBANS[2])]
    assert requests_of(runtime, payout.id) == [("voided", True), ("open", False)]


def test_a_conversion_put_on_hold_leaves_its_payout_and_the_rest_is_asked_anew(
    runtime: Runtime, books: Books, finance: Caller
) -> None:
    payout = bundled(books, "cnv_1", "cnv_2")
    decide(finance, payout.approval_id)
    books.change(Conversion, "cnv_2", hold_reason="conflict")

    jobs.settle()

    [asked] = books.payouts()
    assert (asked.state, asked.amount_minor) == ("pending", 1250)
    assert free_accruals(runtime) == ["cnv_2"]


def test_a_payout_of_an_affiliate_suspended_since_is_cancelled_and_its_accruals_wait(
    runtime: Runtime, books: Books, finance: Caller
) -> None:
    payout = bundled(books)
    decide(finance, payout.approval_id)
    jobs.settle()
    books.change(Affiliate, "aff_1", status="suspended")

    jobs.settle()

    assert [payout.state for payout in books.payouts()] == ["cancelled"]
    assert free_accruals(runtime) == ["cnv_1"]
    assert requests_of(runtime, payout.id) == [("voided", True)]


def test_the_bank_line_settles_item_payout_and_at_last_the_batch_once(
    runtime: Runtime, books: Books, finance: Caller, sign_in: Callable[..., Caller]
) -> None:
    books.affiliate("aff_2")
    books.conversion("cnv_1")
    books.conversion("cnv_2", affiliate_id="aff_2")
    jobs.accrue()
    jobs.bundle("2026-10")
    releaser = sign_in("finance")
    for payout in books.payouts():
        decide(finance, payout.approval_id)
    jobs.settle()
    batch = finance.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"}).json
    payout_ids = [item["payout_id"] for item in batch["items"]]

    assert settle(runtime, payout_ids[0], "bl_1") == "refused"  # it has not been sent
    releaser.post(f"/api/v1/batches/{batch['id']}/release", {"version": 1})
    assert settle(runtime, payout_ids[0], "bl_1") == "settled"
    assert settle(runtime, payout_ids[0], "bl_1") == "already"
    assert settle(runtime, payout_ids[0], "bl_2") == "refused"  # another line cannot have paid it as well
    with runtime.reading() as session:
        assert session.get_one(Batch, batch["id"]).state == "released"
    assert settle(runtime, payout_ids[1], "bl_2") == "settled"

    with runtime.reading() as session:
        assert session.get_one(Batch, batch["id"]).state == "settled"
    assert {payout.state for payout in books.payouts()} == {"settled"}
    assert books.balances() == {"expense:uncategorised": 2500, f"bank:{BANK}": -2500}
    assert len(finance.get("/api/v1/accruals?state=paid").json["items"]) == 2


def settle(runtime: Runtime, payout_id: str, bank_line_id: str) -> str:
    with runtime.transaction() as session:
        item = session.scalars(sa.select(BatchItem).where(BatchItem.payout_id == payout_id)).one()
        return settlement.settle(
            runtime,
            session,
            item,
            bank_line_id=bank_line_id,
            bank_account=BANK,
            settled_on=date(2026, 11, 3),
        )
