"""The two-tier check: conversions a day old beside the lists that cover them; what differs is told, never corrected."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import claim, is_postgresql, lock, streamed
from core.runtime import Runtime
from ledger import periods
from postback.event_rules import State
from postback.models import Conversion
from reports import keeping, two_tier
from reports.advertiser_lists import AGE_MIN, covered, is_about_the_same
from reports.advertiser_models import AdvertiserLine, AdvertiserList
from reports.matching import DiscrepancyClass, Found, Leg
from reports.models import Discrepancy, Reconciliation
from reports.passes import Digest
from reports.reconciliation import ERROR_LENGTH_MAX, LOCK
from reports.two_tier import Compared, Meaning, Ours, Theirs

_NIGHT = timedelta(hours=24)
# Conversions come late, and people correct their systems: for so long after its end a list is looked at every night.
LOOKED_AT_FOR = timedelta(days=7)
_VOID = {State.REJECTED, State.REVERSED}


def next_due(session: Session, now: datetime) -> str | None:
    """Return the id of the list that has waited longest for its next look."""
    due = sa.select(AdvertiserList.id).where(AdvertiserList.next_check_at <= now)
    return session.scalar(due.order_by(AdvertiserList.next_check_at, AdvertiserList.id).limit(1))


def check(runtime: Runtime, session: Session, list_id: str) -> None:
    """Compare a list that is due with our conversions, and bring the discrepancies about it in line.

    One another worker has looked at meanwhile is left alone, and so is a closed month. The same conversions and lines
    give the same digest, and leave every discrepancy as it was.
    """
    lock(session, LOCK)
    now = runtime.clock()
    due = sa.select(AdvertiserList).where(AdvertiserList.id == list_id, AdvertiserList.next_check_at <= now)
    found = session.scalar(claim(due))
    if found is None:
        return
    if periods.is_closed(session, found.period):
        found.state, found.next_check_at = "done", None
        return
    run = _run(runtime, session, found)
    counts: Counter[str] = Counter()
    told = _told(found, counts, two_tier.compare(_ours(session, found, now), _theirs(session, found, now)))
    by_class = keeping.keep_discrepancies(runtime, session, run, _scope(found), told)
    digest = Digest()
    digest.add("list", [(found.file_sha256, found.compares, found.seed, found.sample_percent)])
    keeping.add_found(session, digest)
    keeping.FOUND.drop(session.connection())
    run.counts = {name: counts[name] for name in ("ours", "theirs", "matched")} | {"discrepancies": by_class}
    run.digest, run.finished_at = f"sha256:{digest.hexadecimal()}", now
    found.counts, found.checked_at, found.error = dict(run.counts), now, None
    is_over = now >= covered(found)[1] + AGE_MIN + LOOKED_AT_FOR
    found.state = "done" if is_over else "waiting"
    found.next_check_at = None if is_over else now + _NIGHT


def fail(runtime: Runtime, session: Session, list_id: str, reason: str) -> None:
    """Write down that a list could not be compared; the next night tries again."""
    found = session.get(AdvertiserList, list_id, with_for_update=True, populate_existing=True)
    if found is not None:
        found.error, found.next_check_at = reason[:ERROR_LENGTH_MAX], runtime.clock() + _NIGHT


def _run(runtime: Runtime, session: Session, found: AdvertiserList) -> Reconciliation:
    """Return the reconciliation that a list's discrepancies stand in, made at its first look."""
    if found.reconciliation_id is not None:
        return session.get_one(Reconciliation, found.reconciliation_id)
    run = Reconciliation(
        id=runtime.new_id("rec"),
        period=found.period,
        leg=Leg.ADVERTISER.value,
        source_id=found.source_id,
        state="finished",
        counts={},
        started_by=found.imported_by,
        created_at=runtime.clock(),
    )
    session.add(run)
    session.flush()
    found.reconciliation_id = run.id
    return run


def _ours(session: Session, found: AdvertiserList, now: datetime) -> Iterator[Ours]:
    """Yield the conversions that the list covers, and those it names wherever they are, by transaction id."""
    start, end = covered(found)
    amount = Conversion.amount_minor if found.compares == "sale" else Conversion.payout_minor
    is_named = sa.exists().where(
        AdvertiserLine.list_id == found.id, AdvertiserLine.transaction_id == Conversion.transaction_id
    )
    is_covered = sa.and_(Conversion.occurred_at >= start, Conversion.occurred_at < end)
    whose = (
        Conversion.source_id == found.source_id
        if found.source_id is not None
        else Conversion.campaign_id == found.campaign_id
    )
    statement = (
        sa.select(
            Conversion.id, Conversion.transaction_id, amount.label("amount_minor"), Conversion.currency,
            Conversion.state, Conversion.source_id, Conversion.recorded_at, Conversion.occurred_at,
        )
        .where(whose, Conversion.state != State.TEST, sa.or_(is_covered, is_named))
        .order_by(_by_code_point(session, Conversion.transaction_id), Conversion.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        if two_tier.is_sampled(row.transaction_id, seed=found.seed, percent=found.sample_percent):
            is_old = row.recorded_at <= now - AGE_MIN
            yield Ours(
                row.id,
                row.transaction_id,
                row.amount_minor,
                row.currency,
                is_void=row.state in _VOID,
                is_old=is_old,
                is_due=is_old and start <= row.occurred_at < end,
                source_id=row.source_id,
            )


def _theirs(session: Session, found: AdvertiserList, now: datetime) -> Iterator[Theirs]:
    # The whole day of a line is over for AGE_MIN.
    old_before = (now - AGE_MIN).date()
    statement = (
        sa.select(
            AdvertiserLine.id, AdvertiserLine.transaction_id, AdvertiserLine.amount_minor, AdvertiserLine.currency,
            AdvertiserLine.meaning, AdvertiserLine.occurred_on,
        )
        .where(AdvertiserLine.list_id == found.id)
        .order_by(_by_code_point(session, AdvertiserLine.transaction_id), AdvertiserLine.line_number)
    )  # fmt: skip
    for row in streamed(session, statement):
        if two_tier.is_sampled(row.transaction_id, seed=found.seed, percent=found.sample_percent):
            meaning, is_old = Meaning(row.meaning), row.occurred_on < old_before
            yield Theirs(row.id, row.transaction_id, row.amount_minor, row.currency, meaning, is_old)


def _told(about: AdvertiserList, counts: Counter[str], compared: Iterable[Compared]) -> Iterator[Found]:
    """Yield what differs, and count all of it on the way."""
    for each in compared:
        counts["ours"] += each.ours is not None and (each.ours.is_due or each.theirs is not None)
        counts["theirs"] += each.theirs is not None
        counts["matched"] += each.ours is not None and each.theirs is not None
        if each.klass is not None:
            yield _found(about, each, each.klass)


def _found(about: AdvertiserList, each: Compared, klass: DiscrepancyClass) -> Found:
    ours, theirs = each.ours, each.theirs
    return Found(
        Leg.ADVERTISER,
        klass,
        ours.source_id if ours else about.source_id,
        conversion_id=ours.id if ours else None,
        line_id=theirs.id if theirs else None,
        ours_minor=ours.amount_minor if ours else None,
        ours_currency=ours.currency if ours else None,
        theirs_minor=theirs.amount_minor if theirs else None,
        theirs_currency=theirs.currency if theirs else None,
    )


def _scope(about: AdvertiserList) -> sa.ColumnElement[bool]:
    """Return the condition for discrepancies of the list, and of those it replaced: of other lists they are theirs."""
    same = sa.select(AdvertiserList.reconciliation_id).where(is_about_the_same(about))
    return sa.and_(Discrepancy.leg == Leg.ADVERTISER, Discrepancy.reconciliation_id.in_(same))


def _by_code_point(session: Session, column: Any) -> sa.ColumnElement[Any]:
    """Return `column` in Python's order of texts, whatever language the database sorts by."""
    return sa.collate(column, "C") if is_postgresql(session) else sa.collate(column, "BINARY")
