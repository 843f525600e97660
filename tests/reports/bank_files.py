"""Reads a bank's file whole, for tests: what the loader streams, as lists."""

import io
from dataclasses import dataclass
from typing import Any

from reports.bank_formats import reading
from reports.bank_formats.adding_up import Reading
from reports.bank_formats.shape import BankRow, BankStatement, Pending, Rejected, normalised_account


@dataclass(frozen=True)
class Whole:
    """One statement with everything in it."""

    statement: BankStatement
    account: str | None
    rows: list[BankRow]
    pending: list[Pending]
    rejected: list[Rejected]


def read(content: bytes, account: str | None = None, *, format: str = "auto", mapping: Any = None) -> list[Whole]:  # noqa: A002
    """Return the statements of a file; raise Invalid as its import does."""
    _, parts = reading.opened(io.BytesIO(content), format, mapping)
    found = Reading(parts, normalised_account(account) if account else None)
    groups = [(group, list(group.rows())) for group in found.groups()]
    found.refuse()
    return [
        Whole(group.statement, group.account, rows, group.pending, group.rejected)
        for group, rows in groups
        if group.statement is not None
    ]
