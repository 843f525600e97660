"""The states of payouts, batches and their items, and the moves a payout may make."""

from collections.abc import Mapping
from enum import StrEnum

from core.errors import Conflict


class PayoutState(StrEnum):
    """draft -> pending -> approved -> batched -> sent -> settled, and what may come in between.

    `unknown` is sent without an answer: it is never sent again, a statement or a result file resolves it. `failed`
    and `returned` wait for a person: the money did not leave, or came back.
    """

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    BATCHED = "batched"
    SENT = "sent"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    FAILED = "failed"
    RETURNED = "returned"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """building -> released -> settled, when every payout has its answer; cancelled only while building."""

    BUILDING = "building"
    RELEASED = "released"
    SETTLED = "settled"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """Where one payout of a batch stands; live and settled ones keep the payout out of any other batch."""

    LIVE = "live"
    SETTLED = "settled"
    FAILED = "failed"
    RETURNED = "returned"
    CANCELLED = "cancelled"


_P = PayoutState
# Nothing else may happen. Out of `unknown` no way leads back to a batch: only an answer ends it.
MOVES: Mapping[PayoutState, frozenset[PayoutState]] = {
    _P.DRAFT: frozenset({_P.PENDING, _P.CANCELLED}),
    # Pending again: it changed before its approval took effect, and is asked about anew.
    _P.PENDING: frozenset({_P.PENDING, _P.APPROVED, _P.REJECTED, _P.CANCELLED, _P.RETURNED}),
    _P.APPROVED: frozenset({_P.PENDING, _P.BATCHED, _P.CANCELLED, _P.RETURNED}),
    _P.BATCHED: frozenset({_P.APPROVED, _P.SENT}),
    _P.SENT: frozenset({_P.SETTLED, _P.FAILED, _P.RETURNED, _P.UNKNOWN}),
    _P.UNKNOWN: frozenset({_P.SETTLED, _P.FAILED, _P.RETURNED}),
    _P.SETTLED: frozenset({_P.RETURNED}),
    _P.FAILED: frozenset({_P.APPROVED, _P.PENDING, _P.CANCELLED, _P.RETURNED}),
    _P.RETURNED: frozenset({_P.PENDING}),
    _P.REJECTED: frozenset(),
    _P.CANCELLED: frozenset(),
}
# Their accruals are free again, or were never paid: they are no part of what stands in payouts.
ENDED = frozenset({_P.REJECTED, _P.CANCELLED})
# The money has left, or may have.
ON_THE_WAY = frozenset({_P.SENT, _P.UNKNOWN})


def check_move(payout_id: str, before: str, after: PayoutState) -> None:
    """Raise Conflict when a payout may not go from `before` to `after`."""
    if after not in MOVES[PayoutState(before)]:
        message = f"{payout_id} is {before}, and cannot become {after}"
        raise Conflict(message, slug="no-such-move")
