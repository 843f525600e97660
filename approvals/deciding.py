"""What one person's word does to a request: pure, and the only place that moves a step or a request on."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never


class RequestState(StrEnum):
    """Where a request stands; only an open one takes decisions."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    VOIDED = "voided"


class StepState(StrEnum):
    """Where a step stands; at most one is active."""

    WAITING = "waiting"
    ACTIVE = "active"
    PASSED = "passed"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """A person's word."""

    APPROVE = "approve"
    REJECT = "reject"


class Refusal(StrEnum):
    """Why a decision was not taken, in the order the checks run."""

    NOT_OPEN = "not_open"
    BARRED = "barred"
    ALREADY_DECIDED = "already_decided"
    NOT_AN_APPROVER = "not_an_approver"
    CONTENT_CHANGED = "content_changed"
    VERSION_MOVED = "version_moved"


@dataclass(frozen=True)
class Step:
    """One step: `approver_ids` as resolved when the request opened, `role` what they must still have."""

    id: str
    role: str
    need: int
    approver_ids: frozenset[str]
    state: StepState


@dataclass(frozen=True)
class Decided:
    """One decision taken earlier."""

    step_id: str
    actor_id: str
    verdict: Verdict


@dataclass(frozen=True)
class Snapshot:
    """A request as it is now: `content_hash` is of what it was opened with, `present_hash` of what it says now."""

    state: RequestState
    steps: tuple[Step, ...]
    decisions: tuple[Decided, ...]
    content_hash: str
    present_hash: str
    barred: frozenset[str]
    version: int


@dataclass(frozen=True)
class Word:
    """What a person says, and about what: the version seen and, where it was sent along, the content hash seen."""

    actor_id: str
    roles: frozenset[str]
    verdict: Verdict
    version: int
    content_hash: str | None = None


@dataclass(frozen=True)
class Accepted:
    """The word counts, at `step_id`; these are the states after it."""

    step_id: str
    state: RequestState
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Refused:
    """The word does not count, and nothing changed."""

    reason: Refusal


def opened(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return `steps`, which wait or are skipped, with the first waiting one active."""
    for position, step in enumerate(steps):
        if step.state is StepState.WAITING:
            return (*steps[:position], replace(step, state=StepState.ACTIVE), *steps[position + 1 :])
    return steps


def after(request: Snapshot, word: Word) -> Accepted | Refused:
    """Return what `word` does to `request`. A person counts once per request, whatever roles he has."""
    active = next((step for step in request.steps if step.state is StepState.ACTIVE), None)
    checks = (
        (Refusal.NOT_OPEN, request.state is not RequestState.OPEN),
        (Refusal.BARRED, word.actor_id in request.barred),
        (Refusal.ALREADY_DECIDED, any(decided.actor_id == word.actor_id for decided in request.decisions)),
        # The list is frozen, but a role taken away since then takes the say away with it.
        (
            Refusal.NOT_AN_APPROVER,
            active is None or word.actor_id not in active.approver_ids or active.role not in word.roles,
        ),
        (
            Refusal.CONTENT_CHANGED,
            request.present_hash != request.content_hash or word.content_hash not in {None, request.content_hash},
        ),
        (Refusal.VERSION_MOVED, word.version != request.version),
    )
    refusal = next((reason for reason, applies in checks if applies), None)
    if refusal is not None or active is None:
        return Refused(refusal or Refusal.NOT_AN_APPROVER)
    return _accepted(request, active, word.verdict)


def missing(request: Snapshot, step: Step) -> int:
    """Return how many approvals `step` lacks beyond those its people can still give: 0 when it can pass.

    People who have decided in this request already cannot count again, at this step or a later one.
    """
    match step.state:
        case StepState.PASSED | StepState.REJECTED | StepState.SKIPPED:
            return 0
        case StepState.WAITING | StepState.ACTIVE:
            used = {decided.actor_id for decided in request.decisions}
            able = len(step.approver_ids - used - request.barred)
            return max(0, step.need - approvals_at(request, step.id) - able)
        case _:
            assert_never(step.state)


def approvals_at(request: Snapshot, step_id: str) -> int:
    """Return how many people have approved at the step."""
    return len({d.actor_id for d in request.decisions if d.step_id == step_id and d.verdict is Verdict.APPROVE})


def _accepted(request: Snapshot, active: Step, verdict: Verdict) -> Accepted:
    match verdict:
        case Verdict.REJECT:
            return Accepted(active.id, RequestState.REJECTED, _with(request.steps, active, StepState.REJECTED))
        case Verdict.APPROVE:
            if approvals_at(request, active.id) + 1 < active.need:
                return Accepted(active.id, RequestState.OPEN, request.steps)
            steps = opened(_with(request.steps, active, StepState.PASSED))
            goes_on = any(step.state is StepState.ACTIVE for step in steps)
            return Accepted(active.id, RequestState.OPEN if goes_on else RequestState.APPROVED, steps)
        case _:
            assert_never(verdict)


def _with(steps: tuple[Step, ...], changed: Step, state: StepState) -> tuple[Step, ...]:
    return tuple(replace(step, state=state) if step.id == changed.id else step for step in steps)
