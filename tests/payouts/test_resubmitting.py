"""A rejected payout is asked about again, and what changes while it is asked about is asked anew."""

from collections.abc import Callable
from typing import Any

import pytest

from approvals.models import ApprovalRequest
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import jobs
from payouts.models import Payout
from postback.models import Conversion
from tests.conftest import Answer, Caller
from tests.payouts.books import IBANS, Books


@pytest.fixture
def ann(sign_in: Callable[..., Caller]) -> Caller:
    """Somebody of finance, who is there when the payout is asked about."""
    return sign_in("finance")


@pytest.fixture
def payout(books: Books, ann: Caller) -> Payout:
    """A payout of two conversions, 15.83 EUR, that waits for approval."""
    books.conversion("cnv_1")
    books.conversion("cnv_2", payout_minor=333)
    jobs.accrue()
    jobs.bundle("2026-10")
    [made] = books.payouts()
    return made


def reject(person: Caller, payout: Payout) -> None:
    path = f"/api/v1/approvals/{payout.approval_id}/decisions"
    assert person.post(path, {"verdict": "reject", "version": 1}).status_code == 200
    jobs.settle()


def resubmit(person: Caller, payout: Payout, **more: Any) -> Answer:
    body = {"version": payout.version, "reason": "the report was wrong", **more}
    return person.post(f"/api/v1/payouts/{payout.id}/resubmit", body)


def request_of(runtime: Runtime, payout: Payout) -> ApprovalRequest:
    with runtime.reading() as session:
        return session.get_one(ApprovalRequest, payout.approval_id)


def test_a_resubmitted_payout_has_a_new_request_that_names_the_old_one(
    runtime: Runtime, books: Books, payout: Payout, ann: Caller, sign_in: Callable[..., Caller]
) -> None:
    bob = sign_in("finance")
    reject(ann, payout)
    [rejected] = books.payouts()

    answer = resubmit(bob, rejected)

    [again] = books.payouts()
    request = request_of(runtime, again)
    assert (answer.status_code, answer.json["state"], answer.json["money"]["amount"]) == (200, "pending", "15.83")
    assert len(answer.json["accrual_ids"]) == 2
    assert (request.state, request.previous_id, request.content_hash) == (
        "open", payout.approval_id, again.content_hash,
    )  # fmt: skip
    assert bob.staff_id in request.barred
    # The old word is no word on the new question: who rejected may approve now, who resubmitted may not.
    path = f"/api/v1/approvals/{request.id}/decisions"
    assert bob.post(path, {"verdict": "approve", "version": 1}).status_code == 403
    assert ann.post(path, {"verdict": "approve", "version": 1}).json["state"] == "approved"


def test_what_stands_in_another_payout_by_now_is_not_paid_again(books: Books, payout: Payout, ann: Caller) -> None:
    reject(ann, payout)
    [rejected] = books.payouts()
    jobs.bundle("2026-10")

    answer = resubmit(ann, rejected)

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/nothing-to-pay")


def test_only_a_rejected_payout_seen_as_it_is_is_resubmitted_by_finance(
    books: Books, payout: Payout, ann: Caller, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    early = resubmit(ann, payout)
    reject(ann, payout)
    [rejected] = books.payouts()

    assert (early.status_code, early.json["type"]) == (409, "/problems/not-rejected")
    assert resubmit(ann, rejected, version=1).status_code == 409
    assert resubmit(ann, rejected, reason="").status_code == 422
    for refused in (sign_in("manager"), sign_in("admin"), sign_in("auditor"), machine):
        assert resubmit(refused, rejected).status_code == 403
    assert resubmit(ann, rejected).status_code == 200


@pytest.mark.parametrize("what", ["account", "hold"])
def test_what_changes_while_it_is_asked_about_is_voided_and_asked_anew(
    runtime: Runtime, books: Books, payout: Payout, ann: Caller, what: str
) -> None:
    if what == "account":
        books.change(Affiliate, "aff_1", payee_iban=IBANS[1])
    else:
        books.change(Conversion, "cnv_2", hold_reason="late")

    jobs.settle()

    [asked] = books.payouts()
    old, new = request_of(runtime, payout), request_of(runtime, asked)
    assert (old.state, new.state, new.previous_id) == ("voided", "open", old.id)
    assert asked.amount_minor == (1583 if what == "account" else 1250)
    late = ann.post(f"/api/v1/approvals/{old.id}/decisions", {"verdict": "approve", "version": 2})
    assert late.json["type"] == "/problems/not-open"
    jobs.settle()
    assert [each.approval_id for each in books.payouts()] == [new.id]  # and is left alone from then on
