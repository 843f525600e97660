"""Separation of duties is the database's: raw SQL that would break it fails, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from approvals.models import ApprovalDecision, ApprovalRequest, ApprovalVoice
from core.runtime import Runtime
from partners.models import Affiliate, PayeeEdit
from payouts.models import Batch, BatchItem, Payout
from tests.builders import Builder
from tests.conftest import Caller, TestClock

Open = Callable[..., str]


def decide(runtime: Runtime, request_id: str, actor_id: str, **more: Any) -> None:
    """Write a decision past all our code."""
    row = {
        "id": runtime.new_id("dec"), "request_id": request_id, "step_id": "finance", "actor_id": actor_id,
        "verdict": "approve", "content_hash": "sha256:00", "decided_at": runtime.clock(), **more,
    }  # fmt: skip
    with runtime.engine.begin() as connection:
        connection.execute(sa.insert(ApprovalDecision).values(**row))


def voices(runtime: Runtime, request_id: str) -> set[str]:
    with runtime.reading() as session:
        return set(session.scalars(sa.select(ApprovalVoice.human_id).where(ApprovalVoice.request_id == request_id)))


def test_a_human_being_is_heard_once_whether_he_speaks_or_is_spoken_for(runtime: Runtime, open_request: Open) -> None:
    request_id = open_request()
    decide(runtime, request_id, "stf_dan", on_behalf_of="stf_ann")

    for actor, principal in (
        ("stf_dan", None), ("stf_ann", None), ("stf_eve", "stf_ann"), ("stf_eve", "stf_dan"), ("stf_ann", "stf_bob"),
    ):  # fmt: skip
        with pytest.raises(IntegrityError):
            decide(runtime, request_id, actor, on_behalf_of=principal)
    with pytest.raises(IntegrityError, match="decided for himself"):
        decide(runtime, request_id, "stf_bob", on_behalf_of="stf_bob")

    assert voices(runtime, request_id) == {"stf_ann", "stf_dan"}
    decide(runtime, request_id, "stf_bob")
    assert voices(runtime, request_id) == {"stf_ann", "stf_dan", "stf_bob"}


@pytest.mark.parametrize("principal", [None, "stf_maker"])
def test_who_made_it_is_refused_as_actor_and_as_principal(
    runtime: Runtime, open_request: Open, principal: str | None
) -> None:
    request_id = open_request(created_by="stf_maker")

    with pytest.raises(IntegrityError, match="is barred from this request"):
        decide(runtime, request_id, "stf_maker" if principal is None else "stf_dan", on_behalf_of=principal)

    assert voices(runtime, request_id) == set()


def test_who_edited_the_account_in_the_thirty_days_before_is_refused_whatever_time_the_decision_claims(
    runtime: Runtime, open_request: Open, clock: TestClock
) -> None:
    with runtime.transaction() as session:
        affiliate = Builder(runtime, session).affiliate()
        edits = {"stf_new": timedelta(days=29, hours=23), "stf_old": timedelta(days=30, seconds=2)}
        session.add_all(
            PayeeEdit(affiliate_id=affiliate.id, edited_at=clock() - ago, edited_by=who) for who, ago in edits.items()
        )
        affiliate_id = affiliate.id
    request_id = open_request(facts={"affiliate_id": affiliate_id})
    later = clock() + timedelta(days=400)

    for more in ({}, {"on_behalf_of": "stf_new"}):
        with pytest.raises(IntegrityError, match="edited the account"):
            decide(runtime, request_id, "stf_dan" if more else "stf_new", decided_at=later, **more)
    decide(runtime, request_id, "stf_old")

    assert voices(runtime, request_id) == {"stf_old"}


def test_who_edits_the_account_after_the_request_was_opened_is_told_and_refused(
    runtime: Runtime, sign_in: Callable[..., Caller], open_request: Open
) -> None:
    ann = sign_in("finance", "admin")
    with runtime.transaction() as session:
        affiliate_id = Builder(runtime, session).affiliate().id
    request_id = open_request(facts={"affiliate_id": affiliate_id})
    payee = {"name": "Blog One GmbH", "iban": "FR1420041010050500013M02606"}

    ann.patch(f"/api/v1/affiliates/{affiliate_id}", {"payee": payee, "version": 1})
    answer = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    assert (answer.status_code, answer.json["type"]) == (403, "/problems/barred")
    with runtime.reading() as session:
        assert session.get_one(Affiliate, affiliate_id).payee_changed_by == ann.staff_id
    with pytest.raises(IntegrityError, match="edited the account"):
        decide(runtime, request_id, ann.staff_id)


def test_whoever_sets_a_new_affiliates_account_is_an_editor_of_it(
    runtime: Runtime, sign_in: Callable[..., Caller]
) -> None:
    ada = sign_in("admin")
    payee = {"name": "Blog One GmbH", "iban": "DE89370400440532013000"}

    ada.post("/api/v1/affiliates", {"name": "With", "currency": "EUR", "payee": payee})
    ada.post("/api/v1/affiliates", {"name": "Without", "currency": "EUR"})

    with runtime.reading() as session:
        assert session.scalars(sa.select(PayeeEdit.edited_by)).all() == [ada.staff_id]


def approved_payout(runtime: Runtime) -> tuple[str, str]:
    """Return the ids of an approved payout and of its request, which stf_ann has decided."""
    with runtime.transaction() as session:
        builder = Builder(runtime, session)
        payout = builder.payout(builder.affiliate(), 1250, state="approved")
        request = builder.approval(payout, "stf_ann")
        return payout.id, request.id


def batch_of(runtime: Runtime, payout_id: str, released_by: str | None) -> str:
    with runtime.transaction() as session:
        batch = Batch(
            id=runtime.new_id("bat"), method="sepa", currency="EUR", state="building", created_at=runtime.clock(),
            created_by="stf_one", released_by=released_by, debtor_name="We", debtor_iban="DE02120300000000202051",
        )  # fmt: skip
        session.add(batch)
        session.flush()
        session.add(
            BatchItem(batch_id=batch.id, payout_id=payout_id, end_to_end_id=batch.id, amount_minor=1, state="live")
        )
        return batch.id


def test_who_decided_a_payout_releases_no_batch_with_it(runtime: Runtime) -> None:
    payout_id, _request_id = approved_payout(runtime)
    batch_id = batch_of(runtime, payout_id, None)

    with pytest.raises(IntegrityError, match="who releases has decided"), runtime.engine.begin() as connection:
        connection.execute(sa.update(Batch).where(Batch.id == batch_id).values(released_by="stf_ann"))
    with runtime.engine.begin() as connection:
        connection.execute(sa.update(Batch).where(Batch.id == batch_id).values(released_by="stf_two"))


def test_no_payout_joins_a_batch_that_its_decider_has_released(runtime: Runtime) -> None:
    payout_id, _request_id = approved_payout(runtime)

    with pytest.raises(IntegrityError, match="who released has decided"):
        batch_of(runtime, payout_id, "stf_ann")


def test_who_released_a_payout_decides_nothing_about_it(runtime: Runtime, open_request: Open) -> None:
    with runtime.transaction() as session:
        builder = Builder(runtime, session)
        payout_id = builder.payout(builder.affiliate(), 1250, state="approved").id
    request_id = open_request(payout_id)
    batch_of(runtime, payout_id, "stf_two")

    with pytest.raises(IntegrityError, match="has released it"):
        decide(runtime, request_id, "stf_two")


@pytest.mark.parametrize(
    "change",
    [
        {"barred": []}, {"facts": {}}, {"content_hash": "sha256:11"}, {"policy_version": 1}, {"chain_id": "micro"},
        {"amount_minor": 1}, {"subject_id": "pay_2"}, {"created_at": "2020-01-01"},
    ],
)  # fmt: skip
def test_what_a_request_is_about_and_whom_it_bars_is_frozen(
    runtime: Runtime, open_request: Open, change: dict[str, Any]
) -> None:
    request_id = open_request()
    if "created_at" in change:
        change = {"created_at": runtime.clock() - timedelta(days=99)}

    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(sa.update(ApprovalRequest).where(ApprovalRequest.id == request_id).values(**change))


def test_no_statement_approves_a_request_without_its_people(runtime: Runtime, open_request: Open) -> None:
    request_id = open_request()

    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(sa.update(ApprovalRequest).where(ApprovalRequest.id == request_id).values(state="approved"))
    # Nor does one that lets its steps pass before.
    with runtime.engine.begin() as connection:
        connection.execute(sa.text("UPDATE approval_steps SET state = 'passed'"))
    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(sa.text("UPDATE approval_requests SET state = 'approved'"))


def test_who_was_heard_is_never_taken_back(runtime: Runtime, open_request: Open) -> None:
    decide(runtime, open_request(), "stf_ann")

    for statement in (
        "DELETE FROM approval_voices", "UPDATE approval_voices SET human_id = 'x'", "DELETE FROM approval_decisions",
        "DELETE FROM payee_edits WHERE 1 = 1",
    ):  # fmt: skip
        if "payee_edits" in statement:
            with runtime.transaction() as session:
                affiliate_id = Builder(runtime, session).affiliate().id
                session.add(PayeeEdit(affiliate_id=affiliate_id, edited_at=runtime.clock(), edited_by="x"))
        with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
            connection.execute(sa.text(statement))


def test_a_releaser_who_has_decided_is_told_so_at_the_door(runtime: Runtime, sign_in: Callable[..., Caller]) -> None:
    ann = sign_in("finance")
    with runtime.transaction() as session:
        builder = Builder(runtime, session)
        payout = builder.payout(builder.affiliate(), 1250, state="batched")
        builder.approval(payout, ann.staff_id)
        payout_id = payout.id
    batch_id = batch_of(runtime, payout_id, None)

    answer = ann.post(f"/api/v1/batches/{batch_id}/release", {"version": 1})

    assert (answer.status_code, answer.json["type"]) == (403, "/problems/has-decided")
    with runtime.reading() as session:
        assert session.get_one(Payout, payout_id).state == "batched"
