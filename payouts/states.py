"""The states of payouts, batches and their items."""

from enum import StrEnum


class PayoutState(StrEnum):
    """pending -> approved -> batched -> sent -> settled; rejected and cancelled free the accruals."""

    PENDING = "pending"
    APPROVED = "approved"
    BATCHED = "batched"
    SENT = "sent"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """building -> released -> settled; cancelled only while building."""

    BUILDING = "building"
    RELEASED = "released"
    SETTLED = "settled"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """Where one payout of a batch stands; live and settled ones keep the payout out of any other batch."""

    LIVE = "live"
    SETTLED = "settled"
    CANCELLED = "cancelled"
