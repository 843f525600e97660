"""What a window of receipts says when it is read again: each receipt with its conversion, and what that comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ids import first_token
from core.runtime import Runtime
from partners import secrets
from partners.models import Source
from postback import intake, known, receipts, replaying, verification
from postback.answers import Status
from postback.beliefs import Belief, Replays
from postback.content import Claim
from postback.event_rules import EventKind, State
from postback.known import KnownSource
from postback.models import Conversion, ConversionEvent, Receipt, ReprocessingKey
from postback.receipts import Attempt
from postback.replaying import Difference, Facts, Finding, Replay, Standing

_CHUNK = 500
ItemT = TypeVar("ItemT")
# Receipts of these are no conversion's receipt of record, and were valid as they came.
_REPEATS = tuple(status.value for status in (Status.DUPLICATE, Status.CONFLICT, Status.UPDATED, Status.IGNORED))
_MONEY_KINDS = [
    kind.value
    for kind in (
        EventKind.ADJUSTED, EventKind.UPSOLD, EventKind.REFUNDED, EventKind.CHARGED_BACK, EventKind.APPROVED,
    )
]  # fmt: skip


@dataclass(frozen=True)
class Window:
    """The receipts of one source that came from `since` on and before `until`."""

    source_id: str
    since: datetime
    until: datetime

    @property
    def span(self) -> "Span":
        """The same as ids."""
        low, high = (f"rcp_{first_token(moment)}" for moment in (self.since, self.until))
        return Span(self.source_id, low, high)


@dataclass(frozen=True)
class Span:
    """The receipts of one source from the id `low` on and below `high`."""

    source_id: str
    low: str
    high: str

    def holds(self, column: Any) -> sa.ColumnElement[bool]:
        """Return the condition that an id lies in it."""
        return sa.and_(column >= self.low, column < self.high)


@dataclass(frozen=True)
class _Read:
    """A receipt as it reads today, and the belief it would be."""

    receipt_id: str
    is_invalid: bool
    belief: Belief | None


@dataclass
class Plan:
    """What is decided about a window, with what is needed to do it; conversions and claims by their receipt's id."""

    revision: int
    receipts: int = 0
    differences: list[Difference] = field(default_factory=list)
    conversions: dict[str, Conversion] = field(default_factory=dict)
    beliefs: list[Belief] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The hash of what is decided, and of what that rests on."""
        return replaying.content_sha256(self.revision, self.differences)

    def take(self, read: "_Read", standing: Standing | None, taken: set[str]) -> None:
        """Decide about one receipt; `taken` are the keys that conversions have, and gains the one this would take."""
        claim = read.belief.claim if read.belief else None
        key = read.belief.dedupe_key if read.belief else ""
        found = replaying.decide(Replay(read.receipt_id, claim, key, standing, key in taken))
        self.differences.append(found)
        if read.belief is not None and found.finding is Finding.RECORD:
            self.beliefs.append(read.belief)
            taken.add(key)
        if claim is not None and found.finding is Finding.ADJUST:
            self.claims[read.receipt_id] = claim


def count(session: Session, span: Span) -> int:
    """Return how many receipts there are to read again."""
    return session.scalar(sa.select(sa.func.count()).where(*_readable(span))) or 0


def after(session: Session, span: Span, limit: int) -> str:
    """Return the id below which the first `limit` receipts of `span` lie: its end when there are no more."""
    statement = sa.select(Receipt.id).where(*_readable(span)).order_by(Receipt.id).offset(limit).limit(1)
    return session.scalar(statement) or span.high


def plan(
    runtime: Runtime, session: Session, window: Span, reprocessing_id: str, *, seq: int = 1, is_applied: bool
) -> Plan:
    """Decide about every receipt of the span; `is_applied` holds source and conversions to the transaction's end.

    `seq` is its number among the parts of the reprocessing: keys that earlier ones would record are taken. Raise
    NotFound for an unknown source.
    """
    # FOR SHARE: nobody changes the source meanwhile, and its postbacks go on.
    session.get(Source, window.source_id, with_for_update={"read": True} if is_applied else None)
    now = runtime.clock()
    source = known.load(runtime, session, window.source_id, now=now)
    if source is None:
        message = f"there is no source {window.source_id}"
        raise NotFound(message)
    made = Plan(source.revision, conversions=_conversions(session, window, is_applied=is_applied))
    changed_since = _changed_since(session, [each.id for each in made.conversions.values()])
    read = [
        _Read(
            receipt_id, is_invalid, None if belief is None else belief._replace(
                replays=Replays(reprocessing_id, receipt_id, now)
            ),
        )
        for receipt_id, is_invalid, belief in _beliefs(runtime, session, window, source)
    ]  # fmt: skip
    wanted = [each.belief.dedupe_key for each in read if each.belief and each.receipt_id not in made.conversions]
    taken = _taken(session, window.source_id, wanted) | _promised(session, reprocessing_id, seq, wanted)
    made.receipts = len(read)
    for each in read:
        conversion = made.conversions.get(each.receipt_id)
        if conversion is None and not each.is_invalid:
            # Its conversion is another receipt's.
            continue
        standing = None if conversion is None else _standing(conversion, changed_since)
        made.take(each, standing, taken)
    return made


def _readable(span: Span) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Receipt.source_id == span.source_id,
        span.holds(Receipt.id),
        Receipt.verdict == receipts.BELIEVED,
        Receipt.outcome.not_in(_REPEATS),
    )


def _conversions(session: Session, window: Span, *, is_applied: bool) -> dict[str, Conversion]:
    """Return the conversions whose receipt of record lies in the window, by that receipt's id."""
    # Not by the receipts' own conversion_id: one that was replayed before says on its row that it was invalid.
    statement = (
        sa.select(Conversion)
        .where(Conversion.source_id == window.source_id, window.holds(Conversion.receipt_id))
        .order_by(Conversion.id)
        .execution_options(populate_existing=True)
    )
    if is_applied:
        statement = statement.with_for_update()
    return {conversion.receipt_id: conversion for conversion in session.scalars(statement)}


def _beliefs(
    runtime: Runtime, session: Session, window: Span, source: KnownSource
) -> Iterator[tuple[str, bool, Belief | None]]:
    """Give each receipt's id, whether it was invalid, and what it says today, in the order they came."""
    statement = sa.select(Receipt).where(*_readable(window)).order_by(Receipt.id).execution_options(yield_per=_CHUNK)
    keys = secrets.keys(runtime, session.get_one(Source, window.source_id))
    with session.scalars(statement) as found:
        for receipt in found:
            belief = _belief(receipt, source, keys.get(receipt.secret_id or "", b""))
            yield receipt.id, receipt.outcome == Status.INVALID, belief
            session.expunge(receipt)


def _belief(receipt: Receipt, source: KnownSource, key: bytes) -> Belief | None:
    """Return what the receipt's sender says, as it reads today; None when that is not valid.

    Its proof held when it came and is not asked for again. Late is what was late when it came.
    """
    attempt = Attempt(
        receipt.source_id, receipt.method, receipt.peer, receipt.raw_query, receipt.received_at, 0.0,
        body=receipt.raw_body, signature_headers=receipt.signature_headers,
    )  # fmt: skip
    told = intake.read_with(key, source, intake.request_of(attempt, source.url), receipt.received_at)
    if told.claim is None or told.sent_at is None:
        return None
    is_late = verification.is_stale(sent_at=told.sent_at, now=receipt.received_at)
    if verification.is_from_future(sent_at=told.sent_at, now=receipt.received_at) or (is_late and source.refuses_late):
        return None
    return Belief(
        attempt,
        receipt.secret_id or "",
        receipt.assurance,
        receipt.covered_fields,
        told.claim,
        told.claim.dedupe_key(source.reading.dedupe_by),
        source.covered,
        is_late=is_late,
        is_test=source.is_test,
        dedupe_by=source.reading.dedupe_by,
        duplicates=source.reading.duplicates,
    )


def _changed_since(session: Session, conversion_ids: Sequence[str]) -> set[str]:
    """Return which conversions had their amounts changed by a person or their network, after they were recorded."""
    changed = set()
    for ids in chunks(conversion_ids):
        statement = sa.select(ConversionEvent.conversion_id, ConversionEvent.details).where(
            ConversionEvent.conversion_id.in_(ids), ConversionEvent.kind.in_(_MONEY_KINDS)
        )
        for conversion_id, details in session.execute(statement):
            if "reprocessing_id" not in details and _money(details, "before") != _money(details, "after"):
                changed.add(conversion_id)
    return changed


def _money(details: dict[str, Any], moment: str) -> tuple[str | None, str | None]:
    shown = details.get(moment) or {}
    return shown.get("payout"), shown.get("amount")


def _taken(session: Session, source_id: str, keys: Sequence[str]) -> set[str]:
    taken: set[str] = set()
    for chunk in chunks(sorted(set(keys))):
        statement = sa.select(Conversion.dedupe_key).where(
            Conversion.source_id == source_id, Conversion.dedupe_key.in_(chunk)
        )
        taken.update(session.scalars(statement))
    return taken


def _promised(session: Session, reprocessing_id: str, seq: int, keys: Sequence[str]) -> set[str]:
    promised: set[str] = set()
    for chunk in chunks(sorted(set(keys)) if seq > 1 else ()):
        statement = sa.select(ReprocessingKey.dedupe_key).where(
            ReprocessingKey.reprocessing_id == reprocessing_id,
            ReprocessingKey.seq < seq,
            ReprocessingKey.dedupe_key.in_(chunk),
        )
        promised.update(session.scalars(statement))
    return promised


def _standing(conversion: Conversion, changed_since: set[str]) -> Standing:
    return Standing(
        conversion.id,
        conversion.version,
        State(conversion.state),
        conversion.dedupe_key,
        conversion.currency,
        Facts(conversion.payout, conversion.amount, conversion.status_word, conversion.claimed_click_id),
        conversion.id in changed_since,
    )


def chunks(items: Sequence[ItemT]) -> Iterator[Sequence[ItemT]]:
    """Give `items` in parts that fit into one statement."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
