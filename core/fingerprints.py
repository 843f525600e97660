"""What tells whether two selections hold the same rows, whatever their order: reckoned where the rows lie."""

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import is_postgresql, streamed

_BYTES = 8


def fingerprint(session: Session, statement: sa.Select[*tuple[Any, ...]]) -> str:
    """Return how many rows `statement` selects and the sum of their hashes, as text. NULL differs from any value.

    Equal texts mean equal rows but for a chance of 2^-64; it is no proof against somebody who may choose the rows.
    Two databases give different texts. On PostgreSQL no row leaves the server: a million take about a second.
    """
    if is_postgresql(session):
        rows = statement.subquery("fingerprinted")
        row: sa.ColumnClause[Any] = sa.literal_column("fingerprinted")
        total = sa.func.sum(sa.func.hash_record_extended(row, 0))
        counted = session.execute(sa.select(sa.func.count(), total).select_from(rows)).one()
        return ":".join(str(value or 0) for value in counted)
    number = total_of_hashes = 0
    for found in streamed(session, statement):
        content = hashlib.blake2b(repr(tuple(found)).encode(), digest_size=_BYTES)
        number, total_of_hashes = number + 1, total_of_hashes + int.from_bytes(content.digest(), "big")
    return f"{number}:{total_of_hashes}"
