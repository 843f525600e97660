"""What people may do to a conversion in which state: the transition table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a conversion stands. A hold stands beside it, since it may come at any time."""

    UNMATCHED = "unmatched"
    RECORDED = "recorded"
    ACCRUED = "accrued"
    REJECTED = "rejected"


class HoldReason(StrEnum):
    """Why a conversion waits for a person."""

    LATE = "late"
    CONFLICT = "conflict"
    OUTSIDE_WINDOW = "outside_window"
    UNPRICEABLE = "unpriceable"


class EventKind(StrEnum):
    """What can happen to a conversion."""

    RECORDED = "recorded"
    MATCHED = "matched"
    CONFLICTED = "conflicted"
    APPROVED = "approved"
    REJECTED = "rejected"
    ACCRUED = "accrued"
    UNPRICEABLE = "unpriceable"


class Act(StrEnum):
    """What a person can do."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True)
class Change:
    """The state that follows, and the event that says so. What held the conversion holds it no more."""

    kind: EventKind
    state: State


@dataclass(frozen=True)
class NotAllowed:
    """Why the act is refused, as a sentence."""

    reason: str


_NOT_HELD = NotAllowed("nothing holds this conversion, so there is nothing to approve")
_ENDED = NotAllowed("this conversion was rejected, which is final")
_REFUND_NEEDED = NotAllowed("this conversion is accrued already: it takes a refund, which posts the reverse entry")

# (state, is it held, act) -> what follows
_TABLE: Mapping[tuple[State, bool, Act], Change | NotAllowed] = {
    (State.UNMATCHED, True, Act.APPROVE): Change(EventKind.APPROVED, State.UNMATCHED),
    (State.UNMATCHED, False, Act.APPROVE): _NOT_HELD,
    (State.UNMATCHED, True, Act.REJECT): Change(EventKind.REJECTED, State.REJECTED),
    (State.UNMATCHED, False, Act.REJECT): Change(EventKind.REJECTED, State.REJECTED),
    (State.RECORDED, True, Act.APPROVE): Change(EventKind.APPROVED, State.RECORDED),
    (State.RECORDED, False, Act.APPROVE): _NOT_HELD,
    (State.RECORDED, True, Act.REJECT): Change(EventKind.REJECTED, State.REJECTED),
    (State.RECORDED, False, Act.REJECT): Change(EventKind.REJECTED, State.REJECTED),
    (State.ACCRUED, True, Act.APPROVE): Change(EventKind.APPROVED, State.ACCRUED),
    (State.ACCRUED, False, Act.APPROVE): _NOT_HELD,
    (State.ACCRUED, True, Act.REJECT): _REFUND_NEEDED,
    (State.ACCRUED, False, Act.REJECT): _REFUND_NEEDED,
    (State.REJECTED, True, Act.APPROVE): _ENDED,
    (State.REJECTED, False, Act.APPROVE): _ENDED,
    (State.REJECTED, True, Act.REJECT): _ENDED,
    (State.REJECTED, False, Act.REJECT): _ENDED,
}


def after(state: State, act: Act, *, is_held: bool) -> Change | NotAllowed:
    """Return what follows when a person does `act` to a conversion that stands at `state`."""
    return _TABLE[state, is_held, act]


def hold_reason(*, is_late: bool, is_outside_window: bool) -> HoldReason | None:
    """Return what holds a conversion from its first moment on, None when nothing does."""
    if is_late:
        return HoldReason.LATE
    return HoldReason.OUTSIDE_WINDOW if is_outside_window else None


def may_hold(state: State) -> bool:
    """Say whether a hold means anything in `state`: a rejected conversion pays nothing anyway."""
    return state is not State.REJECTED
