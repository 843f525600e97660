"""What may still become of a row after its month was closed: a refund, a payment; anything else is a difference."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from payouts.states import MOVES, PayoutState
from reports.differing import Change, RowChange, Values

# A transaction that records a conversion has read the clock before it commits: one under way while the month was
# closed came in after the close, though its own moment lies before it. Longer than any of ours lives.
UNDER_WAY = timedelta(minutes=10)


def has_moved_on(change: RowChange, living: Collection[str], *, closed_at: datetime, touched: Collection[str]) -> bool:
    """Say whether `change`, from a snapshot to today, is what happens to a row in later months.

    `living` are the fields that may change at all, `touched` the ids of conversions that have events since the close.
    A conversion needs an event that says what happened, a payout a move that its states allow. Nothing ever goes.
    """
    if change.change is Change.GONE:
        return False
    if change.before is None or change.after is None:
        return change.kind == "conversions" and change.after is not None and _is_late(change.after, closed_at)
    if any(change.before[name] != change.after[name] for name in change.before if name not in living):
        return False
    if change.kind == "conversions":
        return change.key in touched and change.after["version"] > change.before["version"]
    if change.kind == "payouts":
        return change.after["version"] > change.before["version"] and is_reachable(change.before, change.after)
    return False


def is_reachable(before: Values, after: Values) -> bool:
    """Say whether a payout may have gone from the one state to the other, by however many moves."""
    seen: set[PayoutState] = set()
    waiting = [PayoutState(before["state"])]
    while waiting:
        seen.update(waiting)
        waiting = [after for each in waiting for after in MOVES[each] if after not in seen]
    return PayoutState(after["state"]) in seen


def _is_late(row: Mapping[str, object], closed_at: datetime) -> bool:
    recorded_at = datetime.fromisoformat(str(row["recorded_at"]))
    return recorded_at > closed_at - UNDER_WAY
