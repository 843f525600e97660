"""What has changed between two moments: events of conversions, accruals, discrepancies, and acts of people."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.audit import AuditEntry
from core.database import streamed
from payouts.models import Accrual
from postback.models import Conversion, ConversionEvent
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, moment, text
from reports.exports.tables import Row
from reports.models import Discrepancy

NAME = "changes"


def _changes(session: Session, filters: Filters) -> Iterator[Row]:
    for statement in (_events(filters), _accruals(filters), _discrepancies(filters), _acts(filters)):
        for row in streamed(session, statement):
            yield tuple(row)


def _events(filters: Filters) -> sa.Select[*tuple[Any, ...]]:
    event = ConversionEvent
    return (
        sa.select(
            event.at, sa.literal("conversion"), event.conversion_id, event.kind, Conversion.transaction_id,
            _nothing("amount", sa.BigInteger), Conversion.currency, event.actor_id, event.reason,
        )
        .join(Conversion, Conversion.id == event.conversion_id)
        .where(*_between(event.at, filters))
        .order_by(event.at, event.conversion_id, event.seq)
    )  # fmt: skip


def _accruals(filters: Filters) -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(
            Accrual.created_at, sa.literal("accrual"), Accrual.id, Accrual.kind, Accrual.conversion_id,
            Accrual.amount_minor, Accrual.currency, _nothing("by"), _nothing("reason"),
        )
        .where(*_between(Accrual.created_at, filters))
        .order_by(Accrual.created_at, Accrual.id)
    )  # fmt: skip


def _discrepancies(filters: Filters) -> sa.Select[*tuple[Any, ...]]:
    found = Discrepancy
    return (
        sa.select(
            found.created_at, sa.literal("discrepancy"), found.id, found.klass,
            sa.func.coalesce(found.conversion_id, found.payout_id, found.line_id), _nothing("amount", sa.BigInteger),
            _nothing("currency"), _nothing("by"), _nothing("reason"),
        )
        .where(*_between(found.created_at, filters))
        .order_by(found.created_at, found.id)
    )  # fmt: skip


def _acts(filters: Filters) -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(
            AuditEntry.at, AuditEntry.subject_kind, AuditEntry.subject_id, AuditEntry.verb, _nothing("about"),
            _nothing("amount", sa.BigInteger), _nothing("currency"), AuditEntry.actor_id, AuditEntry.reason,
        )
        .where(*_between(AuditEntry.at, filters))
        .order_by(AuditEntry.seq)
    )  # fmt: skip


def _between(column: InstrumentedAttribute[Any], filters: Filters) -> list[sa.ColumnElement[bool]]:
    bounds = [] if filters.since is None else [column > filters.since]
    return bounds if filters.until is None else [*bounds, column <= filters.until]


def _nothing(name: str, kind: Any = sa.String) -> Any:
    # Each by a name of its own: two that look alike would be one column to SQLAlchemy.
    return sa.cast(sa.null(), kind()).label(name)


REPORTS = (
    Report(
        NAME,
        "What changed",
        "After since, up to until: what happened to conversions, what was accrued, which discrepancies were found, and"
        " what people did. An export under a mark goes on where the last one under it ended.",
        (
            moment("at", "At"), text("what", "What"), text("id", "Id"), text("change", "Change"),
            text("about", "About"), amount("amount", "Amount"), text("currency", "Currency"), text("by", "By"),
            text("reason", "Reason"),
        ),
        _changes,
        takes=("since", "until", "mark"),
    ),
)  # fmt: skip
