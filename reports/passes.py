"""What the legs share: the temporary tables of a run, and the digest of rows. All of it is set-based SQL."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import Id, Minor, is_postgresql
from reports.match_models import MatchRejection

Items = sa.Select[*tuple[Any, ...]]

_METADATA = sa.MetaData()
WORK_MEMORY_MB = 128
_ID_START, _ID_TIME, _ID_END = 5, 10, 8


def _edges(name: str) -> sa.Table:
    return sa.Table(
        name,
        _METADATA,
        sa.Column("our_id", Id, nullable=False),
        sa.Column("their_id", Id, nullable=False),
        sa.Column("matched_by", sa.String(20)),  # NULL: of one id and two currencies, a pair but no match
        # What the edge takes of ours and of theirs: all of it, but for a group of several.
        sa.Column("ours_minor", Minor),
        sa.Column("ours_currency", sa.String(3), nullable=False),
        sa.Column("theirs_minor", Minor, nullable=False),
        sa.Column("theirs_currency", sa.String(3), nullable=False),
        sa.Column("group_id", Id),  # NULL: the edge is alone
        sa.Column("is_whole", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("score", sa.Integer),
        sa.Column("rivalled", sa.String(6)),  # of a suggestion: the side whose item has others, ours or theirs
        prefixes=["TEMPORARY"],
    )


def _items(name: str) -> sa.Table:
    return sa.Table(
        name,
        _METADATA,
        sa.Column("id", Id, primary_key=True),
        sa.Column("scope", sa.String(40), nullable=False),  # only items of one scope meet: the source
        sa.Column("amount_minor", Minor),  # NULL: we were never told
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),  # days since 1970, UTC
        sa.Column("reference", sa.String(255)),
        sa.Column("click_id", sa.String(255)),
        sa.Column("event", sa.String(40)),  # in small letters
        sa.Column("status", sa.String(40)),  # in small letters
        sa.Column("group_key", sa.String(255)),
        sa.Column("named", sa.String(255)),  # who it is, as people write it
        sa.Column("text", sa.Text),
        sa.Column("alias_scope", sa.String(64)),  # of theirs: where an alias of theirs is valid
        sa.Column("means", sa.String(255)),  # of ours: what an alias stands for
        prefixes=["TEMPORARY"],
    )


# Temporary: a run compares what it has found with the matches there are, so that a rerun over the same inputs leaves
# every row as it was.
PAIRS = _edges("reconciliation_pairs")
SUGGESTIONS = _edges("reconciliation_suggestions")
_STEP = _edges("reconciliation_step")
# What no pass has paired yet.
OPEN_OURS = _items("reconciliation_open_ours")
OPEN_THEIRS = _items("reconciliation_open_theirs")
ITEM_COLUMNS = tuple(column.name for column in OPEN_OURS.columns)


@dataclass(frozen=True)
class Counts:
    """How many items a run compared, and how many it paired as the same thing."""

    ours: int
    theirs: int
    matched: int


@contextmanager
def pairs_table(session: Session) -> Iterator[None]:
    """Have the empty tables of a run for as long as the context lasts."""
    _METADATA.create_all(session.connection(), checkfirst=False)
    if is_postgresql(session):
        # A month's hashes fit: with the usual 4 MB a million items go to the disk and back. One run goes at a time.
        session.execute(sa.text(f"SET LOCAL work_mem = '{WORK_MEMORY_MB}MB'"))
    else:
        # SQLite makes no table of hashes to look for a missing partner: it would read all pairs for every item.
        for side in ("our_id", "their_id"):
            session.execute(sa.text(f"CREATE INDEX temp.ix_pairs_{side} ON reconciliation_pairs ({side})"))
    yield
    # After an error there is nothing to drop: the rollback takes the tables away.
    _METADATA.drop_all(session.connection(), checkfirst=False)


def items(columns: Mapping[str, Any]) -> Items:
    """Return a statement with every one of ITEM_COLUMNS: those of `columns`, and NULL for the others."""
    return sa.select(
        *(
            columns[column.name].label(column.name)
            if column.name in columns
            else sa.cast(sa.null(), column.type).label(column.name)
            for column in OPEN_OURS.columns
        )
    )


def add_pairs(session: Session, found: sa.Select[*tuple[Any, ...]]) -> int:
    """Add what `found` selects, in the order of the table's columns up to theirs_currency; return how many."""
    names = [column.name for column in PAIRS.columns][: len(found.selected_columns)]
    return _rows(session, PAIRS.insert().from_select(names, found))


def take(session: Session, found: sa.Select[*tuple[Any, ...]]) -> int:
    """Add pairs as `add_pairs` does and close their items, which are open; return how many pairs it were."""
    names = [column.name for column in _STEP.columns][: len(found.selected_columns)]
    number = _rows(session, _STEP.insert().from_select(names, found))
    if number:
        close(session, _STEP)
        session.execute(PAIRS.insert().from_select([c.name for c in _STEP.columns], sa.select(_STEP)))
        session.execute(sa.delete(_STEP))
    return number


def suggest(session: Session, found: sa.Select[*tuple[Any, ...]], columns: Iterable[str]) -> None:
    """Add suggestions: `found` selects `columns` of them. Their items stay open."""
    session.execute(SUGGESTIONS.insert().from_select(list(columns), found))


def close(session: Session, edges: sa.Table) -> None:
    """Take the items of `edges` out of the open ones."""
    for table, side in ((OPEN_OURS, edges.c.our_id), (OPEN_THEIRS, edges.c.their_id)):
        session.execute(sa.delete(table).where(table.c.id.in_(sa.select(side))))


def is_paired(column: Any, *, ours: bool) -> sa.ColumnElement[bool]:
    """Return the condition that the item with the id `column` has a partner among the pairs."""
    side = PAIRS.c.our_id if ours else PAIRS.c.their_id
    return sa.exists().where(side == column).correlate_except(PAIRS)


def is_open(column: Any, *, ours: bool) -> sa.ColumnElement[bool]:
    """Return the condition that the item with the id `column` was compared, and has no partner."""
    table = OPEN_OURS if ours else OPEN_THEIRS
    is_one: sa.ColumnElement[bool] = column.in_(sa.select(table.c.id))
    return is_one


def is_suggested(column: Any, *, ours: bool) -> sa.ColumnElement[bool]:
    """Return the condition that something is suggested for the item with the id `column` already."""
    side = SUGGESTIONS.c.our_id if ours else SUGGESTIONS.c.their_id
    return sa.exists().where(side == column).correlate_except(SUGGESTIONS)


def is_rejected(leg: str, our_id: Any, their_id: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a person said these two are not the same."""
    said = sa.and_(MatchRejection.leg == leg, MatchRejection.our_id == our_id, MatchRejection.their_id == their_id)
    return sa.exists().where(said).correlate_except(MatchRejection)


def edge_id(our_id: Any, their_id: Any) -> sa.ColumnElement[str]:
    """Return the id of the edge between the two: the same in every run, and in the order of theirs in time.

    Forty random bits of either id: that two pairs of one millisecond share them, nobody will see.
    """
    ends = (sa.func.substr(side, sa.func.length(side) - (_ID_END - 1)) for side in (their_id, our_id))
    made: sa.ColumnElement[str] = sa.literal("mat_", sa.String) + sa.func.substr(their_id, _ID_START, _ID_TIME)
    for end in ends:
        made = made + end
    return made


def _rows(session: Session, statement: sa.Insert) -> int:
    # Of an insert it is not kept unasked.
    done = session.connection().execute(statement, execution_options={"preserve_rowcount": True})
    return done.rowcount


class Digest:
    """The SHA-256 of rows in the order they are added."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, kind: str, rows: Iterable[Iterable[object]]) -> None:
        """Add rows of plain values. Each is written so that no two different rows read alike."""
        for row in rows:
            text = "\x1f".join("\x00" if value is None else str(value) for value in row)
            self._hash.update(f"{kind}\x1f{text}\x1e".encode())

    def hexadecimal(self) -> str:
        """Return 64 digits."""
        return self._hash.hexdigest()
