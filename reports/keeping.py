"""What a run has found becomes matches and discrepancies: only what changed is written, a part at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import bulk
from core.database import Json, among, insert_new, insert_of, streamed, table_of
from core.runtime import Runtime
from reports import matching
from reports.match_models import Match
from reports.matching import LET_GO, Changes, DiscrepancyClass, DiscrepancyState, Found, Known, Leg
from reports.models import Discrepancy, Reconciliation
from reports.passes import PAIRS, SUGGESTIONS, Digest, edge_id

_CHUNK_ROWS = 5000
_C = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")

# The differences of the run under way, by their key: so they are compared with the known ones in order, not in memory.
FOUND = sa.Table(
    "reconciliation_found",
    sa.MetaData(),
    sa.Column("subject_key", _C, primary_key=True),
    sa.Column("klass", sa.String(24), nullable=False),
    sa.Column("item", Json, nullable=False),
    prefixes=["TEMPORARY"],
)


def keep_matches(session: Session, leg: Leg, run_id: str, *, scope: sa.ColumnElement[bool], now: datetime) -> None:
    """Make the passes' edges in `scope` exactly the pairs and suggestions; what people made stays as it is.

    Unchanged edges stay as they are, others go or come.
    """
    is_first = _is_first(session, run_id)
    if not is_first:
        for edges, state in ((PAIRS, "confirmed"), (SUGGESTIONS, "suggested")):
            _delete_others(session, edges, sa.and_(Match.leg == leg, Match.state == state, scope))
    for edges in (PAIRS, SUGGESTIONS):
        _insert(session, leg, run_id, edges, now, is_first=is_first)


def _is_first(session: Session, run_id: str) -> bool:
    """Say whether there can be no edge of this one's month and leg: no run has made any, and nobody else either."""
    this = sa.select(Reconciliation.period, Reconciliation.leg).where(Reconciliation.id == run_id).subquery()
    before = sa.select(Reconciliation.id).join(
        this, sa.and_(Reconciliation.period == this.c.period, Reconciliation.leg == this.c.leg)
    )
    by_people = sa.select(Match.id).join(this, Match.leg == this.c.leg).where(Match.made_by.is_not(None))
    asked = (before.where(Reconciliation.state == "finished"), by_people)
    return all(session.scalar(statement.limit(1)) is None for statement in asked)


def _delete_others(session: Session, edges: sa.Table, is_among: sa.ColumnElement[bool]) -> None:
    difference, group_id = _difference(edges), sa.func.coalesce(edges.c.group_id, Match.id)
    same = sa.and_(
        edges.c.matched_by == Match.matched_by,
        Match.our_id == edges.c.our_id,
        Match.their_id == edges.c.their_id,
        Match.group_id == group_id,
        Match.difference_minor == difference,
        Match.allocated_minor == edges.c.theirs_minor,
        sa.func.coalesce(Match.score, -1) == sa.func.coalesce(edges.c.score, -1),
    )
    vanished = sa.delete(Match).where(
        is_among, Match.made_by.is_(None), ~sa.exists().where(same).correlate(Match.__table__)
    )
    session.execute(vanished, execution_options={"synchronize_session": False})


def _insert(session: Session, leg: Leg, run_id: str, edges: sa.Table, now: datetime, *, is_first: bool) -> None:
    id_ = edge_id(edges.c.our_id, edges.c.their_id)
    columns = {
        "id": id_,
        "group_id": sa.func.coalesce(edges.c.group_id, id_),
        "reconciliation_id": sa.literal(run_id),
        "leg": sa.literal(leg.value),
        "matched_by": edges.c.matched_by,
        "our_id": edges.c.our_id,
        "their_id": edges.c.their_id,
        "allocated_minor": edges.c.theirs_minor,
        "difference_minor": _difference(edges),
        "currency": edges.c.ours_currency,
        "state": sa.literal("confirmed" if edges is PAIRS else "suggested"),
        "is_whole": edges.c.is_whole,
        "score": edges.c.score,
        "created_at": sa.literal(now, Match.__table__.c.created_at.type),
    }
    chosen = sa.select(*[value.label(name) for name, value in columns.items()]).where(edges.c.matched_by.is_not(None))
    # In the order of their ids every index grows at its end: measured, in less than half the time of any other order.
    chosen = chosen.order_by(edges.c.their_id, edges.c.our_id)
    rows = insert_of(session, table_of(Match)).from_select(list(columns), chosen)
    # Known edges are met by their key: a look beforehand, at a table that grows meanwhile, took the square of the time.
    known = rows if is_first else rows.on_conflict_do_nothing(index_elements=["leg", "our_id", "their_id"])
    session.connection().execute(known)


def _difference(edges: sa.Table) -> sa.ColumnElement[int]:
    return sa.func.coalesce(edges.c.theirs_minor - edges.c.ours_minor, 0)


def keep_discrepancies(
    runtime: Runtime, session: Session, asked: Reconciliation, scope: sa.ColumnElement[bool], found: Iterable[Found]
) -> dict[str, int]:
    """Bring the discrepancies in the run's `scope` in line with `found`; return how many of each class are its own.

    They are in FOUND afterwards, without those that another month shows already: the caller drops it.
    """
    FOUND.create(session.connection())
    for chunk in _chunks(iter(found)):
        rows = [{"subject_key": each.subject_key, "klass": each.klass.value, "item": asdict(each)} for each in chunk]
        bulk.insert(session, FOUND, rows)
    for keys in _key_chunks(session):
        items = [_found(row.item) for row in session.execute(_in_order(keys))]
        known = _known(session, among(session, Discrepancy.subject_key, keys))
        others = [key for key in keys if matching.is_of_other_month(asked.period, known.get(key))]
        if others:
            session.execute(sa.delete(FOUND).where(FOUND.c.subject_key.in_(others)))
        mine = [item for item in items if item.subject_key not in set(others)]
        write_changes(runtime, session, asked, matching.changes(asked.period, mine, known), known)
    _let_go(runtime, session, asked, scope)
    counts = session.execute(sa.select(FOUND.c.klass, sa.func.count()).group_by(FOUND.c.klass))
    return dict(sorted((row[0], row[1]) for row in counts))


def add_found(session: Session, digest: Digest) -> None:
    """Add the run's own discrepancies to `digest`, in the order of their keys."""
    rows = streamed(session, sa.select(FOUND.c.subject_key, FOUND.c.item).order_by(FOUND.c.subject_key))
    digest.add("discrepancy", ((row.subject_key, *_found(row.item).amounts) for row in rows))


def _let_go(runtime: Runtime, session: Session, asked: Reconciliation, scope: sa.ColumnElement[bool]) -> None:
    """Let those go that the run has not found again."""
    is_live = Discrepancy.state.in_(sorted(LET_GO))
    last = ""
    while True:
        where = sa.and_(scope, is_live, Discrepancy.id > last)
        known = _known(session, where, limit=_CHUNK_ROWS)
        if not known:
            return
        last = max(each.id for each in known.values())
        found = set(session.scalars(_keys_in(list(known))))
        unseen = {key: each for key, each in known.items() if key not in found}
        write_changes(runtime, session, asked, matching.changes(asked.period, [], unseen), unseen)


def _keys_in(keys: Sequence[str]) -> sa.Select[str]:
    # Sent as parameters: the column here and that of the discrepancies have two collations.
    return sa.select(FOUND.c.subject_key).where(FOUND.c.subject_key.in_(keys))


def _in_order(keys: Sequence[str]) -> sa.Select[*tuple[Any, ...]]:
    between = FOUND.c.subject_key.between(keys[0], keys[-1])
    return sa.select(FOUND.c.subject_key, FOUND.c.item).where(between).order_by(FOUND.c.subject_key)


def _key_chunks(session: Session) -> Iterator[list[str]]:
    last = ""
    while True:
        statement = sa.select(FOUND.c.subject_key).where(FOUND.c.subject_key > last)
        keys = list(session.scalars(statement.order_by(FOUND.c.subject_key).limit(_CHUNK_ROWS)))
        if not keys:
            return
        last = keys[-1]
        yield keys


def write_changes(
    runtime: Runtime, session: Session, asked: Reconciliation, changes: Changes, known: dict[str, Known]
) -> None:
    """Write what `changes` says about discrepancies of the month and leg of `asked`."""
    now = runtime.clock()
    new = [
        {"id": runtime.new_id("dsc"), "subject_key": item.subject_key, "created_at": now, **_columns(asked, item)}
        for item in changes.new
    ]
    insert_new(session, Discrepancy, new, key=["subject_key"])
    # Every found one is said again in full: what a person said was about other amounts.
    cleared = {"resolution": None, "note": None, "resolved_by": None, "resolved_at": None}
    version = {before.id: before.version + 1 for before in known.values()}
    corrected = [
        {"id": id_, "version": version[id_], **_columns(asked, item), **cleared}
        for id_, item in changes.corrected.items()
    ]
    gone = [{"id": id_, "version": version[id_], "state": DiscrepancyState.GONE.value} for id_ in changes.gone]
    for values in (corrected, gone):
        if values:
            session.execute(sa.update(Discrepancy), values)


def _known(session: Session, where: sa.ColumnElement[bool], *, limit: int | None = None) -> dict[str, Known]:
    columns = [
        Discrepancy.id, Discrepancy.subject_key, Discrepancy.period, Discrepancy.state, Discrepancy.version,
        Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor, Discrepancy.theirs_currency,
    ]  # fmt: skip
    statement = sa.select(*columns).where(where).order_by(Discrepancy.id).limit(limit)
    return {
        row.subject_key: Known(
            row.id, row.subject_key, row.period, DiscrepancyState(row.state), row.version, tuple(row[5:])
        )
        for row in session.execute(statement)
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
        "remittance_id": item.remittance_id,
        "line_id": item.line_id,
        "ours_minor": item.ours_minor,
        "ours_currency": item.ours_currency,
        "theirs_minor": item.theirs_minor,
        "theirs_currency": item.theirs_currency,
        "state": DiscrepancyState.OPEN.value,
    }


def _found(item: dict[str, Any]) -> Found:
    return Found(**(item | {"leg": Leg(item["leg"]), "klass": DiscrepancyClass(item["klass"])}))


def _chunks(items: Iterator[Found]) -> Iterator[list[Found]]:
    while chunk := list(islice(items, _CHUNK_ROWS)):
        yield chunk
