"""Says what would become of a pasted request, and why: the door's own checks, with nothing recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import Fault, Invalid, NotFound
from core.runtime import Runtime
from partners import allowlist, secrets
from partners.models import Source
from postback import answers, hints, intake, known, verification
from postback.answers import Answer, Status
from postback.content import Meaning
from postback.intake import Told
from postback.known import KnownSource
from postback.models import Conversion
from postback.receipts import Attempt
from postback.schemes.base import Presented
from postback.verification import Proven, Refusal

_PATH = "/postback/"


@dataclass(frozen=True)
class Pasted:
    """A request as somebody has it: `url` whole or from its path on; without a `peer` no address is checked."""

    method: str
    url: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    peer: str | None = None

    def __repr__(self) -> str:
        return f"Pasted({self.method})"


@dataclass(frozen=True)
class Check:
    """One check, in the door's order; `is_ok` is None where it could not be made."""

    name: str
    is_ok: bool | None
    says: str


def check(runtime: Runtime, session: Session, source_id: str, pasted: Pasted) -> dict[str, Any]:
    """Return every check, what was read, and what the sender would hear; raise NotFound for an unknown source."""
    now = runtime.clock()
    source = known.load(runtime, session, source_id, now=now)
    if source is None:
        message = f"there is no source {source_id}"
        raise NotFound(message)
    attempt, path_source = _attempt(pasted, source, now)
    request = intake.request_of(attempt, source.url)
    presented, keys = source.scheme.present(request), source.keys(now)
    proven = verification.signer(presented, keys, source.scheme.mac)
    told = None if proven is None else intake.read(source, request, Proven(proven), attempt.received_at)
    ended = secrets.ended(runtime, session.get_one(Source, source.id), now)
    reasons = [] if told is not None else hints.of(request, source.scheme, keys, ended) or [_unexplained(keys)]
    checks = [
        *_before_the_proof(source, attempt, pasted, path_source),
        Check(_proof(presented), told is not None, "; ".join(reasons) or "the proof holds"),
        Check("state", source.state == "active", f"the source is {source.state}"),
        *_time(source, told, now=now),
    ]
    refusal = next((check.name for check in checks if check.is_ok is False), None)
    report: dict[str, Any] = {"checks": checks, "parameters": {}, "faults": [], "claim": None, "repeats": None}
    if told is None:
        return report | _told("refused", refusal or Refusal.BAD_SIGNATURE.value, answers.refused())
    report |= {"parameters": dict(told.parameters.values), "faults": list(told.faults)}
    if refusal is not None:
        return report | _told("refused", refusal, intake.shut_answer(source) or answers.refused())
    if told.claim is None:
        return report | _told("invalid", None, answers.invalid("rcp_", told.faults, source.style))
    key = told.claim.dedupe_key(source.reading.dedupe_by)
    repeated = session.scalar(
        sa.select(Conversion).where(Conversion.source_id == source.id, Conversion.dedupe_key == key)
    )
    claim = {**told.claim.facts, "meaning": told.claim.meaning.value, "dedupe_key": key}
    report |= {"claim": claim, "repeats": repeated.id if repeated else None}
    return report | _told("believed", None, Answer(_status(told.claim.meaning, repeated, told.claim.sha256)))


def _attempt(pasted: Pasted, source: KnownSource, now: datetime) -> tuple[Attempt, str]:
    parts = urlsplit(pasted.url)
    rest = parts.path.partition(_PATH)[2]
    if not rest:
        raise Invalid.of(Fault("url", "is no postback's: it goes to /postback/ and the source"))
    path_source, _, token = rest.partition("/")
    headers = {name.lower(): value for name, value in pasted.headers.items()}
    attempt = Attempt(
        source_id=source.id,
        method=pasted.method,
        peer=pasted.peer or "",
        query=parts.query.encode("utf-8", "surrogatepass"),
        received_at=now,
        started=0.0,
        body=pasted.body.encode("utf-8", "surrogatepass"),
        signature_headers={name: headers[name] for name in source.scheme.headers if name in headers},
        path_token=token.encode(),
    )
    return attempt, path_source


def _before_the_proof(source: KnownSource, attempt: Attempt, pasted: Pasted, path_source: str) -> list[Check]:
    is_here = path_source == source.id
    is_admitted = None if pasted.peer is None else allowlist.admits(source.allowlist, pasted.peer)
    is_method = attempt.method in source.scheme.methods
    return [
        Check("unknown_source", is_here, "the path names this source" if is_here else f"it goes to {path_source}"),
        Check("address_not_allowed", is_admitted, _address(source, pasted.peer, is_admitted)),
        Check("wrong_method", is_method, f"{source.scheme.name} takes {' or '.join(source.scheme.methods)}"),
    ]


def _proof(presented: Presented) -> str:
    if presented.is_missing:
        return Refusal.SIGNATURE_MISSING.value
    return (Refusal.BAD_SIGNATURE if presented.signatures else Refusal.SIGNATURE_MALFORMED).value


def _time(source: KnownSource, told: Told | None, *, now: datetime) -> list[Check]:
    if told is None or source.scheme.timestamp is None or told.sent_at is None:
        return []
    sent_at = told.sent_at
    if verification.is_from_future(sent_at=sent_at, now=now):
        return [Check("from_the_future", False, f"signed for {sent_at.isoformat()}: look at the sender's clock")]
    is_stale = verification.is_stale(sent_at=sent_at, now=now)
    # A late one is kept and waits for a person, unless the source refuses it or it repeats what is there.
    says = f"signed at {sent_at.isoformat()}" + (", more than 30 minutes ago" if is_stale else "")
    return [Check("stale", not (is_stale and source.refuses_late), says)]


def _address(source: KnownSource, peer: str | None, is_admitted: bool | None) -> str:  # noqa: FBT001 - one of three
    if peer is None:
        return "no peer was given to look at"
    if not source.allowlist:
        return "the source takes every address"
    return f"{peer} is {'' if is_admitted else 'not '}in the allowlist"


def _unexplained(keys: object) -> str:
    return "it was made with another key, or over other bytes" if keys else "the source has no live secret"


def _status(meaning: Meaning, repeated: Conversion | None, content_sha256: str) -> Status:
    if meaning is Meaning.IGNORED:
        return Status.IGNORED
    if repeated is None:
        return Status.ACCEPTED
    return Status.DUPLICATE if repeated.content_sha256 == content_sha256 else Status.CONFLICT


def _told(verdict: str, reason: str | None, answer: Answer) -> dict[str, Any]:
    return {"verdict": verdict, "reason": reason, "answer": {"code": answer.code, "status": answer.status.value}}
