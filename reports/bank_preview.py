"""A bank's file as it is understood, before anything of it is kept."""

from typing import Any

from core.errors import Fault, Invalid
from core.http.wire import money_dict
from core.money import EXPONENTS, Money
from partners.affiliates import masked
from reports.bank_formats.adding_up import FAULTS_MAX, Group, Reading
from reports.bank_formats.shape import BankRow
from reports.bank_imports import Wanted
from reports.imports import Upload

ROWS_MAX = 20
STATEMENTS_MAX = 100
REJECTED_MAX = 1000


def of_file(upload: Upload, wanted: Wanted) -> dict[str, Any]:
    """Return the first rows as they are understood, every statement's balances and sums, and every fault.

    It is a file of no format, or one without a statement, that has no statements; nothing is stored.
    """
    try:
        name, statements = wanted.opened(upload.file)
    except Invalid as problem:
        return _shown(None, [], [], [], problem.faults)
    rows: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    groups: list[Group] = []
    for group in statements.groups():
        groups += [group] if len(groups) < STATEMENTS_MAX else []
        _take(group, statements, rows)
        rejected += group.listed[: REJECTED_MAX - len(rejected)]
    told = [_statement(group) for group in groups]
    return _shown(name, told, rows, rejected, statements.faults)


def _take(group: Group, statements: Reading, rows: list[dict[str, Any]]) -> None:
    try:
        for row in group.rows():
            if len(rows) < ROWS_MAX:
                rows.append(_row(row))
    except Invalid as problem:
        statements.faults += problem.faults


def _shown(
    name: str | None,
    statements: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    rejected: list[dict[str, Any]],
    faults: list[Fault],
) -> dict[str, Any]:
    return {
        "format": name,
        "is_loadable": not faults,
        "statements": statements,
        "rows": rows,
        "rejected": rejected,
        "faults": [{"field": fault.field, "reason": fault.reason} for fault in faults[:FAULTS_MAX]],
    }


def _statement(group: Group) -> dict[str, Any]:
    said, tally = group.statement, group.tally
    currency = said.currency if said else None
    return {
        "reference": said.reference if said else None,
        "account": group.account,
        "currency": currency,
        "opened_on": said.opened_on if said else None,
        "opening": _money(said.opening_minor if said else None, currency),
        "closed_on": said.closed_on if said else None,
        "closing": _money(said.closing_minor if said else None, currency),
        "lines": tally.rows,
        "sum": _money(tally.total_minor, currency) if len(tally.currencies | {currency}) == 1 else None,
        "rejected": len(group.listed),
    }


def _row(row: BankRow) -> dict[str, Any]:
    return {
        "line": row.line,
        "booked_on": row.booked_on,
        "value_on": row.value_on,
        "money": money_dict(Money(row.amount_minor, row.currency)),
        "text": row.text,
        "end_to_end_id": row.end_to_end_id,
        "counterparty": row.counterparty,
        "counterparty_iban": masked(row.counterparty_iban),
        "bank_reference": row.bank_reference,
    }


def _money(amount_minor: int | None, currency: str | None) -> dict[str, str] | None:
    # A preview shows a statement with faults too: one of them may be a currency that is none.
    if amount_minor is None or currency not in EXPONENTS or currency is None:
        return None
    return money_dict(Money(amount_minor, currency))
