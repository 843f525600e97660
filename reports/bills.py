"""Payouts as bills, in the CSV layouts that Xero and QuickBooks Online import; written as they are read.

Where the column names come from, and what each program wants of them: docs/ledger.md.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import csv_text, money
from core.csv_text import Cell
from core.database import streamed
from payouts.models import Accrual, Payout
from payouts.states import PayoutState

# Not agreed, or given up: no bill.
_NO_BILL = (PayoutState.PENDING, PayoutState.REJECTED, PayoutState.CANCELLED)
# QuickBooks Online keeps 21 characters of a bill's number; our ids have 30, random at their end.
_NUMBER_LENGTH = 20


class Lines(StrEnum):
    """What a line of a bill is about."""

    ACCRUAL = "accrual"
    PAYOUT = "payout"


class Dates(StrEnum):
    """How days are written: both programs take the form of the company's country."""

    ISO = "iso"
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


_DATE_FORMATS = {Dates.ISO: "%Y-%m-%d", Dates.DAY_FIRST: "%d/%m/%Y", Dates.MONTH_FIRST: "%m/%d/%Y"}


@dataclass(frozen=True)
class Wanted:
    """Which bills, and how; `tax` is the name of a tax rate or code as the other program knows it, None: no column."""

    layout: str
    lines: Lines = Lines.PAYOUT
    dates: Dates = Dates.ISO
    period: str | None = None
    tax: str | None = None


@dataclass(frozen=True)
class Line:
    """One line of one bill; a payout's lines stand together and sum to it."""

    payout_id: str
    payee: str
    billed_on: date
    currency: str
    amount_minor: int
    category_code: str
    category_name: str
    department: str | None
    cost_centre: str | None
    description: str


def csv_lines(session: Session, wanted: Wanted) -> Iterator[str]:
    """Yield a header, then the lines of every payout that was agreed, by payout; no cell is a formula."""
    layout = LAYOUTS[wanted.layout]
    yield csv_text.row(layout.header(wanted))
    for line in _lines(session, wanted):
        yield csv_text.row(layout.cells(line, wanted))


def _xero_header(wanted: Wanted) -> list[str]:
    tax = ["*TaxType", "TaxAmount"] if wanted.tax else []
    return [
        "*ContactName", "EmailAddress", "POAddressLine1", "POAddressLine2", "POAddressLine3", "POAddressLine4",
        "POCity", "PORegion", "POPostalCode", "POCountry", "*InvoiceNumber", "*InvoiceDate", "*DueDate", "Total",
        "InventoryItemCode", "Description", "*Quantity", "*UnitAmount", "*AccountCode", *tax,
        "TrackingName1", "TrackingOption1", "TrackingName2", "TrackingOption2", "Currency",
    ]  # fmt: skip


def _xero(line: Line, wanted: Wanted) -> list[Cell]:
    day = line.billed_on.strftime(_DATE_FORMATS[wanted.dates])
    tax: list[Cell] = [wanted.tax, None] if wanted.tax else []
    return [
        line.payee, *[None] * 9, line.payout_id, day, day, None,
        None, line.description, 1, _amount(line), line.category_code, *tax,
        *_tracked("Department", line.department), *_tracked("Cost centre", line.cost_centre), line.currency,
    ]  # fmt: skip


def _tracked(name: str, option: str | None) -> list[Cell]:
    """Return one of Xero's two tracking categories, which must be set up there under this name."""
    return [name, option] if option is not None else [None, None]


def _quickbooks_header(wanted: Wanted) -> list[str]:
    tax = ["LineTaxCode", "LineTaxAmount"] if wanted.tax else []
    return [
        "BillNo", "Supplier", "BillDate", "DueDate", "Terms", "Location", "Memo", "Account", "LineDescription",
        "LineAmount", *tax, "Currency",
    ]  # fmt: skip


def _quickbooks(line: Line, wanted: Wanted) -> list[Cell]:
    day = line.billed_on.strftime(_DATE_FORMATS[wanted.dates])
    tax: list[Cell] = [wanted.tax, None] if wanted.tax else []
    return [
        line.payout_id[-_NUMBER_LENGTH:], line.payee, day, day, None, line.department, line.payout_id,
        line.category_name,
        line.description, _amount(line), *tax, line.currency,
    ]  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """One program's columns."""

    header: Callable[[Wanted], list[str]]
    cells: Callable[[Line, Wanted], list[Cell]]


LAYOUTS: Mapping[str, Layout] = {
    "xero": Layout(_xero_header, _xero),
    "quickbooks": Layout(_quickbooks_header, _quickbooks),
}


def _lines(session: Session, wanted: Wanted) -> Iterator[Line]:
    statement = _by_accrual() if wanted.lines is Lines.ACCRUAL else _by_payout()
    statement = statement.where(Payout.state.not_in(_NO_BILL))
    if wanted.period is not None:
        statement = statement.where(Payout.period == wanted.period)
    for row in streamed(session, statement):
        yield Line(
            payout_id=row.payout_id,
            payee=row.payee_name,
            billed_on=row.created_at.date(),
            currency=row.currency,
            amount_minor=int(row.amount_minor),
            category_code=row.category_code,
            category_name=row.category_name,
            department=row.category_department,
            cost_centre=row.category_cost_centre,
            description=_description(row, wanted.lines),
        )


_OF_PAYOUT: tuple[Any, ...] = (Payout.id.label("payout_id"), Payout.payee_name, Payout.created_at, Payout.currency)
_OF_CATEGORY: tuple[Any, ...] = (
    Accrual.category_code, Accrual.category_name, Accrual.category_department, Accrual.category_cost_centre
)  # fmt: skip


def _by_accrual() -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(*_OF_PAYOUT, *_OF_CATEGORY, Accrual.amount_minor, Accrual.kind, Accrual.conversion_id)
        .join(Accrual, Accrual.payout_id == Payout.id)
        .where(Accrual.amount_minor != 0)
        .order_by(Payout.id, Accrual.id)
    )


def _by_payout() -> sa.Select[*tuple[Any, ...]]:
    total = sa.func.sum(Accrual.amount_minor)
    return (
        sa.select(
            *_OF_PAYOUT, *_OF_CATEGORY, total.label("amount_minor"), sa.func.count().label("accruals"), Payout.period
        )
        .join(Accrual, Accrual.payout_id == Payout.id)
        .group_by(Payout.id, *_OF_CATEGORY)
        .having(total != 0)
        .order_by(Payout.id, *_OF_CATEGORY)
    )  # fmt: skip


def _description(row: Any, lines: Lines) -> str:
    if lines is Lines.ACCRUAL:
        return f"{row.category_name}: {row.kind} of {row.conversion_id}"
    return f"{row.category_name}: {row.accruals} accruals up to {row.period}"


def _amount(line: Line) -> str:
    return money.to_text(line.amount_minor, line.currency)
