"""One person's decision: lock the request, decide on plain values, write."""

from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciders, deciding, delegations, escalation, notices, opening, requests
from approvals.deciders import Deciders
from approvals.deciding import Accepted, Decided, Refusal, Refused, RequestState, Snapshot, Verdict, Word
from approvals.models import ApprovalDecision, ApprovalRequest
from approvals.notices import Event
from core import audit, doorbell
from core.actors import Actor
from core.audit import Act
from core.database import insert_new
from core.errors import Conflict, Forbidden, Problem
from core.rows import locked
from core.runtime import Runtime

IN_WORDS = {
    Refusal.NOT_OPEN: "this request is no longer open",
    Refusal.NOT_DELEGATED: "that person has not delegated this request to you, or not for now",
    Refusal.BARRED: "you may not decide this one: you made it, or changed what it pays to",
    Refusal.ALREADY_DECIDED: "you have decided this request already; one person counts once",
    Refusal.NOT_AN_APPROVER: "you are not among the approvers of the step that is open now",
    Refusal.CONTENT_CHANGED: "what is to be approved has changed since it was shown to you",
    Refusal.VERSION_MOVED: "somebody decided meanwhile; look at the request again",
}
_FOR_WHO_ASKS = {Refusal.NOT_DELEGATED, Refusal.BARRED, Refusal.NOT_AN_APPROVER}
_EVENTS = {
    RequestState.OPEN: Event.DECIDED,
    RequestState.APPROVED: Event.APPROVED,
    RequestState.REJECTED: Event.REJECTED,
}


@dataclass(frozen=True)
class Decision:
    """What a person sends: his verdict, a comment, and the version (and perhaps the content hash) he saw.

    `on_behalf_of` is whom he decides for as a delegate, `step` which of several open steps it is about; without them
    the first that fits.
    """

    verdict: Verdict
    version: int
    comment: str | None = None
    content_hash: str | None = None
    on_behalf_of: str | None = None
    step: str | None = None


@dataclass(frozen=True)
class ForcedDecision:
    """An admin's word at a step that does not name him: it counts as one person's, and says why."""

    verdict: Verdict
    version: int
    reason: str
    step: str | None = None


def decide(
    runtime: Runtime, session: Session, request_id: str, decision: Decision, *, actor: Actor
) -> Accepted | Refused:
    """Record the decision of `actor` and return where the request stands, or why it was not taken.

    Raise NotFound for a request there is not.
    """
    word = Word(
        actor.id,
        decision.verdict,
        decision.version,
        content_hash=decision.content_hash,
        on_behalf_of=decision.on_behalf_of,
        step_id=decision.step,
    )
    return _take(runtime, session, request_id, word, decision.comment, actor=actor)


def force(
    runtime: Runtime, session: Session, request_id: str, forced: ForcedDecision, *, actor: Actor
) -> Accepted | Refused:
    """Record the word of an admin whom the open step does not name; separation and the quorum hold for him too.

    Raise NotFound for a request there is not.
    """
    word = Word(actor.id, forced.verdict, forced.version, step_id=forced.step, is_forced=True)
    return _take(runtime, session, request_id, word, forced.reason, actor=actor)


def problem(refused: Refused) -> Problem:
    """Return the refusal as the problem a door answers with: Forbidden for who asks, Conflict for when."""
    slug = refused.reason.value.replace("_", "-")
    kind = Forbidden if refused.reason in _FOR_WHO_ASKS else Conflict
    return kind(IN_WORDS[refused.reason], slug=slug)


@dataclass(frozen=True)
class _Saying:
    """One word being taken: who says what about which request, in which transaction."""

    runtime: Runtime
    session: Session
    request: ApprovalRequest
    word: Word
    comment: str | None
    actor: Actor


def _take(
    runtime: Runtime, session: Session, request_id: str, word: Word, comment: str | None, *, actor: Actor
) -> Accepted | Refused:
    # Behind the lock its steps and decisions are as they are now, too.
    request = locked(session, ApprovalRequest, request_id)
    able = deciders.load(session)
    word = replace(
        word,
        principals=delegations.principals(session, actor.id, request.facts, runtime.clock()),
        may_force=able.is_admin(actor.id),
    )
    before = requests.present(session, request, able)
    outcome = deciding.after(before, word)
    if isinstance(outcome, Refused):
        return outcome
    saying = _Saying(runtime, session, request, word, comment, actor)
    if not _insert(saying, outcome):
        return Refused(Refusal.ALREADY_DECIDED)
    _move(saying, outcome)
    _log(saying, outcome)
    session.refresh(request)
    session.expire(request, ["steps", "decisions"])
    _go_on(saying, before, outcome, able)
    return outcome


def _insert(saying: _Saying, outcome: Accepted) -> bool:
    row = {
        "id": saying.runtime.new_id("dec"),
        "request_id": saying.request.id,
        "step_id": outcome.step_id,
        "actor_id": saying.word.actor_id,
        "on_behalf_of": outcome.on_behalf_of,
        "is_forced": saying.word.is_forced,
        "verdict": saying.word.verdict.value,
        "comment": saying.comment,
        "content_hash": saying.request.content_hash,
        "decided_at": saying.runtime.clock(),
    }
    return bool(insert_new(saying.session, ApprovalDecision, [row], key=["request_id", "actor_id"]))


def _move(saying: _Saying, outcome: Accepted) -> None:
    request, seen = saying.request, saying.word.version
    for row, step in zip(request.steps, outcome.steps, strict=True):
        row.state = step.state
    is_finished = outcome.state is not RequestState.OPEN
    # Conditional even behind the lock: should the lock ever fail to hold, the second decision fails with it.
    moved = saying.session.execute(
        sa.update(ApprovalRequest)
        .where(
            ApprovalRequest.id == request.id,
            ApprovalRequest.version == seen,
            ApprovalRequest.state == RequestState.OPEN,
        )
        .values(
            state=outcome.state,
            version=seen + 1,
            finished_at=saying.runtime.clock() if is_finished else None,
        )
        .returning(ApprovalRequest.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not moved:
        raise Conflict(IN_WORDS[Refusal.VERSION_MOVED], slug="version-moved")
    if is_finished:
        doorbell.after_commit(saying.session, opening.STAGE)


def _log(saying: _Saying, outcome: Accepted) -> None:
    word = saying.word
    verb = "forced" if word.is_forced else "decided"
    after = {
        "verdict": word.verdict,
        "step": outcome.step_id,
        "state": outcome.state,
        "version": word.version + 1,
        "content_hash": saying.request.content_hash,
    }
    audit.record(
        saying.session,
        Act(
            saying.actor, verb, "approval", saying.request.id, saying.runtime.clock(),
            before={"state": RequestState.OPEN, "version": word.version}, after=after, reason=saying.comment,
            on_behalf_of=outcome.on_behalf_of,
        ),
    )  # fmt: skip


def _go_on(saying: _Saying, before: Snapshot, outcome: Accepted, able: Deciders) -> None:
    """Open what the decision has opened, and tell the webhook."""
    word = saying.word
    taken = Decided(outcome.step_id, word.actor_id, word.verdict, outcome.on_behalf_of)
    now = replace(
        before,
        state=outcome.state,
        steps=outcome.steps,
        decisions=(*before.decisions, taken),
        version=word.version + 1,
    )
    if outcome.state is RequestState.OPEN:
        escalation.begin(saying.runtime, saying.session, saying.request, now, able)
    notices.tell(saying.runtime, saying.session, _EVENTS[outcome.state], saying.request)
