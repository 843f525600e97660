"""Puts the lines of a read report into the database: copied into a temporary table, then inserted where new."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import copying
from core.database import Minor, is_postgresql, table_of
from reports import line_keys
from reports.line_spool import LINE_COLUMNS, Spool
from reports.match_models import Match
from reports.models import NetworkLine, Statement

_CHUNK_ROWS = 5000
# An id is its prefix, the moment of its statement's id and eight characters of that, and its line's number.
_STEM = slice(len("stm_"), len("stm_") + 18)
_NUMBER_LENGTH = 8
_KEPT_BY_A_PERSON = "says another amount than before, and a person has matched it: undo that match, then load it again"

# Text compares byte by byte there: a month's keys are sorted in a third of the time.
_KEY = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
_METADATA = sa.MetaData()
STAGED = sa.Table(
    "staged_lines",
    _METADATA,
    sa.Column("line_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("line_key", _KEY, nullable=False),
    sa.Column("transaction_id", sa.String(255)),
    sa.Column("claimed_click_id", sa.String(255)),
    sa.Column("group_key", sa.String(255)),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount_minor", Minor, nullable=False),
    sa.Column("status_word", sa.String(40)),
    sa.Column("occurred_on", sa.Date, nullable=False),
    prefixes=["TEMPORARY"],
)
# Lines whose key stands further up in the file: which of them it is, counted from 2.
_FURTHER = sa.Table(
    "staged_further",
    _METADATA,
    sa.Column("line_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("occurrence", sa.Integer, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Stored:
    """How many lines were new, and how many that were there say something else by now."""

    new: int
    restated: int


@contextmanager
def staged(session: Session, spool: Spool, *, source_id: str, period: str) -> Iterator[None]:
    """Have the spool's lines in STAGED, each with a key of its own, for as long as the context lasts.

    Of lines without an id of their own twins are told apart by their number in the file's order; an id that stands
    twice is rejected.
    """
    _METADATA.create_all(session.connection(), checkfirst=False)
    copying.load(session, STAGED, LINE_COLUMNS, spool.file)
    if is_postgresql(session):
        # A temporary table is never analysed by itself, and all of it is sorted and joined.
        session.execute(sa.text("SET LOCAL work_mem = '64MB'"))
        session.execute(sa.text(f"ANALYZE {STAGED.name}"))
    _find_further(session)
    if spool.has_own_ids:
        _reject_further(session, spool)
    else:
        _number_further(session, source_id, period)
    yield
    # After an error there is nothing to drop: the rollback takes the tables away.
    _METADATA.drop_all(session.connection(), checkfirst=False)


def store(session: Session, statement: Statement, spool: Spool) -> Stored:
    """Insert what is new of STAGED as lines of `statement`, and bring what is there to what the newer file says.

    The status and the group follow the newest file. Of lines with an id of the network's own amount, currency and day
    do so too, unless a person has matched them: those are rejected.
    """
    if spool.has_own_ids:
        _reject_matched(session, statement, spool)
    restated = _restate(session, statement, has_own_ids=spool.has_own_ids)
    lines, ours = table_of(NetworkLine), STAGED.c
    stem = statement.id[_STEM]
    given: dict[str, Any] = {
        "id": sa.literal(f"nln_{stem}", sa.String) + _padded(session, ours.line_number),
        "statement_id": sa.literal(statement.id, sa.String),
        "source_id": sa.literal(statement.source_id, sa.String),
        "period": sa.literal(statement.period, sa.String),
        **{name: ours[name] for name in LINE_COLUMNS},
    }
    is_there = sa.exists().where(
        lines.c.source_id == statement.source_id, lines.c.line_key == sa.cast(ours.line_key, sa.String(64))
    )
    found = sa.select(*given.values()).where(~is_there).order_by(ours.line_number)
    inserted = session.connection().execute(
        lines.insert().from_select(list(given), found), execution_options={"preserve_rowcount": True}
    )
    return Stored(inserted.rowcount, restated)


def _find_further(session: Session) -> None:
    place = sa.func.row_number().over(partition_by=STAGED.c.line_key, order_by=STAGED.c.line_number)
    every = sa.select(STAGED.c.line_number, place.label("occurrence")).subquery()
    further = sa.select(every).where(every.c.occurrence > 1)
    session.execute(_FURTHER.insert().from_select(["line_number", "occurrence"], further))


def _number_further(session: Session, source_id: str, period: str) -> None:
    for rows in _in_chunks(session, sa.select(STAGED, _FURTHER.c.occurrence)):
        keys = line_keys.of_content(
            source_id,
            period,
            days=[row.occurred_on.isoformat() for row in rows],
            amounts_minor=[row.amount_minor for row in rows],
            currencies=[row.currency for row in rows],
            transaction_ids=[row.transaction_id for row in rows],
            click_ids=[row.claimed_click_id for row in rows],
            occurrences=[row.occurrence for row in rows],
        )
        changed = sa.update(STAGED).where(STAGED.c.line_number == sa.bindparam("number"))
        session.connection().execute(
            changed.values(line_key=sa.bindparam("key")),
            [{"number": row.line_number, "key": key} for row, key in zip(rows, keys, strict=True)],
        )


def _reject_further(session: Session, spool: Spool) -> None:
    for rows in _in_chunks(session, sa.select(STAGED.c.line_number)):
        for row in rows:
            spool.reject(row.line_number, "has an id of its own that stands further up in this file already")
    _drop(session, sa.select(_FURTHER.c.line_number), spool)


def _reject_matched(session: Session, statement: Statement, spool: Spool) -> None:
    by_person = sa.exists().where(
        Match.their_id == NetworkLine.id, Match.leg == "network", Match.state == "confirmed", Match.made_by.is_not(None)
    )
    found = sa.select(STAGED.c.line_number).where(_is_same(statement), _says_another_amount(), by_person)
    numbers = session.scalars(found.order_by(STAGED.c.line_number)).all()
    for number in numbers:
        spool.reject(number, _KEPT_BY_A_PERSON)
    for start in range(0, len(numbers), _CHUNK_ROWS):
        _drop(session, numbers[start : start + _CHUNK_ROWS], spool)


def _drop(session: Session, numbers: Any, spool: Spool) -> None:
    gone = session.connection().execute(sa.delete(STAGED).where(STAGED.c.line_number.in_(numbers)))
    spool.lines -= gone.rowcount


def _restate(session: Session, statement: Statement, *, has_own_ids: bool) -> int:
    names = ["status_word", "group_key"]
    if has_own_ids:
        names += ["transaction_id", "claimed_click_id", "amount_minor", "currency", "occurred_on"]
    lines = table_of(NetworkLine)
    differs = sa.or_(*(lines.c[name].is_distinct_from(STAGED.c[name]) for name in names))
    changed = sa.update(lines).where(_is_same(statement), differs).values({name: STAGED.c[name] for name in names})
    return session.connection().execute(changed).rowcount


def _is_same(statement: Statement) -> sa.ColumnElement[bool]:
    return sa.and_(
        NetworkLine.source_id == statement.source_id,
        NetworkLine.line_key == sa.cast(STAGED.c.line_key, sa.String(64)),
    )


def _says_another_amount() -> sa.ColumnElement[bool]:
    return sa.or_(
        NetworkLine.amount_minor.is_distinct_from(STAGED.c.amount_minor),
        NetworkLine.currency.is_distinct_from(STAGED.c.currency),
    )


def _in_chunks(session: Session, wanted: sa.Select[*tuple[Any, ...]]) -> Iterator[Any]:
    """Yield what is `wanted` of the further lines, in the file's order, some thousand rows at a time."""
    last = 0
    following = wanted.join_from(_FURTHER, STAGED, STAGED.c.line_number == _FURTHER.c.line_number)
    while True:
        statement = following.where(_FURTHER.c.line_number > last).order_by(_FURTHER.c.line_number)
        rows = session.execute(statement.limit(_CHUNK_ROWS)).all()
        if not rows:
            return
        yield rows
        last = rows[-1].line_number


def _padded(session: Session, number: Any) -> sa.ColumnElement[str]:
    if is_postgresql(session):
        padded: sa.ColumnElement[str] = sa.func.lpad(sa.cast(number, sa.String), _NUMBER_LENGTH, "0")
        return padded
    return sa.func.printf(f"%0{_NUMBER_LENGTH}d", number, type_=sa.String)
