"""What the legs share: the table of found pairs, and how pairs become matches. All of it is set-based SQL."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import Id, Minor
from reports.matching import Leg
from reports.models import Match

# The pairs of the run under way. Temporary: the run compares them with the matches there are, so that a rerun over
# the same inputs leaves every row as it was.
PAIRS = sa.Table(
    "reconciliation_pairs",
    sa.MetaData(),
    sa.Column("our_id", Id, primary_key=True),
    sa.Column("their_id", Id, unique=True, nullable=False),
    sa.Column("matched_by", sa.String(20)),  # NULL: of one id and two currencies, a pair but no match
    sa.Column("ours_minor", Minor),
    sa.Column("ours_currency", sa.String(3), nullable=False),
    sa.Column("theirs_minor", Minor, nullable=False),
    sa.Column("theirs_currency", sa.String(3), nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Counts:
    """How many items a run compared, and how many it paired as the same thing."""

    ours: int
    theirs: int
    matched: int


@contextmanager
def pairs_table(session: Session) -> Iterator[None]:
    """Have an empty table of pairs for as long as the context lasts."""
    PAIRS.create(session.connection())
    yield
    # After an error there is nothing to drop: the rollback takes the table away.
    PAIRS.drop(session.connection())


def add_pairs(session: Session, found: sa.Select[*tuple[Any, ...]]) -> None:
    """Add what `found` selects, in the order of the table's columns."""
    session.execute(PAIRS.insert().from_select([column.name for column in PAIRS.columns], found))


def is_paired(column: Any, *, ours: bool) -> sa.ColumnElement[bool]:
    """Return the condition that the item with the id `column` has a partner among the pairs."""
    side = PAIRS.c.our_id if ours else PAIRS.c.their_id
    return sa.exists().where(side == column).correlate_except(PAIRS)


def keep_matches(session: Session, leg: Leg, run_id: str, *, scope: sa.ColumnElement[bool], now: datetime) -> None:
    """Make the matches in `scope` exactly the pairs: unchanged ones stay as they are, others go or come."""
    difference = sa.func.coalesce(PAIRS.c.theirs_minor - PAIRS.c.ours_minor, 0)
    same = sa.and_(
        PAIRS.c.matched_by.is_not(None),
        Match.our_id == PAIRS.c.our_id,
        Match.their_id == PAIRS.c.their_id,
        Match.matched_by == PAIRS.c.matched_by,
        Match.difference_minor == difference,
    )
    vanished = sa.delete(Match).where(Match.leg == leg, scope, ~sa.exists().where(same).correlate(Match.__table__))
    session.execute(vanished, execution_options={"synchronize_session": False})
    # A line is matched once, so its own id makes its match's: no second pass over the rows to number them.
    match_id = "mat_" + sa.func.substr(PAIRS.c.their_id, 5)
    columns = {
        "id": match_id,
        "reconciliation_id": sa.literal(run_id),
        "leg": sa.literal(leg.value),
        "matched_by": PAIRS.c.matched_by,
        "our_id": PAIRS.c.our_id,
        "their_id": PAIRS.c.their_id,
        "difference_minor": difference,
        "currency": PAIRS.c.ours_currency,
        "created_at": sa.literal(now, Match.__table__.c.created_at.type),
    }
    known = sa.exists().where(Match.leg == leg, Match.their_id == PAIRS.c.their_id).correlate(PAIRS)
    chosen = sa.select(*[value.label(name) for name, value in columns.items()]).where(
        PAIRS.c.matched_by.is_not(None), ~known
    )
    session.execute(sa.insert(Match).from_select(list(columns), chosen))


def matched(session: Session) -> int:
    """Return how many pairs are matches."""
    return int(session.scalar(sa.select(sa.func.count(PAIRS.c.matched_by))) or 0)


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
