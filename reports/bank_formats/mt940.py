"""Reads SWIFT MT940: one `:61:` with its `:86:` becomes a row. The library mt-940 reads the fields."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO

import mt940

from core import money
from core.errors import Fault, Invalid
from reports.bank_formats import mt940_details
from reports.bank_formats.shape import (
    BankRow,
    BankStatement,
    Begun,
    Parts,
    Rejected,
    UnreadableError,
    bounded,
    printable,
    text_lines,
)

FIELD_LENGTH_MAX = 20_000
_FIELD = re.compile(r":([0-9]{2}[A-Z]?|NS):")
# The library reads as much of an amount as it understands, and takes the rest for a reference.
_ENTRY = re.compile(r"[0-9]{6}([0-9]{4}|\s{4})?R?[DC][A-Z]?[\n ]?[0-9]+,?[0-9]*([A-Z\n].*)?", re.IGNORECASE | re.DOTALL)
_END_OF_MESSAGE = re.compile(r"-(?:\}.*|X{3})?")
_OPENING, _CLOSING = ("60F", "60M"), ("62F", "62M")
_OPTIONS = mt940.Options.all()

# It writes what it cannot read into the log, and that is what somebody was paid.
logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class _Field:
    line: int
    tag: str
    value: str


@dataclass
class _Page:
    """One message under way. Pages of one statement are statements of their own: each adds up."""

    reference: str
    account: str | None = None
    number: str | None = None
    opening: _Field | None = None
    closing: _Field | None = None
    is_begun: bool = False

    def begun(self) -> Iterator[Begun]:
        """Yield, once, that its statement begins: its account is known by its first row."""
        if not self.is_begun:
            self.is_begun = True
            yield Begun(self.account)


def parts(file: BinaryIO) -> Parts:
    """Yield what the file holds, each statement behind its own rows. Raise Invalid for what is no MT940."""
    page: _Page | None = None
    entry: _Field | None = None
    for found in _fields(file):
        if entry is not None and page is not None:
            yield from page.begun()
            yield _row(page, entry, found.value if found.tag == "86" else "")
            entry = None
        if found.tag == "20":
            if page is not None:
                yield from page.begun()
                yield _statement(page)
            page = _Page(found.value.strip())
        elif page is None:
            raise Invalid.of(Fault("file", f"line {found.line}: a statement begins with :20:, not with :{found.tag}:"))
        elif found.tag == "61":
            entry = found
        else:
            _note(page, found)
    if page is not None:
        yield from page.begun()
        if entry is not None:
            yield _row(page, entry, "")
        yield _statement(page)


def _note(page: _Page, found: _Field) -> None:
    if found.tag in {"25", "25P"}:
        page.account = found.value.split("\n", 1)[0].strip() or None
    elif found.tag in {"28", "28C"}:
        page.number = found.value.strip()
    elif found.tag in _OPENING and page.opening is None:
        page.opening = found
    elif found.tag in _CLOSING:
        page.closing = found


def _fields(file: BinaryIO) -> Iterator[_Field]:
    """Yield the fields of all messages; what stands around them, such as SWIFT's envelope, is passed over."""
    under_way: tuple[int, str, list[str]] | None = None
    length = 0
    for number, raw in text_lines(file):
        line = printable(raw.rstrip("\r\n")).rstrip()
        begins = _FIELD.match(line)
        if begins is None and under_way is not None and not _END_OF_MESSAGE.fullmatch(line):
            under_way[2].append(line)
            length += len(line)
            if length > FIELD_LENGTH_MAX:
                raise Invalid.of(Fault("file", f"line {number}: a field has more than {FIELD_LENGTH_MAX} characters"))
            continue
        if under_way is not None:
            yield _field(*under_way)
        under_way = (number, begins[1], [line[begins.end() :]]) if begins else None
        length = len(line)
    if under_way is not None:
        yield _field(*under_way)


def _field(line: int, tag: str, texts: list[str]) -> _Field:
    return _Field(line, tag, "\n".join(text for text in texts if text))


def _row(page: _Page, entry: _Field, details: str) -> BankRow | Rejected:
    try:
        if page.opening is None:
            message = "stands before its statement's opening balance, so that nobody knows its currency"
            raise UnreadableError(message)
        if not _ENTRY.fullmatch(entry.value):
            message = "cannot be read as an entry (:61:)"
            raise UnreadableError(message)
        found = _read(f":{page.opening.tag}:{page.opening.value}\n:61:{entry.value}\n:86:{details}", "an entry (:61:)")
        [transaction] = found.transactions
        facts = mt940_details.facts(transaction.data, details)
        amount_minor, currency = _minor(transaction.data["amount"])
        value_on = _day(transaction.data["date"])
        return BankRow(
            line=entry.line,
            booked_on=_day(transaction.data["entry_date"]) if transaction.data.get("entry_date") else value_on,
            value_on=value_on,
            amount_minor=amount_minor,
            currency=currency,
            end_to_end_id=facts.end_to_end_id,
            text=facts.text,
            counterparty=facts.counterparty,
            counterparty_iban=facts.counterparty_iban,
            bank_reference=bounded(transaction.data.get("bank_reference"), "bank reference", 80),
        )
    except ValueError as error:
        return Rejected(entry.line, str(error))


def _statement(page: _Page) -> BankStatement:
    currency, opened, closed = "", None, None
    faults = [] if page.account else ["names no account (:25:)"]
    try:
        opened, closed = _balance(page.opening, "opening", "60F"), _balance(page.closing, "closing", "62F")
        currency = opened[1]
        if closed[1] != currency:
            faults.append(f"mixes currencies: it opens in {currency} and closes in {closed[1]}")
    except ValueError as error:
        faults.append(str(error))
    return BankStatement(
        reference=" ".join(part for part in (page.reference, page.number) if part),
        currency=currency,
        opened_on=opened[2] if opened else None,
        opening_minor=opened[0] if opened else None,
        closed_on=closed[2] if closed else None,
        closing_minor=closed[0] if closed else None,
        faults=tuple(faults),
    )


def _balance(found: _Field | None, name: str, tag: str) -> tuple[int, str, date]:
    if found is None:
        message = f"has no {name} balance (:{tag}:)"
        raise UnreadableError(message)
    [balance] = _read(f":{found.tag}:{found.value}", f"its {name} balance (:{found.tag}:)").data.values()
    return *_minor(balance.amount), _day(balance.date)


def _read(text: str, name: str) -> Any:
    """Return what the library reads in a few fields; raise UnreadableError for what it cannot read."""
    found = mt940.models.Transactions(options=_OPTIONS)
    try:
        found.parse(text)
    except Exception:  # noqa: BLE001 - it raises errors of every kind, with the payment in their words
        message = f"cannot be read as {name}"
        raise UnreadableError(message) from None
    return found


def _minor(amount: Any) -> tuple[int, str]:
    """Return minor units, negative for a debit or the reversal of a credit, and the currency."""
    sign = -1 if amount.amount < 0 else 1
    found = money.parse(format(abs(amount.amount), "f"), str(amount.currency))
    return sign * found.amount_minor, found.currency


def _day(day: Any) -> date:
    return date(day.year, day.month, day.day)
