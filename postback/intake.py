"""From a raw request to an answer: checks in their order, then the one write transaction of a postback."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session, joinedload

from core.errors import Fault, Unavailable
from core.runtime import Runtime
from partners import allowlist, secrets
from partners.models import Source, SourceSecret
from postback import answers, canonical, content, receipts, recording, refusals, verification
from postback.answers import Answer, Status
from postback.canonical import Parameters, Presented
from postback.content import Claim, DedupeBy, Reading
from postback.rate import Buckets, Rate, address_key
from postback.receipts import Attempt
from postback.recording import Belief
from postback.verification import Proven, Refusal

QUERY_BYTES_MAX = 8 * 1024
BODY_BYTES_MAX = 64 * 1024
LENGTH_DIGITS_MAX = 9
# Ten a second for whoever proves nothing, with the same room for bursts as a source has.
UNPROVEN = Rate(per_second=10, burst=50)
LAST_USED_EVERY = timedelta(minutes=1)

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
SIGNATURE_HEADERS = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)

_SOURCE_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
# Asked for in place of an id that cannot be one, so that the answer takes as long.
_NO_SOURCE_ID = "src_none"

ANSWERS = Counter("clickledger_postbacks", "Answers at the postback door, by status.", ["status"])

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Memory:
    """What one process remembers between requests: how fast each source, each address and each sample goes."""

    sources: Buckets = field(default_factory=Buckets)
    addresses: Buckets = field(default_factory=Buckets)
    samples: Buckets = field(default_factory=Buckets)


@dataclass(frozen=True)
class _Told:
    """A proven request, read: a moment and a claim, or faults."""

    parameters: Parameters
    sent_at: datetime | None
    claim: Claim | None
    faults: Sequence[Fault]


def out_of_bounds(
    method: str, *, query_bytes: int, content_length: str | None, transfer_encoding: str | None
) -> Answer | None:
    """Return the answer to a request that is not even read: without a length, too long, too large; else None.

    A chunked body is refused too: werkzeug would cut it at its limit and hand it on as if it were whole.
    """
    status = None
    if query_bytes > QUERY_BYTES_MAX:
        status = Status.LINE_TOO_LONG
    elif method == "POST":
        if transfer_encoding or not (content_length and content_length.isascii() and content_length.isdigit()):
            status = Status.LENGTH_REQUIRED
        elif len(content_length) > LENGTH_DIGITS_MAX or int(content_length) > BODY_BYTES_MAX:
            status = Status.TOO_LARGE
    if status is None:
        return None
    ANSWERS.labels(status.value).inc()
    return Answer(status)


def receive(runtime: Runtime, memory: Memory, attempt: Attempt) -> Answer:
    """Believe or refuse one postback, record it, and return what the sender hears.

    A success is returned only after its commit. While the database is away nothing is stored and 503 is returned.
    """
    try:
        answer = _answered(runtime, memory, attempt)
    except Unavailable as error:
        log.warning("postback unavailable", extra={"cause": type(error.__cause__).__name__})
        answer = answers.unavailable()
    ANSWERS.labels(answer.status.value).inc()
    return answer


def _answered(runtime: Runtime, memory: Memory, attempt: Attempt) -> Answer:
    now = attempt.received_at
    with runtime.reading() as session:
        source = _source(session, attempt.source_id)
        keys = secrets.live(runtime, source, now) if source is not None else []
    verdict = verification.decide(
        _presented(source.scheme if source else None, attempt),
        keys,
        is_known=source is not None,
        is_admitted=allowlist.admits(source.allowlist if source else (), attempt.peer),
        is_right_method=source is None or verification.METHODS.get(source.scheme) == attempt.method,
    )
    if source is None or isinstance(verdict, Refusal):
        refusal = verdict if isinstance(verdict, Refusal) else Refusal.UNKNOWN_SOURCE
        # Taken after the check, which is cheap, and only by who fails it: nobody can use up a network's tokens by
        # forging its postbacks, from its own address or through the same proxy.
        wait_s = memory.addresses.wait_s(address_key(attempt.peer), UNPROVEN, now=now)
        if wait_s:
            return Answer(Status.TOO_MANY, retry_after_s=wait_s)
        return _refused(runtime, memory, attempt, refusal)
    return _proven(runtime, memory, attempt, source, verdict)


def _proven(runtime: Runtime, memory: Memory, attempt: Attempt, source: Source, proven: Proven) -> Answer:
    now = attempt.received_at
    closed = _closed(memory, source, now)
    if closed is not None:
        return closed
    reading = Reading(DedupeBy(source.dedupe_by), source.default_currency, source.parameters)
    told = _read(source.scheme, attempt, reading)
    if told.sent_at is not None and verification.is_from_future(sent_at=told.sent_at, now=now):
        return _refused(runtime, memory, attempt, Refusal.FROM_THE_FUTURE, secret_id=proven.secret_id)
    secret = next(each for each in source.secrets if each.id == proven.secret_id)
    if told.claim is None:
        return _invalid(runtime, attempt, source, secret, told)
    belief = Belief(
        attempt,
        proven.secret_id,
        verification.ASSURANCE[source.scheme],
        sorted(told.parameters.names),
        told.claim,
        told.claim.dedupe_key(reading.dedupe_by),
        is_late=verification.is_stale(sent_at=told.claim.sent_at, now=now),
        refuses_late=source.stale == "reject",
    )
    with runtime.transaction() as session:
        [recorded] = recording.record(runtime, session, [belief])
        _note_use(session, secret, now=now)
    if recorded.status is Status.UNAUTHORISED:
        refusals.REFUSED.labels(Refusal.STALE.value).inc()
        return answers.refused()
    return Answer(recorded.status, recorded.receipt_id, recorded.conversion_id)


def _refused(
    runtime: Runtime, memory: Memory, attempt: Attempt, refusal: Refusal, *, secret_id: str | None = None
) -> Answer:
    if refusals.is_sampled(memory.samples, attempt, refusal):
        try:
            with runtime.transaction() as session:
                refusals.keep(runtime, session, attempt, refusal, secret_id=secret_id)
        except Unavailable:
            # The answer is the same with or without a receipt: nothing was promised to this sender.
            refusals.UNSAMPLED.inc()
            log.warning("refused postback not stored", extra={"reason": refusal.value})
    return answers.refused()


def _closed(memory: Memory, source: Source, now: datetime) -> Answer | None:
    """Return what a source's own network hears, and nobody else, when the source takes nothing just now."""
    if source.state == "removed":
        return Answer(Status.REMOVED)
    if source.state == "paused":
        return Answer(Status.PAUSED, retry_after_s=answers.PAUSED_RETRY_AFTER_S)
    wait_s = memory.sources.wait_s(source.id, Rate(source.rate_per_second, source.rate_burst), now=now)
    return Answer(Status.TOO_MANY, retry_after_s=wait_s) if wait_s else None


def _invalid(runtime: Runtime, attempt: Attempt, source: Source, secret: SourceSecret, told: _Told) -> Answer:
    receipt_id = runtime.new_id("rcp")
    outcome = receipts.Believed(
        Status.INVALID,
        secret.id,
        verification.ASSURANCE[source.scheme],
        sorted(told.parameters.names),
        faults=told.faults,
    )
    with runtime.transaction() as session:
        receipts.write(session, [receipts.believed(receipt_id, attempt, outcome)])
        _note_use(session, secret, now=attempt.received_at)
    return answers.invalid(receipt_id, told.faults)


def _source(session: Session, source_id: str) -> Source | None:
    # One statement whether the source is there or not: two for a known one would tell it by the time it takes.
    wanted = source_id if _SOURCE_ID.fullmatch(source_id) else _NO_SOURCE_ID
    statement = sa.select(Source).options(joinedload(Source.secrets)).where(Source.id == wanted)
    return session.execute(statement).unique().scalar_one_or_none()


def _presented(scheme: str | None, attempt: Attempt) -> Presented:
    """Return the proof under the source's scheme; for an unknown source, under the one its method would have."""
    if scheme == "sw1" or (scheme is None and attempt.method == "POST"):
        message_id, timestamp, signatures = (
            attempt.signature_headers.get(name, "").encode("latin-1") for name in SIGNATURE_HEADERS
        )
        return canonical.sw1_presented(message_id, timestamp, signatures, attempt.body)
    return canonical.pb1_presented(attempt.method, attempt.source_id, attempt.query)


def _read(scheme: str, attempt: Attempt, reading: Reading) -> _Told:
    if scheme == "sw1":
        parameters = canonical.json_object(attempt.body, wanted=set(reading.names.values()))
        where, text = TIMESTAMP_HEADER, attempt.signature_headers.get(TIMESTAMP_HEADER)
    else:
        parameters = canonical.pairs(attempt.query)
        where = reading.name(content.TIMESTAMP)
        text = parameters.values.get(where)
    sent_at = canonical.sent_at(text)
    faults = list(parameters.faults)
    if sent_at is None:
        faults.append(Fault(where, "is needed: exactly ten digits of Unix seconds"))
    found = content.read(parameters.values, reading, sent_at=sent_at or attempt.received_at)
    if isinstance(found, Claim):
        return _Told(parameters, sent_at, None if faults else found, faults)
    unreadable = {fault.field for fault in faults}
    # One fault a field: what could not be read is not also missing. Without a single pair there is nothing to add.
    if parameters.names:
        faults += [fault for fault in found if fault.field not in unreadable]
    return _Told(parameters, sent_at, None, faults)


def _note_use(session: Session, secret: SourceSecret, *, now: datetime) -> None:
    """Keep when a secret was last used, once a minute: a write for every postback would be too dear."""
    if secret.last_used_at is not None and secret.last_used_at > now - LAST_USED_EVERY:
        return
    session.execute(sa.update(SourceSecret).where(SourceSecret.id == secret.id).values(last_used_at=now))
