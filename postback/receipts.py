"""The receipt: one postback as it came in, and what we made of it."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from core import bulk, ids
from core.database import table_of
from core.errors import Fault
from postback import redaction
from postback.answers import Status
from postback.models import Receipt
from postback.redaction import Rule
from postback.verification import Refusal

SOURCE_ID_LENGTH_MAX = 40
PEER_LENGTH_MAX = 45
HEADER_LENGTH_MAX = 1000
# A refused attempt costs its sender nothing, so little of it is kept: enough to see what was tried.
REFUSED_BYTES_MAX = 2048
BELIEVED = "believed"
REFUSED = "refused"
NOTHING_PROVEN = "E"

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Attempt(NamedTuple):
    """A request at the postback door, nothing of it believed yet. `started` is a reading of time.perf_counter.

    `signature_headers` holds the headers that the source's scheme reads; `path_token` stands behind the source's id.
    """

    source_id: str
    method: str
    peer: str
    query: bytes
    received_at: datetime
    started: float
    body: bytes = b""
    signature_headers: Mapping[str, str] = _NO_HEADERS
    path_token: bytes = b""

    def __repr__(self) -> str:
        # A signed request is as good as the conversion it claims.
        return f"Attempt({self.source_id!r}, {self.method})"


def new_id(attempt: Attempt) -> str:
    """Return an id for the receipt of `attempt`, in whose order stands the moment it came in."""
    return f"rcp_{ids.token(attempt.received_at)}"


def with_headers(attempt: Attempt, headers: Mapping[str, str]) -> Attempt:
    """Return the attempt with the headers that its scheme reads."""
    return attempt._replace(signature_headers=headers)


def redacted(attempt: Attempt, rule: Rule | None) -> Attempt:
    """Return the attempt as a receipt may keep it: without what `rule` cuts out, None for nothing."""
    if rule is None:
        return attempt
    return attempt._replace(
        query=redaction.query(attempt.query, rule),
        body=redaction.body(attempt.body, rule),
        signature_headers=redaction.headers(attempt.signature_headers, rule),
        path_token=b"",
    )


class Believed(NamedTuple):
    """What the signature proved, and the outcome that goes on the receipt."""

    status: Status
    secret_id: str
    assurance: str
    covered_fields: Sequence[str]
    faults: Sequence[Fault] = ()
    dedupe_key: str | None = None
    conversion_id: str | None = None


def believed(receipt_id: str, attempt: Attempt, outcome: Believed) -> dict[str, Any]:
    """Return the row of a receipt whose sender is proven."""
    return _row(receipt_id, attempt) | {
        "verdict": BELIEVED,
        "reason": None,
        "faults": [{"field": fault.field, "reason": fault.reason} for fault in outcome.faults],
        "secret_id": outcome.secret_id,
        "assurance": outcome.assurance,
        "covered_fields": list(outcome.covered_fields),
        "dedupe_key": outcome.dedupe_key,
        "outcome": outcome.status.value,
        "conversion_id": outcome.conversion_id,
    }


def refused(receipt_id: str, attempt: Attempt, refusal: Refusal, secret_id: str | None = None) -> dict[str, Any]:
    """Return the row of a receipt for a refused attempt, cut to a bounded size."""
    row = _row(receipt_id, attempt)
    return row | {
        "raw_query": attempt.query[:REFUSED_BYTES_MAX],
        "raw_body": attempt.body[:REFUSED_BYTES_MAX],
        "verdict": REFUSED,
        "reason": refusal.value,
        "faults": [],
        "secret_id": secret_id,
        "assurance": NOTHING_PROVEN,
        "covered_fields": [],
        "dedupe_key": None,
        "outcome": Status.UNAUTHORISED.value,
        "conversion_id": None,
    }


def write(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert receipts."""
    bulk.insert(session, table_of(Receipt), rows)


def _row(receipt_id: str, attempt: Attempt) -> dict[str, Any]:
    return {
        "id": receipt_id,
        "received_at": attempt.received_at,
        "source_id": _printable(attempt.source_id)[:SOURCE_ID_LENGTH_MAX],
        "peer": _printable(attempt.peer)[:PEER_LENGTH_MAX],
        "method": attempt.method,
        "raw_query": attempt.query,
        "raw_body": attempt.body,
        "signature_headers": {
            name: _printable(value)[:HEADER_LENGTH_MAX] for name, value in attempt.signature_headers.items()
        },
        "latency_us": int((time.perf_counter() - attempt.started) * 1_000_000),
    }


def _printable(text: str) -> str:
    # NUL and lone surrogates do not go into a database's text.
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
