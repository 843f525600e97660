"""Tables that PostgreSQL keeps in parts by ranges of a text id: made ahead of time, and dropped when they are old."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock

_BOUND = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(?P<low>[^']*)')\) TO \('(?P<high>[^']*)'\)")


@dataclass(frozen=True)
class Part:
    """One part: ids from `low` on (None: from the first) and below `high`; nothing of it is anybody's input."""

    name: str
    low: str | None
    high: str


def parts(session: Session, table: str) -> list[Part]:
    """Return the parts of `table`, but for the one that takes what no other does."""
    rows = session.execute(
        sa.text(
            "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits "
            "JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent "
            "WHERE parent.relname = :table"
        ),
        {"table": table},
    )
    found = [(name, _BOUND.fullmatch(bound)) for name, bound in rows]
    return [Part(name, bound["low"], bound["high"]) for name, bound in found if bound is not None]


def ensure(session: Session, table: str, wanted: Sequence[Part], *, rest: str) -> None:
    """Make those of `wanted` that are not there; what the part `rest` has of theirs moves into them."""
    lock(session, f"parts of {table}")
    there = {part.name for part in parts(session, table)}
    for part in wanted:
        if part.name in there:
            continue
        # A part cannot be made while the rest holds rows of its range.
        between = f"id >= '{part.low}' AND id < '{part.high}'"
        for statement in (
            f"CREATE TEMPORARY TABLE moving ON COMMIT DROP AS SELECT * FROM {rest} WHERE {between}",  # noqa: S608
            f"DELETE FROM {rest} WHERE {between}",  # noqa: S608
            f"CREATE TABLE {part.name} PARTITION OF {table} FOR VALUES FROM ('{part.low}') TO ('{part.high}')",
            f"INSERT INTO {table} SELECT * FROM moving",  # noqa: S608
            "DROP TABLE moving",
        ):
            session.execute(sa.text(statement))


def drop_below(session: Session, table: str, bound: str) -> list[str]:
    """Drop the parts that lie wholly below `bound`; return their names."""
    lock(session, f"parts of {table}")
    old = [part.name for part in parts(session, table) if part.high <= bound]
    for name in old:
        session.execute(sa.text(f"DROP TABLE {name}"))
    return old
