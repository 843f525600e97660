"""One row by its id: there or not found, and locked at the version somebody saw or a conflict."""

import re
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.database import Base
from core.errors import Conflict, NotFound

RowT = TypeVar("RowT", bound=Base)

_WORD_BEGINS = re.compile(r"(?<!^)(?=[A-Z])")


def existing(session: Session, table: type[RowT], row_id: str) -> RowT:
    """Return the row; raise NotFound when there is none."""
    return _found(session.get(table, row_id), table, row_id)


def locked(session: Session, table: type[RowT], row_id: str, *, version: int | None = None) -> RowT:
    """Return the row as it is behind its lock, which holds to the end of the transaction.

    Raise NotFound when there is none, Conflict when it has moved on from `version`, the one somebody acts on.
    """
    row = _found(session.get(table, row_id, with_for_update=True, populate_existing=True), table, row_id)
    present: Any = getattr(row, "version", None)
    if version is not None and present != version:
        message = f"{row_id} is at version {present} by now, not at {version}: look again"
        raise Conflict(message, slug="version-moved-on")
    return row


def _found(row: RowT | None, table: type[RowT], row_id: str) -> RowT:
    if row is None:
        # A table is called as people call its rows: ApprovalRequest, approval request.
        message = f"there is no {_WORD_BEGINS.sub(' ', table.__name__).lower()} {row_id}"
        raise NotFound(message)
    return row
