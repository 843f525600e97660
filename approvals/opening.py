"""Opening requests: many subjects are routed and stored at once, with what was resolved then frozen on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciders, notices, routing
from approvals.deciders import Deciders
from approvals.deciding import RequestState, StepState
from approvals.models import ApprovalPolicy, ApprovalRequest, ApprovalStep
from approvals.notices import Event
from approvals.routing import Route, RoutedStep, Subject
from core import audit, bulk, doorbell, versions
from core.actors import Actor, ActorKind
from core.audit import Act
from core.database import table_of
from core.errors import Conflict
from core.runtime import Runtime

STAGE = "settlement"
REASON_LENGTH_MAX = 300
# Part of a timeout after which those who have not decided are reminded.
REMIND_AFTER = 0.75
_IDS_A_STATEMENT = 500


@dataclass(frozen=True)
class Opened:
    """A request just made: `state` is open, or approved where its chain asks nobody."""

    id: str
    subject_id: str
    chain_id: str
    state: RequestState


@dataclass(frozen=True)
class _Asking:
    """What is the same for every request that is opened together."""

    runtime: Runtime
    able: Deciders
    policy_version: int
    created_by: str
    now: datetime


@dataclass(frozen=True)
class _Made:
    request: dict[str, Any]
    steps: list[dict[str, Any]]


def open_many(
    runtime: Runtime,
    session: Session,
    subjects: Sequence[Subject],
    *,
    created_by: str,
    previous_ids: Mapping[str, str | None] | None = None,
) -> list[Opened]:
    """Ask for approval of `subjects` under the active policy, in their order.

    Raise Conflict, and store nothing, when one of them has an open request already. Who may decide is resolved and
    frozen now, without the barred and without `created_by`. Where too few may decide a step, those it escalates to are
    asked at once; a step nobody may decide waits for ever rather than pass. A chain without steps approves at once, on
    the record.
    """
    _refuse_open(session, subjects)
    policy = versions.active(session, ApprovalPolicy)
    route = routing.router(policy.content)
    able = deciders.load(session)
    now = runtime.clock()
    asking = _Asking(runtime, able, policy.version, created_by, now)
    made = [_made(asking, subject, route(subject.facts)) for subject in subjects]
    for each in made:
        each.request["previous_id"] = (previous_ids or {}).get(each.request["subject_id"])
    session.flush()
    bulk.insert(session, table_of(ApprovalRequest), [each.request for each in made])
    bulk.insert(session, table_of(ApprovalStep), [step for each in made for step in each.steps])
    _record(runtime, session, made, now)
    return [
        Opened(row["id"], row["subject_id"], row["chain_id"], RequestState(row["state"]))
        for row in (each.request for each in made)
    ]


@lru_cache(maxsize=64)
def times(timeout_s: int | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return when a step that opens now reminds, and when it escalates; None for one without a timeout."""
    if timeout_s is None:
        return None, None
    return now + timedelta(seconds=timeout_s * REMIND_AFTER), now + timedelta(seconds=timeout_s)


def _refuse_open(session: Session, subjects: Sequence[Subject]) -> None:
    for start in range(0, len(subjects), _IDS_A_STATEMENT):
        chunk = subjects[start : start + _IDS_A_STATEMENT]
        statement = sa.select(ApprovalRequest.subject_kind, ApprovalRequest.subject_id).where(
            ApprovalRequest.subject_id.in_([subject.id for subject in chunk]),
            ApprovalRequest.subject_kind.in_({subject.kind for subject in chunk}),
            ApprovalRequest.state == RequestState.OPEN,
        )
        found = {(row.subject_kind, row.subject_id) for row in session.execute(statement)}
        taken = next((subject for subject in chunk if (subject.kind, subject.id) in found), None)
        if taken is not None:
            message = f"{taken.kind} {taken.id} has an open approval request already"
            raise Conflict(message)


def _made(asking: _Asking, subject: Subject, route: Route) -> _Made:
    barred = subject.barred | {asking.created_by}
    request_id = asking.runtime.new_id("apr")
    is_approved = route.is_approved_by_policy
    facts = routing.plain(subject.facts)
    first = min((step.stage for step in route.steps if step.skipped is None), default=0)
    request = {
        "id": request_id,
        "subject_kind": subject.kind,
        "subject_id": subject.id,
        "amount_minor": subject.money.amount_minor,
        "currency": subject.money.currency,
        "title": subject.title,
        "facts": facts,
        "content": dict(subject.content),
        "content_hash": routing.content_hash(subject.content),
        "barred": sorted(barred),
        "policy_version": asking.policy_version,
        "chain_id": route.chain_id,
        "state": (RequestState.APPROVED if is_approved else RequestState.OPEN).value,
        "created_at": asking.now,
        "finished_at": asking.now if is_approved else None,
        "version": 1,
    }
    steps = [
        {"request_id": request_id, "position": position}
        | _step(asking, step, facts, barred, begins=step.skipped is None and step.stage == first)
        for position, step in enumerate(route.steps, start=1)
    ]
    return _Made(request, steps)


def _step(
    asking: _Asking, step: RoutedStep, facts: Mapping[str, Any], barred: frozenset[str], *, begins: bool
) -> dict[str, Any]:
    able = asking.able
    asked = step.skipped is None
    whom = able.who(step.approvers, facts) if asked else []
    # Mostly nobody of them is barred, and one list then serves every request of a batch.
    ids = whom if barred.isdisjoint(whom) else [each for each in whom if each not in barred]
    added: dict[str, str] = {}
    if begins and len(ids) < step.need:
        more = able.who(step.escalate, facts)
        added = {each: "escalated" for each in more if each not in barred and each not in ids}
    remind_at, due_at = times(step.timeout_s, asking.now) if begins else (None, None)
    state = StepState.ACTIVE if begins else StepState.WAITING if asked else StepState.SKIPPED
    return {
        "step_id": step.id,
        "stage": step.stage,
        "approvers": step.approvers,
        "approver_ids": ids,
        "added": added,
        "need": step.need,
        "state": state.value,
        "reason": None if step.skipped is None else step.skipped[:REASON_LENGTH_MAX],
        "timeout_s": step.timeout_s,
        "escalate": step.escalate,
        "due_at": due_at,
        "remind_at": remind_at,
        "escalations": 1 if added else 0,
    }


def _record(runtime: Runtime, session: Session, made: Sequence[_Made], now: datetime) -> None:
    """Log what a policy decided or widened, ring for what is finished already, and tell the webhook."""
    events: list[tuple[Event, Mapping[str, Any]]] = []
    for each in made:
        request = each.request
        is_approved = request["state"] == RequestState.APPROVED
        events.append((Event.APPROVED if is_approved else Event.OPENED, request))
        policy = f"policy:{request['policy_version']}/{request['chain_id']}"
        actor = Actor(ActorKind.POLICY, policy)
        if is_approved:
            after = {"state": request["state"], "content_hash": request["content_hash"]}
            audit.record(session, Act(actor, "approved", "approval", request["id"], now, after=after))
            doorbell.after_commit(session, STAGE)
        for step in each.steps:
            if step["added"]:
                after = {"step": step["step_id"], "added": sorted(step["added"])}
                reason = "too few people may decide this step"
                audit.record(session, Act(actor, "escalated", "approval", request["id"], now, None, after, reason))
    notices.publish(runtime, session, events)
