"""What the sender hears: one code and one body for each outcome, one body for every refusal."""

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from core.errors import Fault


class Status(StrEnum):
    """What became of a postback, in the sender's words."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UPDATED = "updated"
    IGNORED = "ignored"
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
    Status.UPDATED: 200,
    Status.IGNORED: 200,
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
# What has a receipt that somebody can look up and act on. A network that wants its own word hears it for all of these:
# to refuse what can never be better makes it try again, and then switch the URL off.
STORED = frozenset(
    {
        Status.ACCEPTED, Status.DUPLICATE, Status.CONFLICT, Status.UPDATED, Status.IGNORED, Status.UNMATCHED,
        Status.HELD_LATE, Status.INVALID,
    }
)  # fmt: skip
PAUSED_RETRY_AFTER_S = 300
UNAVAILABLE_RETRY_AFTER_S = 5


class Style(StrEnum):
    """How a source's network wants to hear that its postback is stored."""

    JSON = "json"
    OK = "ok"
    GIF = "gif"
    EMPTY = "empty"
    ALWAYS_200 = "always_200"


# One transparent pixel.
_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014c003b")
_BODIES = {Style.OK: (b"OK", "text/plain"), Style.GIF: (_GIF, "image/gif"), Style.EMPTY: (b"", "text/plain")}


class Answer(NamedTuple):
    """One answer. `receipt_id` and `conversion_id` are those of the first postback where this one repeats it."""

    status: Status
    receipt_id: str | None = None
    conversion_id: str | None = None
    reason: str | None = None
    faults: Sequence[Fault] = ()
    retry_after_s: float | None = None
    style: Style = Style.JSON

    @property
    def is_styled(self) -> bool:
        """Say whether the network's own style counts: "not now" and "who are you?" sound the same to everybody."""
        return self.style is not Style.JSON and self.status in STORED

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return 200 if self.is_styled else CODES[self.status]

    @property
    def body(self) -> bytes:
        """The body: JSON, or what the network's own style says."""
        if self.is_styled and self.style in _BODIES:
            return _BODIES[self.style][0]
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
        kind = _BODIES[self.style][1] if self.is_styled and self.style in _BODIES else "application/json"
        headers = {"Cache-Control": "no-store", "Content-Type": kind}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers


def refused() -> Answer:
    """Return the one answer to everybody we do not believe; it says neither why nor whether the source exists."""
    return Answer(Status.UNAUTHORISED)


def invalid(receipt_id: str, faults: Sequence[Fault], style: Style = Style.JSON) -> Answer:
    """Return the answer to a proven sender whose postback cannot be recorded as it is."""
    reason = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
    return Answer(Status.INVALID, receipt_id, reason=reason, faults=faults, style=style)


def unavailable() -> Answer:
    """Return the answer while the database is away: nothing was stored, and sending again makes sense."""
    return Answer(Status.UNAVAILABLE, retry_after_s=UNAVAILABLE_RETRY_AFTER_S)
