"""Tables that PostgreSQL keeps in parts by ranges of a text id: made ahead of time, and dropped when they are old.

Every change here waits for its locks, and holds them, for a moment only: whoever writes to the table waits behind it.
What cannot be had in that time raises, all of it is rolled back, and the caller comes again (`database.gave_up`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock

# Less than a postback's sender waits for, both together.
LOCK_WAIT_MS = 1000
STATEMENT_MS = 3000
_BOUND = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(?P<low>[^']*)')\) TO \('(?P<high>[^']*)'\)")


@dataclass(frozen=True)
class Part:
    """One part: ids from `low` on (None: from the first) and below `high`; nothing of it is anybody's input."""

    name: str
    low: str | None
    high: str

    def overlaps(self, other: "Part") -> bool:
        """Say whether there are ids that both take."""
        return (other.low or "") < self.high and (self.low or "") < other.high


def parts(session: Session, table: str) -> list[Part]:
    """Return the parts of `table` in the order of their ids, but for the one that takes what no other does."""
    rows = session.execute(
        sa.text(
            "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits "
            "JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent "
            "WHERE parent.relname = :table"
        ),
        {"table": table},
    )
    found = [(name, _BOUND.fullmatch(bound)) for name, bound in rows]
    there = [Part(name, bound["low"], bound["high"]) for name, bound in found if bound is not None]
    return sorted(there, key=lambda part: part.high)


def ensure(session: Session, table: str, wanted: Sequence[Part], *, rest: str) -> list[str]:
    """Make those of `wanted` that overlap no part there is, and return their names.

    What the part `rest` has of theirs moves into them. Several processes may try at once.
    """
    if all(any(part.overlaps(other) for other in parts(session, table)) for part in wanted):
        return []
    briefly(session)
    alone(session, table)
    there = parts(session, table)
    made = [part for part in wanted if not any(part.overlaps(other) for other in there)]
    for part in made:
        _make(session, table, part, rest)
    return [part.name for part in made]


def move_out(session: Session, table: str, whole: Callable[[str], Part], *, rest: str, below: str, limit: int) -> int:
    """Move at most `limit` rows out of `rest` into a part of their own; return how many, 0 when none lies `below`.

    `whole` says in which part an id belongs. What is too much for one go becomes several parts of that range: so rows
    never are out of the table, and nobody waits for long.
    """
    briefly(session)
    alone(session, table)
    first = session.scalar(
        sa.text(f"SELECT min(id) FROM {rest} WHERE id < :below"),  # noqa: S608 - our own name
        {"below": below},
    )
    if first is None:
        return 0
    part = whole(first)
    there = parts(session, table)
    low = max([part.low or "", *(other.high for other in there if other.high <= first)])
    high = min([part.high, *(other.low for other in there if other.low is not None and other.low > first)])
    too_many = session.scalar(
        sa.text(f"SELECT id FROM {rest} WHERE id >= :low AND id < :high ORDER BY id OFFSET :limit LIMIT 1"),  # noqa: S608
        {"low": low, "high": high, "limit": limit},
    )
    names = {other.name for other in there}
    free = (f"{part.name}_{number}" for number in range(1, len(there) + 2))
    name = (
        part.name if part.name not in names and too_many is None else next(each for each in free if each not in names)
    )
    return _make(session, table, replace(part, name=name, low=low, high=too_many or high), rest)


def drop(session: Session, names: Sequence[str]) -> None:
    """Drop parts with all that is in them."""
    briefly(session)
    for name in names:
        session.execute(sa.text(f"DROP TABLE {name}"))


def alone(session: Session, table: str) -> None:
    """Be the only one who changes the parts of `table`; before it is read, or two would wait for each other."""
    lock(session, f"parts of {table}")


def briefly(session: Session) -> None:
    """Let nothing in this transaction wait or last for longer than writers can wait behind it."""
    session.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}"))
    session.execute(sa.text(f"SET LOCAL statement_timeout = {STATEMENT_MS}"))


def _make(session: Session, table: str, part: Part, rest: str) -> int:
    """Make a part beside the table and attach it: made as a part of it, it would lock out readers too."""
    between = f"id >= '{part.low}' AND id < '{part.high}'"
    session.execute(sa.text(f"CREATE TABLE {part.name} (LIKE {table} INCLUDING ALL)"))
    # Writers stop before they have chosen a part: one that had chosen the rest would be refused by its new bounds.
    session.execute(sa.text(f"LOCK TABLE ONLY {table} IN SHARE ROW EXCLUSIVE MODE"))
    session.execute(sa.text(f"LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE"))
    moved = session.execute(
        sa.text(
            f"WITH moved AS (DELETE FROM {rest} WHERE {between} RETURNING *), "  # noqa: S608
            f"there AS (INSERT INTO {part.name} SELECT * FROM moved RETURNING 1) SELECT count(*) FROM there"
        )
    ).scalar_one()
    session.execute(
        sa.text(f"ALTER TABLE {table} ATTACH PARTITION {part.name} FOR VALUES FROM ('{part.low}') TO ('{part.high}')")
    )
    return int(moved)
