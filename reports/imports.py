"""Loads network reports and bank statements: each line once, however often its file comes, every bad row listed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import Base, insert_new, lock
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from partners.models import Source
from reports import camt053, csv_report, lines
from reports.camt053 import BankStatement
from reports.csv_report import NetworkRow, Rejected
from reports.models import BankLine, NetworkLine, Statement
from reports.reconciliation import LOCK

CHUNK_ROWS = 1000
FILE_NAME_LENGTH_MAX = 200


@dataclass(frozen=True)
class Upload:
    """A file as it came, and who brought it."""

    name: str
    content: bytes
    actor: Actor

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Imported:
    """What an import did. `lines` = `new` + `repeated`; `statement_ids` has more than one id for a file of several."""

    id: str
    statement_ids: list[str]
    lines: int
    new: int
    repeated: int
    rejected: list[dict[str, Any]]


def network_report(
    runtime: Runtime, session: Session, upload: Upload, *, source_id: str, period: str, mapping: Mapping[str, Any]
) -> Imported:
    """Load a network's CSV report of one month.

    Raise Invalid with every fault of file, mapping and source at once, and Conflict for a closed month.
    """
    faults = [] if session.get(Source, source_id) else [Fault("source_id", "is no source of ours")]
    try:
        rows = csv_report.read(upload.content, mapping)
    except Invalid as problem:
        raise Invalid.of(*faults, *problem.faults) from None
    if faults:
        raise Invalid.of(*faults)
    # A run under way must not see half of this file, nor a close miss it.
    lock(session, LOCK)
    if periods.is_closed(session, period):
        message = f"{period} is closed: its report can no longer change"
        raise Conflict(message, slug="period-closed")
    statement = _statement(
        runtime, upload, kind="network", format="csv", source_id=source_id, period=period, mapping=dict(mapping)
    )
    session.add(statement)
    session.flush()
    keys, rejected = lines.LineKeys(), []

    def values() -> Iterable[dict[str, Any]]:
        for row in rows:
            if isinstance(row, Rejected):
                rejected.append({"line": row.line, "reason": row.reason})
            else:
                yield _network_values(runtime, statement, row, keys)

    counts = _load(session, NetworkLine, values(), key=("source_id", "line_key"))
    return _finished(runtime, session, [(statement, counts, rejected)], upload)


def bank_statement(runtime: Runtime, session: Session, upload: Upload, *, account: str) -> Imported:
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
        counts = _load(session, BankLine, values, key=("account", "line_key"))
        rejected = [{"line": entry.line, "reason": entry.reason} for entry in part.pending]
        done.append((statement, counts, rejected))
    return _finished(runtime, session, done, upload)


def _statement(runtime: Runtime, upload: Upload, **columns: Any) -> Statement:
    return Statement(
        id=runtime.new_id("stm"),
        file_name=upload.name[:FILE_NAME_LENGTH_MAX],
        file_sha256=upload.sha256,
        lines=0,
        new=0,
        repeated=0,
        rejected=[],
        imported_at=runtime.clock(),
        imported_by=upload.actor.id,
        **columns,
    )


def _bank_statement(runtime: Runtime, upload: Upload, part: BankStatement) -> Statement:
    return _statement(
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


def _network_values(runtime: Runtime, statement: Statement, row: NetworkRow, keys: lines.LineKeys) -> dict[str, Any]:
    source_id, period = str(statement.source_id), str(statement.period)
    return {
        "id": runtime.new_id("nln"),
        "statement_id": statement.id,
        "source_id": source_id,
        "period": period,
        "line_key": keys.key(lines.of_network(row, source_id=source_id, period=period)),
        "line_number": row.line,
        "transaction_id": row.transaction_id,
        "claimed_click_id": row.click_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "status_word": row.status,
        "occurred_on": row.occurred_on,
    }


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


def _load(
    session: Session, table: type[Base], values: Iterable[dict[str, Any]], *, key: tuple[str, ...]
) -> tuple[int, int]:
    """Insert what is new, a chunk at a time; return how many lines came and how many of them were new."""
    came = new = 0
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK_ROWS)):
        came += len(chunk)
        new += len(insert_new(session, table, chunk, key=key))
    return came, new


def _finished(
    runtime: Runtime,
    session: Session,
    done: list[tuple[Statement, tuple[int, int], list[dict[str, Any]]]],
    upload: Upload,
) -> Imported:
    for statement, (came, new), rejected in done:
        statement.lines, statement.new, statement.repeated = came, new, came - new
        statement.rejected = rejected
        after = {"file_sha256": statement.file_sha256, "lines": came, "new": new, "rejected": len(rejected)}
        audit.record(session, Act(upload.actor, "imported", "statement", statement.id, runtime.clock(), after=after))
    statements = [statement for statement, _, _ in done]
    return Imported(
        id=statements[0].id,
        statement_ids=[statement.id for statement in statements],
        lines=sum(statement.lines for statement in statements),
        new=sum(statement.new for statement in statements),
        repeated=sum(statement.repeated for statement in statements),
        rejected=[bad for _, _, rejected in done for bad in rejected],
    )
