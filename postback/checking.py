"""Says what would become of a pasted request, and why: the door's own checks and its own recording, rolled back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.errors import Fault, Invalid, NotFound
from core.runtime import Runtime
from partners import allowlist, secrets
from partners.models import Source
from postback import answers, hints, intake, known, recording, redaction, verification
from postback.answers import Answer, Status
from postback.beliefs import Belief, Recorded
from postback.intake import Told
from postback.known import KnownSource
from postback.models import Conversion
from postback.receipts import Attempt
from postback.schemes.base import Presented, Request
from postback.verification import Proven, Refusal

OTHER_SOURCES_MAX = 200

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
    """Return every check, what was read, and what the sender would hear; raise NotFound for an unknown source.

    How fast the source's postbacks come is not looked at, and no place in its rate is taken.
    """
    now = runtime.clock()
    source = known.load(runtime, session, source_id, now=now)
    if source is None:
        message = f"there is no source {source_id}"
        raise NotFound(message)
    attempt, path_source = _attempt(pasted, source, now)
    request = intake.request_of(attempt, source.url)
    presented, keys = source.scheme.present(request), source.keys(now)
    secret_id = verification.signer(presented, keys, source.scheme.mac)
    proven = None if secret_id is None else Proven(secret_id)
    told = None if proven is None else intake.read(source, request, proven, now)
    checks = [
        *_before_the_proof(source, attempt, pasted, path_source),
        _proof(runtime, session, source, request, presented, is_proven=proven is not None),
        Check("state", source.state == "active", f"the source is {source.state}"),
        *_time(source, told, now=now),
    ]
    report: dict[str, Any] = {
        "assurance": None, "covered_fields": [], "parameters": {}, "faults": [], "claim": None, "repeats": None,
    }  # fmt: skip
    refusal = next((check.name for check in checks if check.is_ok is False), None)
    if told is None or proven is None:
        return report | _told(checks, "refused", refusal, answers.refused())
    report |= {
        "assurance": source.scheme.assurance,
        "covered_fields": intake.covered(source, told),
        "parameters": dict(told.parameters.values),
        "faults": list(told.faults),
    }
    if refusal is not None:
        return report | _told(checks, "refused", refusal, intake.shut_answer(source) or answers.refused())
    if told.claim is None:
        return report | _told(checks, "invalid", None, answers.invalid("rcp_", told.faults, source.style))
    belief = intake.belief_of(source, attempt, proven, told, told.claim)
    recorded, repeated = _as_if_recorded(runtime, session, belief)
    claim = {**told.claim.facts, "meaning": told.claim.meaning.value, "dedupe_key": belief.dedupe_key}
    report |= {"claim": claim, "repeats": repeated}
    if recorded.status is Status.UNAUTHORISED:
        late = Check(Refusal.STALE.value, False, "it is late and repeats nothing, and the source refuses late ones")
        return report | _told([*checks, late], "refused", late.name, answers.refused())
    return report | _told(checks, "believed", None, Answer(recorded.status, style=source.style))


def _as_if_recorded(runtime: Runtime, session: Session, belief: Belief) -> tuple[Recorded, str | None]:
    """Return what the very code that records makes of `belief`, and the conversion it repeats. Nothing stays."""
    savepoint = session.begin_nested()
    try:
        [recorded] = recording.record(runtime, session, [belief])
    finally:
        savepoint.rollback()
        # Nothing waits for the stages that it would have rung for.
        doorbell.taken_rings(session)
    # A conversion that was made just now is gone again.
    is_there = recorded.conversion_id is not None and session.get(Conversion, recorded.conversion_id) is not None
    return recorded, recorded.conversion_id if is_there else None


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
        Check("unknown_source", is_here, _path(path_source, is_here=is_here)),
        Check("address_not_allowed", is_admitted, _address(source, pasted.peer, is_admitted)),
        Check("wrong_method", is_method, f"{source.scheme.name} takes {' or '.join(source.scheme.methods)}"),
    ]


def _path(path_source: str, *, is_here: bool) -> str:
    return "the path names this source" if is_here else f"it goes to {redaction.source_id(path_source)}"


def _proof(
    runtime: Runtime, session: Session, source: KnownSource, request: Request, presented: Presented, *, is_proven: bool
) -> Check:
    if presented.is_missing:
        name = Refusal.SIGNATURE_MISSING
    else:
        name = Refusal.BAD_SIGNATURE if presented.signatures else Refusal.SIGNATURE_MALFORMED
    if is_proven:
        return Check(name.value, True, "the proof holds")
    row = session.get_one(Source, source.id)
    keys = secrets.held(runtime, row, runtime.clock())
    others = session.scalars(
        sa.select(Source.id).where(Source.id != source.id).order_by(Source.id.desc()).limit(OTHER_SOURCES_MAX)
    )
    found = hints.of(request, row.scheme, presented, source.scheme.mac, keys=keys, other_sources=list(others))
    unexplained = "it was made with another key, or over other bytes"
    if not source.secrets:
        unexplained = "the source has no live secret"
    return Check(name.value, False, "; ".join(found or [unexplained]))


def _time(source: KnownSource, told: Told | None, *, now: datetime) -> list[Check]:
    if told is None or source.scheme.timestamp is None or told.sent_at is None:
        return []
    sent_at = told.sent_at
    if verification.is_from_future(sent_at=sent_at, now=now):
        return [Check("from_the_future", False, f"signed for {sent_at.isoformat()}: look at the sender's clock")]
    is_stale = verification.is_stale(sent_at=sent_at, now=now)
    says = f"signed at {sent_at.isoformat()}" + (", more than 30 minutes ago" if is_stale else "")
    return [Check("time", True, says)]


def _address(source: KnownSource, peer: str | None, is_admitted: bool | None) -> str:  # noqa: FBT001 - one of three
    if peer is None:
        return "no peer was given to look at"
    if not source.allowlist:
        return "the source takes every address"
    return f"{peer} is {'' if is_admitted else 'not '}in the allowlist"


def _told(checks: Sequence[Check], verdict: str, reason: str | None, answer: Answer) -> dict[str, Any]:
    said = {"code": answer.code, "status": answer.status.value}
    return {"checks": list(checks), "verdict": verdict, "reason": reason, "answer": said}
