"""Loads bank statements: each line once, however often its file comes; one that does not add up is refused."""

from typing import Any

from sqlalchemy.orm import Session

from core.database import lock
from core.runtime import Runtime
from reports import camt053, imports, lines
from reports.camt053 import BankStatement
from reports.imports import Imported, Upload
from reports.models import BankLine, Statement
from reports.reconciliation import LOCK


def load(runtime: Runtime, session: Session, upload: Upload, *, account: str) -> Imported:
    """Load the statements of a camt.053 file, all of `account`; raise Invalid for one that does not add up."""
    account = camt053.normalised_account(account)
    found = camt053.read(upload.content, account)
    lock(session, LOCK)
    keys, done = lines.LineKeys(), []
    for part in found:
        statement = _bank_statement(runtime, upload, part)
        session.add(statement)
        session.flush()
        values = (_bank_values(runtime, statement, row, keys, account) for row in part.rows)
        counts = imports.load(session, BankLine, values, key=("account", "line_key"))
        rejected = [{"line": entry.line, "reason": entry.reason} for entry in part.pending]
        done.append((statement, counts, rejected))
    return imports.finished(runtime, session, done, upload)


def _bank_statement(runtime: Runtime, upload: Upload, part: BankStatement) -> Statement:
    return imports.statement(
        runtime,
        upload,
        kind="bank",
        format="camt.053",
        account=part.account,
        reference=part.reference,
        opened_on=part.opened_on,
        closed_on=part.closed_on,
        opening_minor=part.opening_minor,
        closing_minor=part.closing_minor,
        currency=part.currency,
    )


def _bank_values(
    runtime: Runtime, statement: Statement, row: camt053.BankRow, keys: lines.LineKeys, account: str
) -> dict[str, Any]:
    return {
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
