"""Reads of approvals: the list, one person's inbox, one request with what is still missing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from approvals import deciding, requests, routing
from approvals.deciding import RequestState, StepState
from approvals.models import ApprovalDecision, ApprovalRequest, ApprovalStep
from core.http.paging import Page, page
from core.money import Money
from core.rows import existing
from partners.affiliates import masked


@dataclass(frozen=True)
class DecisionView:
    """One decision as it is shown."""

    id: str
    actor_id: str
    verdict: str
    comment: str | None
    content_hash: str
    decided_at: datetime


@dataclass(frozen=True)
class StepView:
    """One step as it is shown; `note` says in words why it was skipped, or that too few people may decide it."""

    id: str
    state: str
    need: int
    approvers: dict[str, Any]
    approver_ids: list[str]
    decisions: list[DecisionView]
    note: str | None


@dataclass(frozen=True)
class RequestView:
    """One request as it is shown: account numbers in `content` are masked, the hash is over the whole of them."""

    id: str
    subject: dict[str, str]
    title: str
    money: Money
    state: str
    steps: list[StepView]
    chain: str
    policy_version: int
    facts: dict[str, Any]
    content: dict[str, Any]
    content_hash: str
    is_unchanged: bool
    barred: list[str]
    created_at: datetime
    finished_at: datetime | None
    version: int

    def waits_for(self, staff_id: str) -> bool:
        """Say whether the person may decide now: he approves the open step and has not been counted yet."""
        decided = {each.actor_id for step in self.steps for each in step.decisions}
        return (
            self.state == RequestState.OPEN
            and staff_id not in decided
            and any(step.state == StepState.ACTIVE and staff_id in step.approver_ids for step in self.steps)
        )


def listed(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    states: Collection[str] = (),
    subject_id: str | None = None,
    waiting_for: str | None = None,
) -> Page[RequestView]:
    """Return requests, newest first, in any of `states`; `waiting_for` is a staff id: those he may decide now."""
    statement = sa.select(ApprovalRequest).options(
        selectinload(ApprovalRequest.steps), selectinload(ApprovalRequest.decisions)
    )
    if states:
        statement = statement.where(ApprovalRequest.state.in_(states))
    if subject_id is not None:
        statement = statement.where(ApprovalRequest.subject_id == subject_id)
    if waiting_for is not None:
        statement = statement.where(*_waiting_for(waiting_for))
    found = page(session, statement, ApprovalRequest.id, limit=limit, after=after)
    return Page([view(request) for request in found.items], found.next)


def one(session: Session, request_id: str) -> RequestView:
    """Return the request; raise NotFound when there is none."""
    return view(existing(session, ApprovalRequest, request_id))


def sums_waiting_for(session: Session, staff_id: str) -> list[tuple[int, Money]]:
    """Return how many requests wait for the person and how much they are, a currency each, by currency."""
    rows = session.execute(
        sa.select(
            ApprovalRequest.currency,
            sa.func.count(),
            sa.cast(sa.func.sum(ApprovalRequest.amount_minor), sa.BigInteger),
        )
        .where(*_waiting_for(staff_id))
        .group_by(ApprovalRequest.currency)
        .order_by(ApprovalRequest.currency)
    )
    return [(count, Money(amount_minor, currency)) for currency, count, amount_minor in rows]


def count_open(session: Session) -> int:
    """Return how many requests are open, whoever they wait for."""
    statement = sa.select(sa.func.count()).select_from(ApprovalRequest)
    return session.scalar(statement.where(ApprovalRequest.state == RequestState.OPEN)) or 0


def view(request: ApprovalRequest) -> RequestView:
    """Return `request` as it is shown."""
    return RequestView(
        id=request.id,
        subject={"kind": request.subject_kind, "id": request.subject_id},
        title=request.title,
        money=Money(request.amount_minor, request.currency),
        state=request.state,
        steps=_steps(request),
        chain=request.chain_id,
        policy_version=request.policy_version,
        facts=request.facts,
        content=_masked(request.content),
        content_hash=request.content_hash,
        is_unchanged=routing.content_hash(request.content) == request.content_hash,
        barred=request.barred,
        created_at=request.created_at,
        finished_at=request.finished_at,
        version=request.version,
    )


def _waiting_for(staff_id: str) -> Sequence[sa.ColumnElement[bool]]:
    # A JSON list read as text, quotes and all: the same on both databases, and open requests are few.
    names_him = sa.cast(ApprovalStep.approver_ids, sa.Text).contains(f'"{staff_id}"', autoescape=True)
    return (
        ApprovalRequest.state == RequestState.OPEN,
        sa.exists().where(
            ApprovalStep.request_id == ApprovalRequest.id, ApprovalStep.state == StepState.ACTIVE, names_him
        ),
        ~sa.exists().where(ApprovalDecision.request_id == ApprovalRequest.id, ApprovalDecision.actor_id == staff_id),
    )


def _steps(request: ApprovalRequest) -> list[StepView]:
    taken = requests.snapshot(request)
    return [
        StepView(
            id=row.step_id,
            state=row.state,
            need=row.need,
            approvers=row.approvers,
            approver_ids=row.approver_ids,
            decisions=[_decision(each) for each in request.decisions if each.step_id == row.step_id],
            note=row.reason or _shortage(request.state, deciding.missing(taken, step)),
        )
        for row, step in zip(request.steps, taken.steps, strict=True)
    ]


def _shortage(state: str, missing: int) -> str | None:
    if state != RequestState.OPEN or missing == 0:
        return None
    people = "1 more person who may decide is" if missing == 1 else f"{missing} more people who may decide are"
    return f"cannot pass: {people} needed; a step never passes by itself"


def _masked(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: masked(part) if name == "iban" else _masked(part) for name, part in content.items()}
    return [_masked(part) for part in content] if isinstance(content, list) else content


def _decision(row: ApprovalDecision) -> DecisionView:
    return DecisionView(row.id, row.actor_id, row.verdict, row.comment, row.content_hash, row.decided_at)
