"""Reads of imported statements of both kinds, shaped as they travel."""

import json
from typing import Any

import sqlalchemy as sa

from core.csv_text import Cell
from core.http.paging import narrowed
from core.http.wire import money_dict
from core.money import Money
from reports.bank_formats.shape import normalised_account
from reports.bank_schemas import StatementQuery
from reports.models import Statement

# What every import says of a line that it did not load; what else one says follows behind it.
_FIRST = ("line", "reason")
_PLAIN = (
    "id", "kind", "format", "source_id", "account", "period", "reference", "currency", "opened_on", "closed_on",
    "lines", "new", "repeated", "file_name", "file_sha256", "imported_at", "imported_by",
)  # fmt: skip


def statements(query: StatementQuery) -> sa.Select[Statement]:
    """Return the statement for the imports that `query` asks for."""
    wanted = (
        (Statement.kind, query.kind),
        (Statement.source_id, query.source_id),
        (Statement.account, normalised_account(query.account) if query.account else None),
        (Statement.period, query.period),
    )
    return narrowed(sa.select(Statement), wanted)


def shown(statement: Statement) -> dict[str, Any]:
    """Return `statement` as it travels in a list."""
    return {name: getattr(statement, name) for name in _PLAIN} | {
        "opening": _money(statement.opening_minor, statement.currency),
        "closing": _money(statement.closing_minor, statement.currency),
        "rejected_count": len(statement.rejected),
    }


def shown_whole(statement: Statement) -> dict[str, Any]:
    """Return `statement` with its mapping and the lines that were not loaded."""
    return shown(statement) | {"mapping": statement.mapping, "rejected": statement.rejected}


def rejected_table(statement: Statement) -> tuple[list[str], list[list[Cell]]]:
    """Return header and rows of the lines that were not loaded: every key that any of them has is a column."""
    keys = dict.fromkeys([*_FIRST, *(key for entry in statement.rejected for key in entry)])
    return list(keys), [[_cell(entry.get(key)) for key in keys] for entry in statement.rejected]


def _cell(value: object) -> Cell:
    return value if value is None or isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)


def _money(amount_minor: int | None, currency: str | None) -> dict[str, str] | None:
    return None if amount_minor is None or currency is None else money_dict(Money(amount_minor, currency))
