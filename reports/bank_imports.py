"""Loads bank statements: each line once, however often its file comes; one that does not add up is refused whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock
from core.errors import Conflict
from core.runtime import Runtime
from reports import imports, lines
from reports.bank_formats import reading
from reports.bank_formats.adding_up import Group, Reading
from reports.bank_formats.shape import normalised_account
from reports.imports import Imported, Upload
from reports.models import BankLine, Statement
from reports.reconciliation import LOCK


@dataclass(frozen=True)
class Wanted:
    """How a bank's file is read: its format, the account it is loaded into (None: its own), a CSV's mapping."""

    format: str = reading.AUTO
    account: str | None = None
    mapping: Mapping[str, Any] | None = None

    def opened(self, file: IO[bytes]) -> tuple[str, Reading]:
        """Return the file's format and its statements; raise Invalid for a file that is of no format."""
        name, parts = reading.opened(cast("BinaryIO", file), self.format, self.mapping)
        return name, Reading(parts, normalised_account(self.account) if self.account else None)


def load(runtime: Runtime, session: Session, upload: Upload, wanted: Wanted) -> Imported:
    """Load the statements of a bank's file, row by row: the file is never held whole.

    Raise Invalid, with every fault of all statements, for what is of another account or does not add up; Conflict
    where lines of the same days are there from a file of another format.
    """
    found, statements = wanted.opened(upload.from_start())
    lock(session, LOCK)
    keys, done = lines.LineKeys(), []
    for group in statements.groups():
        if statements.faults:
            continue  # nothing of the file is kept: the rest is read for its faults alone
        mapping = dict(wanted.mapping) if wanted.mapping is not None else None
        statement = imports.statement(
            runtime, upload, kind="bank", format=found, account=group.account, mapping=mapping
        )
        session.add(statement)
        session.flush()
        values = _values(runtime, statement, group, keys)
        done.append((statement, imports.load(session, BankLine, values, key=("account", "line_key")), group))
    statements.refuse()
    for statement, _, group in done:
        _tell(statement, group)
        _refuse_other_format(session, statement, group)
    return imports.finished(runtime, session, [(each, counts, group.listed) for each, counts, group in done], upload)


def _values(runtime: Runtime, statement: Statement, group: Group, keys: lines.LineKeys) -> Iterator[dict[str, Any]]:
    account = str(statement.account)
    for row in group.rows():
        yield {
            "id": runtime.new_id("bln"),
            "statement_id": statement.id,
            "account": account,
            "line_key": keys.key(lines.of_bank(row, account=account)),
            "line_number": row.line,
            "booked_on": row.booked_on,
            "value_on": row.value_on,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "end_to_end_id": row.end_to_end_id,
            "text": row.text,
            "counterparty": row.counterparty,
            "counterparty_iban": row.counterparty_iban,
            "bank_reference": row.bank_reference,
        }


def _tell(statement: Statement, group: Group) -> None:
    """Write down what a statement, which was added before its rows, says of itself behind them."""
    said = group.statement
    if said is None:
        return
    statement.reference = said.reference
    statement.currency = said.currency or None
    statement.opened_on, statement.opening_minor = said.opened_on, said.opening_minor
    statement.closed_on, statement.closing_minor = said.closed_on, said.closing_minor


def _refuse_other_format(session: Session, statement: Statement, group: Group) -> None:
    """Raise Conflict where days of these lines are there from another format.

    Each format tells a line in its own words, so its key is another: the same payment would be loaded twice.
    """
    if group.tally.first_on is None:
        return
    there = session.execute(
        sa.select(Statement.format, BankLine.booked_on)
        .join(BankLine, BankLine.statement_id == Statement.id)
        .where(
            BankLine.account == statement.account,
            BankLine.currency == statement.currency,
            BankLine.booked_on.between(group.tally.first_on, group.tally.last_on),
            Statement.format != statement.format,
        )
        .limit(1)
    ).first()
    if there is not None:
        message = (
            f"lines of {statement.account} booked on {there.booked_on} are there from a file in {there.format}: "
            f"the same lines in {statement.format} would be loaded twice"
        )
        raise Conflict(message, slug="loaded-in-another-format")
