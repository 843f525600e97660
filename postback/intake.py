"""From a raw request to an answer: checks in their order, then a place in the writer's next commit.

`steps` is the one check-and-record function. It does no I/O: it yields what it needs done (`Look` for a source,
`Write` for rows) and is sent what came of it, so that a door with threads and one with an event loop run the same code.
"""

import logging
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from prometheus_client import Counter

from core.errors import Fault
from partners import allowlist
from postback import answers, canonical, content, receipts, redaction, refusals, verification
from postback.answers import Answer, Status
from postback.beliefs import Belief, Recorded
from postback.content import Claim
from postback.known import KnownSource, Sources
from postback.rate import Buckets, Rate, address_key
from postback.receipts import Attempt
from postback.schemes.base import Parameters, Request
from postback.schemes.generic import pb1, sw1
from postback.verification import Proven, Refusal

QUERY_BYTES_MAX = 8 * 1024
BODY_BYTES_MAX = 64 * 1024
LENGTH_DIGITS_MAX = 9
# Ten a second for whoever proves nothing, with the same room for bursts as a source has.
UNPROVEN = Rate(per_second=10, burst=50)
# How often a source may move on between a check and its commit before the sender is asked to come back.
LOOKS_MAX = 3

_SOURCE_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
# Asked for in place of an id that cannot be one, so that the answer takes as long.
NO_SOURCE_ID = "src_none"
_UNKNOWN = {"GET": pb1(), "POST": sw1()}

ANSWERS = Counter("clickledger_postbacks", "Answers at the postback door, by status.", ["status"])
_COUNTS = {status: ANSWERS.labels(status.value) for status in Status}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Memory:
    """What one process remembers between requests: sources, and how fast each source, address and sample goes."""

    known: Sources = field(default_factory=Sources)
    sources: Buckets = field(default_factory=Buckets)
    addresses: Buckets = field(default_factory=Buckets)
    samples: Buckets = field(default_factory=Buckets)


class Look(NamedTuple):
    """Read this source from the database and remember it; comes back as KnownSource or None."""

    source_id: str


class Write(NamedTuple):
    """Commit this with the writer's next batch. A belief comes back as Recorded; a row, a dictionary, as Kept.

    `revision` is the one that it rests on: None comes back, and nothing is written, when its source has moved on since.
    """

    source_id: str
    revision: int | None
    belief: Belief | None = None
    row: dict[str, object] | None = None
    used_secret: tuple[str, datetime] | None = None


@dataclass(frozen=True)
class Kept:
    """What a row comes back as."""


_Came = KnownSource | Recorded | Kept | None
Steps = Generator[Look | Write, _Came, Answer]
# Picks headers by their lower-case names out of a request.
Headers = Callable[[Sequence[str]], dict[str, str]]


class Told(NamedTuple):
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
    return counted(Answer(status))


def counted(answer: Answer) -> Answer:
    """Return `answer`, counted."""
    _COUNTS[answer.status].inc()
    return answer


def unavailable(cause: BaseException | None) -> Answer:
    """Return the answer while nothing can be stored: counted, and logged by its cause's name alone."""
    log.warning("postback unavailable", extra={"cause": type(cause).__name__})
    return counted(answers.unavailable())


def steps(memory: Memory, attempt: Attempt, headers: Headers) -> Steps:
    """Believe or refuse one postback and record it; return what the sender hears.

    A success is returned only after its commit has come back. A refusal is decided on the source as it is now.
    """
    source_id = attempt.source_id if _SOURCE_ID.fullmatch(attempt.source_id) else NO_SOURCE_ID
    source = memory.known.get(source_id)
    has_token = False
    for look in range(LOOKS_MAX):
        if source is None or look:
            found = yield Look(source_id)
            source = found if isinstance(found, KnownSource) else None
        is_fresh = source is None or look > 0
        seen = _with_headers(attempt, source, headers)
        request = request_of(seen, source.url if source is not None else "")
        verdict = _verdict(source, seen, request)
        if source is None or isinstance(verdict, Refusal):
            if look == 0:
                # Taken after the check, which is cheap, and only by who fails it: nobody can use up a network's tokens
                # by forging its postbacks, from its own address or through the same proxy.
                wait_s = memory.addresses.wait_s(address_key(attempt.peer), UNPROVEN, now=attempt.received_at)
                if wait_s:
                    return counted(Answer(Status.TOO_MANY, retry_after_s=wait_s))
                if not is_fresh:
                    continue
            refusal = verdict if isinstance(verdict, Refusal) else Refusal.UNKNOWN_SOURCE
            return counted((yield from _refused(memory, seen, source, refusal)))
        if source.state != "active" and not is_fresh:
            continue
        # Looked at again it is still one postback, and takes one token.
        closed = _closed(memory, source, attempt.received_at, has_token=has_token)
        if closed is not None:
            return counted(closed)
        has_token = True
        answer = yield from _proven(memory, (seen, request), source, verdict, is_fresh=is_fresh)
        if answer is not None:
            return counted(answer)
    return unavailable(None)


def request_of(attempt: Attempt, url: str) -> Request:
    """Return what a scheme looks at."""
    return Request(
        attempt.method, attempt.source_id, url, attempt.query, attempt.body, attempt.signature_headers,
        attempt.path_token,
    )  # fmt: skip


def _with_headers(attempt: Attempt, source: KnownSource | None, headers: Headers) -> Attempt:
    scheme = source.scheme if source is not None else _UNKNOWN[attempt.method]
    if not scheme.headers:
        return attempt
    found = headers(scheme.headers)
    return receipts.with_headers(attempt, found) if found else attempt


def _verdict(source: KnownSource | None, attempt: Attempt, request: Request) -> Proven | Refusal:
    # For an unknown source the scheme its method would have, under a key that nobody knows.
    scheme = source.scheme if source is not None else _UNKNOWN[attempt.method]
    return verification.decide(
        scheme.present(request),
        source.keys(attempt.received_at) if source is not None else (),
        is_known=source is not None,
        is_admitted=allowlist.admits(source.allowlist if source is not None else (), attempt.peer),
        is_right_method=attempt.method in scheme.methods,
        mac=scheme.mac,
    )


def _proven(
    memory: Memory, asked: tuple[Attempt, Request], source: KnownSource, proven: Proven, *, is_fresh: bool
) -> Generator[Write, _Came, Answer | None]:
    """Record what a proven sender says; None when the source has moved on meanwhile, and is to be looked at again."""
    attempt, request = asked
    now = attempt.received_at
    told = read(source, request, proven, now)
    if told.sent_at is not None and verification.is_from_future(sent_at=told.sent_at, now=now):
        reason = Refusal.FROM_THE_FUTURE
        return (yield from _refused(memory, attempt, source, reason, proven.secret_id)) if is_fresh else None
    used = (proven.secret_id, now)
    attempt = receipts.redacted(attempt, redaction.of_proven(source.scheme.static, source.secrets))
    if told.claim is None:
        receipt_id = receipts.new_id(attempt)
        outcome = receipts.Believed(
            Status.INVALID, proven.secret_id, source.scheme.assurance, covered(source, told), faults=told.faults
        )
        row = receipts.believed(receipt_id, attempt, outcome)
        # On the revision too: its secret may be revoked by now, or its parameters may have other names.
        kept = yield Write(source.id, source.revision, row=row, used_secret=used)
        return answers.invalid(receipt_id, told.faults, source.style) if isinstance(kept, Kept) else None
    belief = belief_of(source, attempt, proven, told, told.claim)
    recorded = yield Write(source.id, source.revision, belief, used_secret=used)
    if not isinstance(recorded, Recorded):
        return None
    if recorded.status is Status.UNAUTHORISED:
        refusals.REFUSED.labels(Refusal.STALE.value).inc()
        return answers.refused()
    return Answer(recorded.status, recorded.receipt_id, recorded.conversion_id, style=source.style)


def belief_of(source: KnownSource, attempt: Attempt, proven: Proven, told: Told, claim: Claim) -> Belief:
    """Return what is to be recorded of a proven attempt that makes `claim`."""
    return Belief(
        attempt,
        proven.secret_id,
        source.scheme.assurance,
        covered(source, told),
        claim,
        claim.dedupe_key(source.reading.dedupe_by),
        source.covered,
        is_late=told.sent_at is not None and verification.is_stale(sent_at=told.sent_at, now=attempt.received_at),
        refuses_late=source.refuses_late,
        is_test=source.is_test,
        dedupe_by=source.reading.dedupe_by,
        duplicates=source.reading.duplicates,
    )


def covered(source: KnownSource, told: Told) -> list[str]:
    """Return the network's names of what the proof covers: of all that the request holds where it covers all."""
    names = source.scheme.covered
    return sorted(told.parameters.names if names is None else names)


def _refused(
    memory: Memory, attempt: Attempt, source: KnownSource | None, refusal: Refusal, secret_id: str | None = None
) -> Generator[Write, _Came, Answer]:
    if refusals.is_sampled(memory.samples, attempt, refusal):
        kept = refusals.without_secrets(attempt, source)
        row = receipts.refused(receipts.new_id(attempt), kept, refusal, secret_id)
        # Nothing is promised to this sender; while nothing can be written it hears 503, as everybody does.
        yield Write(attempt.source_id, None, row=row)
    return answers.refused()


def _closed(memory: Memory, source: KnownSource, now: datetime, *, has_token: bool) -> Answer | None:
    """Return what a source's own network hears, and nobody else, when the source takes nothing just now."""
    shut = shut_answer(source)
    if shut is not None:
        return shut
    wait_s = 0.0 if has_token else memory.sources.wait_s(source.id, source.rate, now=now)
    return Answer(Status.TOO_MANY, retry_after_s=wait_s) if wait_s else None


def shut_answer(source: KnownSource) -> Answer | None:
    """Return what a source that is paused or removed answers its network, None for an active one."""
    if source.state == "removed":
        return Answer(Status.REMOVED)
    if source.state == "paused":
        return Answer(Status.PAUSED, retry_after_s=answers.PAUSED_RETRY_AFTER_S)
    return None


def read(source: KnownSource, request: Request, proven: Proven, now: datetime) -> Told:
    """Read what a proven request tells: a moment and a claim, or every fault."""
    key = next(secret.key for secret in source.secrets if secret.id == proven.secret_id)
    return read_with(key, source, request, now)


def read_with(key: bytes, source: KnownSource, request: Request, now: datetime) -> Told:
    """Read the same under the `key` that proved it, which may sign nothing new by now; it came in at `now`."""
    scheme = source.scheme
    told = scheme.read(request, key, source.wanted)
    parameters = told.parameters
    faults = list(parameters.faults)
    sent_at = now if scheme.timestamp is None else canonical.sent_at(told.timestamp)
    if sent_at is None:
        faults.append(Fault(scheme.timestamp or "", "is needed: exactly ten digits of Unix seconds"))
    found = content.read(parameters.values, source.reading, sent_at=sent_at or now)
    if isinstance(found, Claim):
        return Told(parameters, sent_at, None if faults else found, faults)
    unreadable = {fault.field for fault in faults}
    # One fault a field: what could not be read is not also missing. Without a single pair there is nothing to add.
    if parameters.names:
        faults += [fault for fault in found if fault.field not in unreadable]
    return Told(parameters, sent_at, None, faults)
