"""Reads a bank's CSV through a mapping: every row becomes a line of its currency's statement, or is rejected."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

from core import money
from core.errors import Fault, Invalid
from reports.bank_formats import csv_mapping
from reports.bank_formats.csv_mapping import CsvMapping, Told
from reports.bank_formats.shape import (
    ACCOUNT_LENGTH_MAX,
    END_TO_END_ID_LENGTH_MAX,
    NAME_LENGTH_MAX,
    REFERENCE_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    BankRow,
    BankStatement,
    Begun,
    Parts,
    Rejected,
    UnreadableError,
    bounded,
    normalised_account,
    printable,
    text_lines,
)

# A file of one account has few: more is a mapping that takes another column for the currency.
CURRENCIES_MAX = 20


def parts(file: BinaryIO, raw_mapping: object) -> Parts:
    """Yield what the file holds, each currency's statement behind its own rows; `file` is read once for each.

    Raise Invalid, with every fault of mapping and header at once, before the first row.
    """
    rows = _Rows(file, raw_mapping)
    currencies = [rows.mapping.currency_code] if rows.mapping.currency_code else rows.currencies()
    for number, currency in enumerate(currencies):
        first_on: date | None = None
        last_on: date | None = None
        yield Begun(None)
        for row in rows.read():
            if isinstance(row, Rejected):
                # A row that cannot be read has no currency that is known: it is told with the first.
                if number == 0:
                    yield row
            elif row.currency == currency:
                first_on, last_on = (
                    min(first_on or row.booked_on, row.booked_on),
                    max(last_on or row.booked_on, row.booked_on),
                )
                yield row
        yield _statement(rows.mapping, currency, first_on, last_on)


class _Rows:
    """The rows of one file, as often as they are asked for."""

    def __init__(self, file: BinaryIO, raw_mapping: object) -> None:
        self._file = file
        self._raw = raw_mapping
        header, file_faults = self._header()
        mapping, faults = csv_mapping.checked(raw_mapping, header)
        if mapping is None or file_faults:
            raise Invalid.of(*file_faults, *faults)
        self.mapping = mapping
        self._at = {name: at for at, name in enumerate(header or [])}

    def _reader(self) -> Any:
        self._file.seek(0)
        lines = text_lines(self._file, csv_mapping.option(self._raw, "encoding"))
        skip = csv_mapping.skipped(self._raw)
        texts = (text for number, text in lines if number > skip)
        return csv.reader(texts, delimiter=csv_mapping.option(self._raw, "delimiter"), strict=True)

    def _header(self) -> tuple[list[str] | None, list[Fault]]:
        try:
            header = next(self._reader(), None)
        except csv.Error as error:
            return None, [Fault("file", f"its header cannot be read: {error}")]
        except Invalid as problem:
            return None, problem.faults
        return (header, []) if header else (None, [Fault("file", "is empty: it has no header")])

    def currencies(self) -> list[str]:
        """Return the currencies of the rows that can be read, in order."""
        found: set[str] = set()
        for row in self.read():
            if isinstance(row, BankRow):
                found.add(row.currency)
            if len(found) > CURRENCIES_MAX:
                raise Invalid.of(Fault("mapping.currency", f"names more than {CURRENCIES_MAX} currencies"))
        return sorted(found) or [""]

    def read(self) -> Iterator[BankRow | Rejected]:
        """Yield the rows in the order of the file."""
        reader = self._reader()
        skip, width = csv_mapping.skipped(self._raw), len(self._at)
        next(reader)
        while True:
            # A quoted cell may hold line ends: a row is named by the line it begins on.
            line = reader.line_num + 1 + skip
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Rejected(line, f"cannot be read as CSV: {error}")
                continue
            if cells is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != width:
                yield Rejected(line, f"has {len(cells)} cells where the header has {width}")
                continue
            try:
                yield _row(line, self._cell(cells), self.mapping)
            except ValueError as error:
                yield Rejected(line, str(error))

    def _cell(self, cells: Sequence[str]) -> Callable[[str | None], str]:
        return lambda column: printable(cells[self._at[column]]).strip() if column is not None else ""


def _row(line: int, cell: Callable[[str | None], str], mapping: CsvMapping) -> BankRow:
    """Return the row, or raise ValueError with the reason it cannot be one."""
    named = mapping.columns.get
    currency = mapping.currency_code or cell(mapping.currency)
    texts = [cell(column) for column in mapping.text]
    account = normalised_account(cell(named("counterparty_iban")))
    return BankRow(
        line=line,
        booked_on=_day(cell(mapping.booked_on), mapping),
        value_on=_day(cell(named("value_on")), mapping) if cell(named("value_on")) else None,
        amount_minor=_amount_minor(cell, mapping, currency),
        currency=currency,
        end_to_end_id=bounded(cell(named("end_to_end_id")), "end-to-end id", END_TO_END_ID_LENGTH_MAX),
        text=bounded("\n".join(text for text in texts if text), "text", TEXT_LENGTH_MAX) or "",
        counterparty=bounded(cell(named("counterparty")), "counterparty", NAME_LENGTH_MAX),
        counterparty_iban=bounded(account, "account", ACCOUNT_LENGTH_MAX),
        bank_reference=bounded(cell(named("bank_reference")), "bank reference", REFERENCE_LENGTH_MAX),
    )


def _amount_minor(cell: Callable[[str | None], str], mapping: CsvMapping, currency: str) -> int:
    """Return the amount in minor units, negative where money goes out."""
    columns = mapping.columns
    if "amount" not in columns:
        amounts = [
            _minor(cell(columns[key]), mapping, currency) if cell(columns[key]) else 0 for key in ("credit", "debit")
        ]
        credit_minor, debit_minor = amounts
        if (credit_minor == 0) == (debit_minor == 0):
            message = "has an amount in both columns, or in none"
            raise UnreadableError(message)
        # Some banks write a minus before the debit, which its column says already.
        return credit_minor or -abs(debit_minor)
    amount_minor = _minor(cell(columns["amount"]), mapping, currency)
    if mapping.direction is not None:
        word = cell(mapping.direction.column)
        if word not in mapping.direction.credit | mapping.direction.debit:
            message = f"says {word!r}, which is neither a word for credit nor one for debit"
            raise UnreadableError(message)
        return abs(amount_minor) if word in mapping.direction.credit else -abs(amount_minor)
    return -amount_minor if mapping.is_debit_positive else amount_minor


def _minor(text: str, mapping: CsvMapping, currency: str) -> int:
    plain = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2019", "'").replace("\u2212", "-")
    if plain.endswith("-"):
        plain = f"-{plain[:-1]}"
    whole, mark, decimals = plain.removeprefix("+").partition(mapping.decimal)
    if mapping.thousands in whole and mapping.thousands:
        grouped = rf"-?[0-9]{{1,3}}({re.escape(mapping.thousands)}[0-9]{{3}})+"
        if not re.fullmatch(grouped, whole, re.ASCII):
            message = f"{text!r} is not an amount with {mapping.thousands!r} between the thousands"
            raise UnreadableError(message)
        whole = whole.replace(mapping.thousands, "")
    elif mapping.decimal == "," and "." in whole:
        message = f"{text!r} is not an amount with a decimal comma, such as 12,50"
        raise UnreadableError(message)
    return money.parse(f"{whole}.{decimals}" if mark else whole, currency).amount_minor


def _day(text: str, mapping: CsvMapping) -> date:
    try:
        return datetime.strptime(text, mapping.date_format).date()  # noqa: DTZ007 - the bank's own calendar day
    except ValueError:
        message = f"{text!r} is not a date of the form {mapping.date_format}"
        raise UnreadableError(message) from None


def _statement(mapping: CsvMapping, currency: str, first_on: date | None, last_on: date | None) -> BankStatement:
    opening, closing = mapping.opening, mapping.closing
    return BankStatement(
        reference=f"CSV {first_on or 'without'}..{last_on or 'lines'}",
        currency=currency,
        opened_on=opening.on if opening else first_on,
        opening_minor=_told_minor(opening, currency),
        closed_on=closing.on if closing else last_on,
        closing_minor=_told_minor(closing, currency),
    )


def _told_minor(told: Told | None, currency: str) -> int | None:
    return money.parse(told.amount, currency).amount_minor if told else None
