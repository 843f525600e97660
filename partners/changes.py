"""Changing a row that people act on: the change names the version it saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from partners.models import Affiliate, Campaign, Source

RowT = TypeVar("RowT", Source, Affiliate, Campaign)


@dataclass(frozen=True)
class Change:
    """`values` holds the fields that were sent and no other; `version` the version they were decided on."""

    version: int
    values: Mapping[str, Any]


def locked(session: Session, table: type[RowT], row_id: str, *, version: int | None = None) -> RowT:
    """Return the row, locked to the end of the transaction.

    Raise NotFound when there is none, Conflict when it has moved on from `version`.
    """
    row = session.get(table, row_id, with_for_update=True)
    if row is None:
        message = f"there is no {table.__name__.lower()} {row_id}"
        raise NotFound(message)
    if version is not None and row.version != version:
        message = f"{row_id} is at version {row.version} by now, not at {version}: look again"
        raise Conflict(message, slug="version-moved-on")
    return row


def existing(session: Session, table: type[RowT], row_id: str) -> RowT:
    """Return the row; raise NotFound when there is none."""
    row = session.get(table, row_id)
    if row is None:
        message = f"there is no {table.__name__.lower()} {row_id}"
        raise NotFound(message)
    return row


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs between two states of a row, for the audit log."""
    changed = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}
