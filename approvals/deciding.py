"""What one person's word does to a request: pure, and the only place that moves a step or a request on."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never


class RequestState(StrEnum):
    """Where a request stands; only an open one takes decisions."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    VOIDED = "voided"


class StepState(StrEnum):
    """Where a step stands; those of one stage are active together."""

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
    NOT_DELEGATED = "not_delegated"
    BARRED = "barred"
    ALREADY_DECIDED = "already_decided"
    NOT_AN_APPROVER = "not_an_approver"
    CONTENT_CHANGED = "content_changed"
    VERSION_MOVED = "version_moved"


@dataclass(frozen=True)
class Step:
    """One step: who was resolved when the request opened or came later, and who of them may no longer decide.

    `unable` have lost since what made them approvers: their account, their role, their group or their limit.
    """

    id: str
    stage: int
    need: int
    approver_ids: frozenset[str]
    state: StepState
    unable: frozenset[str] = frozenset()

    @property
    def able(self) -> frozenset[str]:
        """Return the ids of those who may decide it."""
        return self.approver_ids - self.unable


@dataclass(frozen=True)
class Decided:
    """One decision taken earlier; a delegate's speaks for his principal."""

    step_id: str
    actor_id: str
    verdict: Verdict
    on_behalf_of: str | None = None

    @property
    def humans(self) -> frozenset[str]:
        """Return the ids of those who have had their say with it."""
        return frozenset({self.actor_id, self.on_behalf_of} - {None})  # type: ignore[arg-type]  # None is out


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

    @property
    def used(self) -> frozenset[str]:
        """Return the ids of those who count no more in this request: each human being counts once."""
        return frozenset().union(*(each.humans for each in self.decisions))


@dataclass(frozen=True)
class Word:
    """What a person says, and about what: the version seen and, where it was sent along, the content hash seen.

    `principals` are those for whom he may decide this request; `on_behalf_of` names one of them, and without it he
    speaks for himself where he can, else for the first. With `is_forced`, which takes `may_force`, he counts at a step
    that does not name him: as one person, like everybody.
    """

    actor_id: str
    verdict: Verdict
    version: int
    content_hash: str | None = None
    principals: frozenset[str] = field(default_factory=frozenset)
    on_behalf_of: str | None = None
    step_id: str | None = None
    is_forced: bool = False
    may_force: bool = False


@dataclass(frozen=True)
class Accepted:
    """The word counts, at `step_id` and perhaps for a principal; these are the states after it."""

    step_id: str
    on_behalf_of: str | None
    state: RequestState
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Refused:
    """The word does not count, and nothing changed."""

    reason: Refusal


def opened(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return `steps` with the first stage that waits active, unless one still is."""
    if any(step.state is StepState.ACTIVE for step in steps):
        return steps
    waiting = [step.stage for step in steps if step.state is StepState.WAITING]
    return tuple(
        replace(step, state=StepState.ACTIVE)
        if step.state is StepState.WAITING and step.stage == min(waiting)
        else step
        for step in steps
    )


def after(request: Snapshot, word: Word) -> Accepted | Refused:
    """Return what `word` does to `request`. A human being counts once per request, himself or by a delegate."""
    principal = _principal(request, word)
    speakers = {word.actor_id} | ({principal} if principal else set())
    step = _step(request, word, principal or word.actor_id)
    checks = (
        (Refusal.NOT_OPEN, request.state is not RequestState.OPEN),
        (Refusal.NOT_DELEGATED, principal is not None and principal not in word.principals),
        (Refusal.BARRED, bool(speakers & request.barred)),
        (Refusal.ALREADY_DECIDED, bool(speakers & request.used)),
        (Refusal.NOT_AN_APPROVER, step is None),
        (
            Refusal.CONTENT_CHANGED,
            request.present_hash != request.content_hash or word.content_hash not in {None, request.content_hash},
        ),
        (Refusal.VERSION_MOVED, word.version != request.version),
    )
    refusal = next((reason for reason, applies in checks if applies), None)
    if refusal is not None or step is None:
        return Refused(refusal or Refusal.NOT_AN_APPROVER)
    return _accepted(request, step, word.verdict, principal)


def may_decide(request: Snapshot, actor_id: str, principals: frozenset[str]) -> bool:
    """Say whether an approval of this person, for himself or a principal, would count now."""
    word = Word(actor_id, Verdict.APPROVE, request.version, principals=principals)
    return isinstance(after(request, word), Accepted)


def missing(request: Snapshot, step: Step) -> int:
    """Return how many approvals `step` lacks beyond those its people can still give: 0 when it can pass.

    People who have decided in this request already cannot count again, at this step or a later one.
    """
    match step.state:
        case StepState.PASSED | StepState.REJECTED | StepState.SKIPPED:
            return 0
        case StepState.WAITING | StepState.ACTIVE:
            able = len(step.able - request.used - request.barred)
            return max(0, step.need - approvals_at(request, step.id) - able)
        case _:
            assert_never(step.state)


def approvals_at(request: Snapshot, step_id: str) -> int:
    """Return how many people have approved at the step."""
    return len({d.actor_id for d in request.decisions if d.step_id == step_id and d.verdict is Verdict.APPROVE})


def _principal(request: Snapshot, word: Word) -> str | None:
    """Return for whom he speaks, None for himself."""
    if word.on_behalf_of is not None or word.is_forced:
        return word.on_behalf_of
    active = [step for step in request.steps if step.state is StepState.ACTIVE]
    if any(word.actor_id in step.able for step in active):
        return None
    free = word.principals - request.used - request.barred
    return min((each for each in free if any(each in step.able for step in active)), default=None)


def _step(request: Snapshot, word: Word, voice: str) -> Step | None:
    """Return the active step at which `voice` counts: of several the one with the fewest people to spare."""
    counting = word.is_forced and word.may_force
    found = [
        step
        for step in request.steps
        if step.state is StepState.ACTIVE and word.step_id in {None, step.id} and (counting or voice in step.able)
    ]
    if word.is_forced and not word.may_force:
        return None

    def spare(step: Step) -> int:
        return len(step.able - request.used - request.barred) - step.need + approvals_at(request, step.id)

    return min(found, key=spare, default=None)


def _accepted(request: Snapshot, active: Step, verdict: Verdict, principal: str | None) -> Accepted:
    match verdict:
        case Verdict.REJECT:
            steps = _with(request.steps, active, StepState.REJECTED)
            return Accepted(active.id, principal, RequestState.REJECTED, steps)
        case Verdict.APPROVE:
            if approvals_at(request, active.id) + 1 < active.need:
                return Accepted(active.id, principal, RequestState.OPEN, request.steps)
            steps = opened(_with(request.steps, active, StepState.PASSED))
            goes_on = any(step.state is StepState.ACTIVE for step in steps)
            return Accepted(active.id, principal, RequestState.OPEN if goes_on else RequestState.APPROVED, steps)
        case _:
            assert_never(verdict)


def _with(steps: tuple[Step, ...], changed: Step, state: StepState) -> tuple[Step, ...]:
    return tuple(replace(step, state=state) if step.id == changed.id else step for step in steps)
