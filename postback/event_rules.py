"""What may happen to a conversion in which state: the transition tables, for people and for networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from postback.content import Duplicates, Meaning


class State(StrEnum):
    """Where a conversion stands. A hold stands beside it, since it may come at any time."""

    UNMATCHED = "unmatched"
    RECORDED = "recorded"
    ACCRUED = "accrued"
    REJECTED = "rejected"  # it never counted
    REVERSED = "reversed"  # it counted, and was taken back
    TEST = "test"  # of a source in test mode: recorded, never paid


class HoldReason(StrEnum):
    """Why a conversion waits for a person, or for its network's next word."""

    LATE = "late"
    CONFLICT = "conflict"
    OUTSIDE_WINDOW = "outside_window"
    UNPRICEABLE = "unpriceable"
    PENDING = "pending"  # the network has not approved it yet
    UNKNOWN_STATUS = "unknown_status"


class EventKind(StrEnum):
    """What can happen to a conversion."""

    RECORDED = "recorded"
    MATCHED = "matched"
    CONFLICTED = "conflicted"
    APPROVED = "approved"
    REJECTED = "rejected"
    ADJUSTED = "adjusted"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"
    UPSOLD = "upsold"
    ACCRUED = "accrued"
    UNPRICEABLE = "unpriceable"


class Act(StrEnum):
    """What a person can do."""

    APPROVE = "approve"
    REJECT = "reject"
    REFUND = "refund"
    CHARGE_BACK = "charge_back"
    ADJUST = "adjust"


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
_TAKEN_BACK = NotAllowed("this conversion was taken back already, which is final")
_REFUND_NEEDED = NotAllowed("this conversion is accrued already: it takes a refund, which posts the reverse entry")
_TESTED = NotAllowed("this conversion came in test mode: it is never paid, and nothing can happen to it")
_NO_REFUND = NotAllowed("nothing was accrued for this conversion yet: it takes a rejection")

_Acts = Mapping[Act, Change | NotAllowed]


def _open(state: State) -> _Acts:
    return {
        Act.APPROVE: Change(EventKind.APPROVED, state),
        Act.REJECT: Change(EventKind.REJECTED, State.REJECTED),
        Act.REFUND: _NO_REFUND,
        Act.CHARGE_BACK: _NO_REFUND,
        Act.ADJUST: Change(EventKind.ADJUSTED, state),
    }


_ACTS: Mapping[State, _Acts] = {
    State.UNMATCHED: _open(State.UNMATCHED),
    State.RECORDED: _open(State.RECORDED),
    State.ACCRUED: {
        Act.APPROVE: Change(EventKind.APPROVED, State.ACCRUED),
        Act.REJECT: _REFUND_NEEDED,
        Act.REFUND: Change(EventKind.REFUNDED, State.REVERSED),
        Act.CHARGE_BACK: Change(EventKind.CHARGED_BACK, State.REVERSED),
        Act.ADJUST: Change(EventKind.ADJUSTED, State.ACCRUED),
    },
    State.REJECTED: dict.fromkeys(Act, _ENDED),
    State.REVERSED: dict.fromkeys(Act, _TAKEN_BACK),
    State.TEST: dict.fromkeys(Act, _TESTED),
}


def after(state: State, act: Act, *, is_held: bool) -> Change | NotAllowed:
    """Return what follows when a person does `act` to a conversion that stands at `state`."""
    change = _ACTS[state][act]
    return _NOT_HELD if act is Act.APPROVE and isinstance(change, Change) and not is_held else change


def first_state(meaning: Meaning, *, is_matched: bool, is_test: bool) -> State:
    """Return where a conversion stands whose very first postback means `meaning`."""
    if is_test:
        return State.TEST
    match meaning:
        case Meaning.REJECTED:
            return State.REJECTED
        case Meaning.REFUNDED | Meaning.CHARGED_BACK:
            # Its sale was never told to us, or comes later: either way nothing is owed for it.
            return State.REVERSED
        case _:
            return State.RECORDED if is_matched else State.UNMATCHED


def hold_reason(
    meaning: Meaning, *, is_late: bool, is_outside_window: bool, is_taken_back: bool = False
) -> HoldReason | None:
    """Return what holds a conversion from its first moment on, None when nothing does.

    `is_taken_back`: its transaction has a refund already, under an event of its own.
    """
    if is_taken_back:
        # Before all else: the network's own word lifts a pending hold, and must not lift this one.
        return HoldReason.CONFLICT
    if is_late:
        return HoldReason.LATE
    if is_outside_window:
        return HoldReason.OUTSIDE_WINDOW
    return {Meaning.PENDING: HoldReason.PENDING, Meaning.UNKNOWN: HoldReason.UNKNOWN_STATUS}.get(meaning)


def may_hold(state: State) -> bool:
    """Say whether a hold means anything in `state`: what is never paid anyway needs none."""
    return state not in {State.REJECTED, State.REVERSED, State.TEST}


class MoneyChange(StrEnum):
    """What a repeated postback does to the amounts."""

    KEEP = "keep"
    REPLACE = "replace"
    ADD = "add"
    TAKE_AWAY = "take_away"  # a refund of a part


@dataclass(frozen=True)
class Repeat:
    """What a repeated postback comes to: the event, the state that follows, and what happens to the amounts."""

    kind: EventKind
    state: State
    money: MoneyChange = MoneyChange.KEEP


@dataclass(frozen=True)
class Standing:
    """Where a conversion stands when its key comes again.

    `is_pending`: the network's approval is awaited.
    """

    state: State
    is_pending: bool
    is_same_money: bool
    is_part: bool  # less money than the conversion has: a refund of that part


_STATUS_POLICIES = {Duplicates.UPDATE_STATUS, Duplicates.UPDATE}
_AMOUNT_POLICIES = {Duplicates.UPDATE_AMOUNT, Duplicates.UPDATE}
_REVERSALS = {Meaning.REFUNDED: EventKind.REFUNDED, Meaning.CHARGED_BACK: EventKind.CHARGED_BACK}
# Where each meaning may lead from; what is not here is a conflict, and a person's to decide.
_STATES: Mapping[tuple[State, Meaning], State] = {
    (State.UNMATCHED, Meaning.REJECTED): State.REJECTED,
    (State.RECORDED, Meaning.REJECTED): State.REJECTED,
    (State.ACCRUED, Meaning.REJECTED): State.REVERSED,
    **{(state, meaning): State.REVERSED for state in (State.UNMATCHED, State.RECORDED, State.ACCRUED)
       for meaning in _REVERSALS},
    # Refunded first and charged back later: nothing is left to take back, and the chain says so.
    **{(State.REVERSED, meaning): State.REVERSED for meaning in _REVERSALS},
}  # fmt: skip


def on_repeat(standing: Standing, meaning: Meaning, policy: Duplicates) -> Repeat | None:
    """Return what a repeated postback with other content comes to under a source's policy, None for a conflict."""
    if meaning in _REVERSALS:
        if standing.is_part and standing.state in {State.UNMATCHED, State.RECORDED, State.ACCRUED}:
            return Repeat(_REVERSALS[meaning], standing.state, MoneyChange.TAKE_AWAY)
        state = _STATES.get((standing.state, meaning))
        return None if state is None else Repeat(_REVERSALS[meaning], state)
    if meaning is Meaning.REJECTED:
        state = _STATES.get((standing.state, meaning)) if policy in _STATUS_POLICIES or standing.is_pending else None
        return None if state is None else Repeat(EventKind.REJECTED, state)
    if meaning is not Meaning.APPROVED or not may_hold(standing.state):
        return None
    return _approved(standing, policy)


def _approved(standing: Standing, policy: Duplicates) -> Repeat | None:
    if standing.is_pending:
        # The word that was awaited. Other money with it counts only where the source lets amounts change.
        if standing.is_same_money:
            return Repeat(EventKind.APPROVED, standing.state)
        return Repeat(EventKind.APPROVED, standing.state, MoneyChange.REPLACE) if policy in _AMOUNT_POLICIES else None
    if policy is Duplicates.ADD_EVENT:
        return Repeat(EventKind.UPSOLD, standing.state, MoneyChange.ADD)
    if policy in _AMOUNT_POLICIES and not standing.is_same_money:
        return Repeat(EventKind.ADJUSTED, standing.state, MoneyChange.REPLACE)
    return None
