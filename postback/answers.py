"""What the sender hears: one code and one body for each outcome, one body for every refusal."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import Fault


class Status(StrEnum):
    """What became of a postback, in the sender's words."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNMATCHED = "unmatched"
    HELD_LATE = "held_late"
    INVALID = "invalid"
    UNAUTHORISED = "unauthorised"
    LENGTH_REQUIRED = "length_required"
    TOO_LARGE = "too_large"
    LINE_TOO_LONG = "line_too_long"
    TOO_MANY = "too_many"
    PAUSED = "paused"
    REMOVED = "removed"
    UNAVAILABLE = "unavailable"


# Senders retry a 5xx, mostly never a 4xx, and switch a URL off after repeated errors: a duplicate is a success.
CODES: Mapping[Status, int] = {
    Status.ACCEPTED: 200,
    Status.DUPLICATE: 200,
    Status.CONFLICT: 200,
    Status.UNMATCHED: 200,
    Status.HELD_LATE: 202,
    Status.INVALID: 422,
    Status.UNAUTHORISED: 401,
    Status.LENGTH_REQUIRED: 411,
    Status.TOO_LARGE: 413,
    Status.LINE_TOO_LONG: 414,
    Status.TOO_MANY: 429,
    Status.PAUSED: 503,
    Status.REMOVED: 410,
    Status.UNAVAILABLE: 503,
}
PAUSED_RETRY_AFTER_S = 300
UNAVAILABLE_RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Answer:
    """One answer. `receipt_id` and `conversion_id` are those of the first postback where this one repeats it."""

    status: Status
    receipt_id: str | None = None
    conversion_id: str | None = None
    reason: str | None = None
    faults: Sequence[Fault] = ()
    retry_after_s: float | None = None

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return CODES[self.status]

    @property
    def body(self) -> bytes:
        """The JSON body."""
        told: dict[str, object] = {
            "status": self.status.value,
            "receipt_id": self.receipt_id,
            "conversion_id": self.conversion_id,
            "reason": self.reason,
            "errors": [{"field": fault.field, "reason": fault.reason} for fault in self.faults] or None,
        }
        return json.dumps({name: value for name, value in told.items() if value is not None}).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        headers = {"Cache-Control": "no-store", "Content-Type": "application/json"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers


def refused() -> Answer:
    """Return the one answer to everybody we do not believe; it says neither why nor whether the source exists."""
    return Answer(Status.UNAUTHORISED)


def invalid(receipt_id: str, faults: Sequence[Fault]) -> Answer:
    """Return the answer to a proven sender whose postback cannot be recorded as it is."""
    reason = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
    return Answer(Status.INVALID, receipt_id, reason=reason, faults=faults)


def unavailable() -> Answer:
    """Return the answer while the database is away: nothing was stored, and sending again makes sense."""
    return Answer(Status.UNAVAILABLE, retry_after_s=UNAVAILABLE_RETRY_AFTER_S)
