"""Runs: asked for at a door, done by the stage in one transaction, keyed by a hash of what went in."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, doorbell, rows
from core.actors import Actor
from core.audit import Act
from core.database import claim, insert_new, lock, streamed
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from partners.models import Source
from reports import matching
from reports.matching import STATE_AFTER, DiscrepancyState, Found, Known, Leg, Resolution
from reports.models import Discrepancy, Reconciliation
from reports.network_leg import NetworkLeg
from reports.passes import PAIRS, Digest, pairs_table
from reports.payout_leg import PayoutLeg

STAGE = "month-end"
# One lock for runs, imports and closes: a run sees whole files, a close sees whole runs.
LOCK = "reconciliation"
ERROR_LENGTH_MAX = 500
_CHUNK_ROWS = 1000


def ask(
    runtime: Runtime, session: Session, *, period: str, leg: Leg, source_id: str | None, actor: Actor
) -> Reconciliation:
    """Put a run in line for the stage; raise Invalid for a source that is none, Conflict for a closed month."""
    if source_id is not None:
        if leg is not Leg.NETWORK:
            raise Invalid.of(Fault("source_id", "narrows the leg network alone"))
        if session.get(Source, source_id) is None:
            raise Invalid.of(Fault("source_id", "is no source of ours"))
    _refuse_closed(session, period)
    run = Reconciliation(
        id=runtime.new_id("rec"),
        period=period,
        leg=leg,
        source_id=source_id,
        state="waiting",
        counts={},
        started_by=actor.id,
        created_at=runtime.clock(),
    )
    session.add(run)
    audit.record(
        session,
        Act(actor, "asked", "reconciliation", run.id, runtime.clock(), after={"period": period, "leg": leg.value}),
    )
    doorbell.after_commit(session, STAGE)
    return run


def next_waiting(session: Session) -> str | None:
    """Return the id of the run that has waited longest."""
    return session.scalar(
        sa.select(Reconciliation.id).where(Reconciliation.state == "waiting").order_by(Reconciliation.id).limit(1)
    )


def run(runtime: Runtime, session: Session, run_id: str) -> None:
    """Do the waiting run: pairs, matches, settlements, discrepancies, counts and digest, all or nothing.

    A run that another worker has done meanwhile is left alone. The same inputs give the same digest, and leave every
    match and discrepancy as it was.
    """
    lock(session, LOCK)
    waiting = sa.select(Reconciliation).where(Reconciliation.id == run_id, Reconciliation.state == "waiting")
    asked = session.scalar(claim(waiting))
    if asked is None:
        return
    _refuse_closed(session, asked.period)
    leg = NetworkLeg(asked.period, asked.source_id) if asked.leg == Leg.NETWORK else PayoutLeg(asked.period)
    now = runtime.clock()
    with pairs_table(session):
        leg.pair(session)
        leg.keep(session, asked.id, now)
        refused = leg.settle(runtime, session) if isinstance(leg, PayoutLeg) else 0
        found = _keep_discrepancies(runtime, session, asked, list(leg.found(session)))
        counts = leg.counts(session)
        inputs = Digest()
        inputs.add("asked", [(matching.RULES_VERSION, asked.period, asked.leg, asked.source_id)])
        leg.add_inputs(session, inputs)
        asked.input_sha256 = inputs.hexadecimal()
        asked.digest = f"sha256:{_result(session, found).hexadecimal()}"
    asked.counts = {
        "ours": counts.ours,
        "theirs": counts.theirs,
        "matched": counts.matched,
        "discrepancies": _by_class(found),
    } | ({"not_settled": refused} if refused else {})
    asked.state, asked.finished_at = "finished", now


def fail(runtime: Runtime, session: Session, run_id: str, reason: str) -> None:
    """Write down that the run cannot be done, so that it does not wait any more."""
    failed = session.get(Reconciliation, run_id, with_for_update=True, populate_existing=True)
    if failed is not None and failed.state == "waiting":
        failed.state, failed.error, failed.finished_at = "failed", reason[:ERROR_LENGTH_MAX], runtime.clock()


def resolve(
    runtime: Runtime,
    session: Session,
    discrepancy_id: str,
    *,
    resolution: Resolution,
    note: str,
    version: int,
    actor: Actor,
) -> Discrepancy:
    """Write down what a person says about a discrepancy. Nothing is posted; an act of a person, audited.

    Raise NotFound, and Conflict when its version moved on, when a run no longer finds it, or its month is closed.
    """
    # Under the lock of the runs: one that is under way would overwrite what is said here.
    lock(session, LOCK)
    found = rows.locked(session, Discrepancy, discrepancy_id, version=version)
    _refuse_closed(session, found.period)
    if found.state == DiscrepancyState.GONE:
        message = "a later run no longer found this discrepancy: there is nothing to resolve"
        raise Conflict(message)
    before = {"state": found.state, "resolution": found.resolution}
    found.state, found.resolution, found.note = STATE_AFTER[resolution], resolution, note
    found.resolved_by, found.resolved_at = actor.id, runtime.clock()
    found.version += 1
    after = {"state": found.state, "resolution": found.resolution}
    audit.record(
        session,
        Act(actor, "resolved", "discrepancy", found.id, runtime.clock(), before=before, after=after, reason=note),
    )
    return found


def in_scope(asked: Reconciliation) -> sa.ColumnElement[bool]:
    """Return the condition for discrepancies that `asked` looks after: of its month, leg and source."""
    scope = sa.and_(Discrepancy.period == asked.period, Discrepancy.leg == asked.leg)
    return sa.and_(scope, Discrepancy.source_id == asked.source_id) if asked.source_id else scope


def _refuse_closed(session: Session, period: str) -> None:
    if periods.is_closed(session, period):
        message = f"{period} is closed: what was reconciled then stays as it was"
        raise Conflict(message, slug="period-closed")


def _keep_discrepancies(runtime: Runtime, session: Session, asked: Reconciliation, found: list[Found]) -> list[Found]:
    """Bring the discrepancies of the run's scope in line with `found`; return those that are this month's, sorted."""
    found.sort(key=lambda item: item.subject_key)
    known = _known(session, asked, [item.subject_key for item in found])
    found = [item for item in found if not matching.is_of_other_month(asked.period, known.get(item.subject_key))]
    changes = matching.changes(asked.period, found, known)
    now = runtime.clock()
    rows = [
        {"id": runtime.new_id("dsc"), "subject_key": item.subject_key, "created_at": now, **_columns(asked, item)}
        for item in changes.new
    ]
    for chunk in _chunks(rows):
        insert_new(session, Discrepancy, chunk, key=["subject_key"])
    # Every found one is said again in full: what a person said was about other amounts.
    cleared = {"resolution": None, "note": None, "resolved_by": None, "resolved_at": None}
    version = {before.id: before.version + 1 for before in known.values()}
    corrected = [
        {"id": id_, "version": version[id_], **_columns(asked, item), **cleared}
        for id_, item in changes.corrected.items()
    ]
    gone = [{"id": id_, "version": version[id_], "state": DiscrepancyState.GONE.value} for id_ in changes.gone]
    for values in (corrected, gone):
        for chunk in _chunks(values):
            session.execute(sa.update(Discrepancy), chunk)
    return found


def _known(session: Session, asked: Reconciliation, keys: Sequence[str]) -> dict[str, Known]:
    columns = [
        Discrepancy.id, Discrepancy.subject_key, Discrepancy.period, Discrepancy.state, Discrepancy.version,
        Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor, Discrepancy.theirs_currency,
    ]  # fmt: skip
    wheres = [in_scope(asked), *(Discrepancy.subject_key.in_(chunk) for chunk in _chunks(keys))]
    rows = [row for where in wheres for row in session.execute(sa.select(*columns).where(where))]
    return {
        row.subject_key: Known(
            row.id, row.subject_key, row.period, DiscrepancyState(row.state), row.version, tuple(row[5:])
        )
        for row in rows
    }


def _columns(asked: Reconciliation, item: Found) -> dict[str, Any]:
    return {
        "reconciliation_id": asked.id,
        "period": asked.period,
        "leg": item.leg.value,
        "source_id": item.source_id,
        "klass": item.klass.value,
        "conversion_id": item.conversion_id,
        "payout_id": item.payout_id,
        "line_id": item.line_id,
        "ours_minor": item.ours_minor,
        "ours_currency": item.ours_currency,
        "theirs_minor": item.theirs_minor,
        "theirs_currency": item.theirs_currency,
        "state": DiscrepancyState.OPEN.value,
    }


def _result(session: Session, found: Sequence[Found]) -> Digest:
    digest = Digest()
    pairs = sa.select(PAIRS).where(PAIRS.c.matched_by.is_not(None)).order_by(PAIRS.c.our_id)
    digest.add("match", streamed(session, pairs))
    digest.add("discrepancy", ((item.subject_key, *item.amounts) for item in found))
    return digest


def _by_class(found: Sequence[Found]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in found:
        counts[item.klass.value] = counts.get(item.klass.value, 0) + 1
    return dict(sorted(counts.items()))


def _chunks(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + _CHUNK_ROWS] for start in range(0, len(rows), _CHUNK_ROWS)]
