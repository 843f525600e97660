"""Reads of approvals: the list, one person's inbox, one request with what is still missing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from approvals import deciders, deciding, delegations, inbox, requests, routing, separation
from approvals.deciders import Deciders
from approvals.deciding import RequestState
from approvals.models import ApprovalComment, ApprovalDecision, ApprovalRequest
from core.http.paging import Page, page
from core.money import Money
from core.rows import existing
from partners.affiliates import masked


@dataclass(frozen=True)
class DecisionView:
    """One decision as it is shown."""

    id: str
    actor_id: str
    on_behalf_of: str | None
    is_forced: bool
    verdict: str
    comment: str | None
    content_hash: str
    decided_at: datetime


@dataclass(frozen=True)
class StepView:
    """One step as it is shown; `note` says in words why it was skipped, or that too few people may decide it."""

    id: str
    stage: int
    state: str
    need: int
    approvers: dict[str, Any]
    approver_ids: list[str]
    added: dict[str, str]
    due_at: datetime | None
    decisions: list[DecisionView]
    note: str | None

    @property
    def principals(self) -> list[str]:
        """Return the ids of those for whom delegates have decided it."""
        return [each.on_behalf_of for each in self.decisions if each.on_behalf_of is not None]


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
    previous_id: str | None
    version: int

    @property
    def said(self) -> list[DecisionView]:
        """Return every decision, in the order they were taken."""
        return sorted((each for step in self.steps for each in step.decisions), key=lambda each: each.id)


def listed(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    states: Collection[str] = (),
    subject_id: str | None = None,
    waiting_for: str | None = None,
    now: datetime,
) -> Page[RequestView]:
    """Return requests, newest first, in any of `states`; `waiting_for` is a staff id: those he may decide at `now`."""
    statement = sa.select(ApprovalRequest).options(
        selectinload(ApprovalRequest.steps), selectinload(ApprovalRequest.decisions)
    )
    if states:
        statement = statement.where(ApprovalRequest.state.in_(states))
    if subject_id is not None:
        statement = statement.where(ApprovalRequest.subject_id == subject_id)
    if waiting_for is not None:
        statement = statement.where(inbox.waits_for(session, waiting_for, now))
    found = page(session, statement, ApprovalRequest.id, limit=limit, after=after)
    return Page(views(session, found.items), found.next)


def one(session: Session, request_id: str) -> RequestView:
    """Return the request; raise NotFound when there is none."""
    return views(session, [existing(session, ApprovalRequest, request_id)])[0]


def may_decide(session: Session, request_id: str, staff_id: str, now: datetime) -> bool:
    """Say whether the person's word would count now, for himself or for somebody who has delegated to him."""
    request = existing(session, ApprovalRequest, request_id)
    snapshot = requests.present(session, request, deciders.load(session))
    return deciding.may_decide(snapshot, staff_id, delegations.principals(session, staff_id, request.facts, now))


def comments(session: Session, request_id: str) -> Sequence[ApprovalComment]:
    """Return what was said about the request, in order."""
    statement = sa.select(ApprovalComment).where(ApprovalComment.request_id == request_id).order_by(ApprovalComment.id)
    return session.scalars(statement).all()


def sums_waiting_for(session: Session, staff_id: str, now: datetime) -> list[tuple[int, Money]]:
    """Return how many requests wait for the person and how much they are, a currency each, by currency."""
    rows = session.execute(
        sa.select(
            ApprovalRequest.currency,
            sa.func.count(),
            sa.cast(sa.func.sum(ApprovalRequest.amount_minor), sa.BigInteger),
        )
        .where(inbox.waits_for(session, staff_id, now))
        .group_by(ApprovalRequest.currency)
        .order_by(ApprovalRequest.currency)
    )
    return [(count, Money(amount_minor, currency)) for currency, count, amount_minor in rows]


def count_open(session: Session) -> int:
    """Return how many requests are open, whoever they wait for."""
    statement = sa.select(sa.func.count()).select_from(ApprovalRequest)
    return session.scalar(statement.where(ApprovalRequest.state == RequestState.OPEN)) or 0


def views(session: Session, found: Iterable[ApprovalRequest]) -> list[RequestView]:
    """Return requests as they are shown."""
    rows = list(found)
    able, barred = deciders.load(session), separation.barred(session, rows)
    return [_view(request, able, barred[request.id]) for request in rows]


def _view(request: ApprovalRequest, able: Deciders, barred: frozenset[str]) -> RequestView:
    return RequestView(
        id=request.id,
        subject={"kind": request.subject_kind, "id": request.subject_id},
        title=request.title,
        money=Money(request.amount_minor, request.currency),
        state=request.state,
        steps=_steps(request, able, barred),
        chain=request.chain_id,
        policy_version=request.policy_version,
        facts=request.facts,
        content=_masked(request.content),
        content_hash=request.content_hash,
        is_unchanged=routing.content_hash(request.content) == request.content_hash,
        barred=sorted(barred),
        created_at=request.created_at,
        finished_at=request.finished_at,
        previous_id=request.previous_id,
        version=request.version,
    )


def _steps(request: ApprovalRequest, able: Deciders, barred: frozenset[str]) -> list[StepView]:
    taken = requests.snapshot(request, able, barred)
    return [
        StepView(
            id=row.step_id,
            stage=step.stage,
            state=row.state,
            need=row.need,
            approvers=row.approvers,
            approver_ids=[*row.approver_ids, *(each for each in row.added if each not in row.approver_ids)],
            added=row.added,
            due_at=row.due_at,
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
    return DecisionView(
        id=row.id,
        actor_id=row.actor_id,
        on_behalf_of=row.on_behalf_of,
        is_forced=row.is_forced,
        verdict=row.verdict,
        comment=row.comment,
        content_hash=row.content_hash,
        decided_at=row.decided_at,
    )
