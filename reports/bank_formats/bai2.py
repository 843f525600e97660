"""Reads BAI2, North America's statements: each detail (16) becomes a row. The library bai2 reads the records."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO

from bai2.constants import FundsType, GroupStatus, TypeCodes, TypeCodeTransaction
from bai2.helpers import IteratorHelper
from bai2.parsers import (
    AccountIdentifierParser,
    AccountTrailerParser,
    Bai2FileHeaderParser,
    Bai2FileTrailerParser,
    GroupHeaderParser,
    GroupTrailerParser,
    TransactionDetailParser,
)

from core import money
from core.errors import Fault, Invalid
from reports.bank_formats.shape import (
    TEXT_LENGTH_MAX,
    BankRow,
    BankStatement,
    Begun,
    Part,
    Parts,
    Pending,
    Rejected,
    UnreadableError,
    bounded,
    printable,
    text_lines,
)

RECORD_LENGTH_MAX = 100_000
# Inside how many headers a record stands: of the file, a group, an account.
_DEPTHS = {"01": 0, "02": 1, "03": 2, "16": 3, "49": 3, "98": 2, "99": 1}
_CONTINUATION = "88"
_OPENING, _CLOSING = "010", "015"  # opening and closing ledger
_UNMONEYED = "890"
_INTERIM_SAME_DAY = "3"
# Codes of the standard by their direction, and those that are left to the banks.
_CREDITS, _DEBITS = (range(100, 400), range(920, 960)), (range(400, 700), range(960, 1000))
_AMOUNT = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True)
class _Record:
    line: int
    code: str
    texts: list[str]


@dataclass
class _Sums:
    """What a trailer is compared with: the sum of the amounts above it as they are written, and the lines."""

    amount: int = 0
    records: int = 0


@dataclass
class _Account:
    """One account of one group under way."""

    header: Any
    group: Any
    sums: _Sums
    balances: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def currency(self) -> str:
        """The account's, or else the group's, which is USD where it names none."""
        return str(self.header.currency or self.group.currency)


def _integer(text: str) -> int:
    if not _AMOUNT.fullmatch(text):
        message = f"has an amount that is none: {text!r}"
        raise UnreadableError(message)
    return int(text)


class _AnyAccount(AccountIdentifierParser):  # type: ignore[misc]  # bai2 ships no types
    """The library's own, for codes that it does not know too."""

    summary_fields_config = [("type_code", str), ("amount", _integer), "item_count", ("funds_type", FundsType)]  # noqa: RUF012 - its own form


class _AnyDetail(TransactionDetailParser):  # type: ignore[misc]  # bai2 ships no types
    """The library's own, for codes that it does not know too."""

    head_fields_config = [("type_code", str), ("amount", _integer), ("funds_type", FundsType)]  # noqa: RUF012 - its own form


def parts(file: BinaryIO) -> Parts:
    """Yield what the file holds, each statement behind its own rows.

    Raise Invalid for what is no BAI2 of version 2, for a test or a deletion, and where a trailer's control total or
    number of records is not that of what came.
    """
    levels: list[_Sums] = []
    group: Any = None
    account: _Account | None = None
    for record in _records(file):
        _expect(record, len(levels))
        for sums in levels:
            sums.records += len(record.texts)
        match record.code:
            case "01":
                _read(Bai2FileHeaderParser, record)
                levels = [_Sums(records=len(record.texts))]
            case "02":
                group = _group(record)
                levels.append(_Sums(records=len(record.texts)))
            case "03":
                account = _account(record, group)
                levels.append(account.sums)
                yield Begun(account.header.customer_account_number)
            case "16" if account is not None:
                yield _row(record, account)
            case "49" if account is not None:
                _compare(_read(AccountTrailerParser, record), "account_control_total", record, levels)
                yield _statement(account)
                account = None
            case "98":
                _compare(_read(GroupTrailerParser, record), "group_control_total", record, levels)
            case "99":
                _compare(_read(Bai2FileTrailerParser, record), "file_control_total", record, levels)
    if levels:
        raise Invalid.of(Fault("file", "ends without its trailer (99): part of it is missing"))


def _expect(record: _Record, depth: int) -> None:
    """Raise Invalid for a record in a place where none of its code may stand."""
    if depth != _DEPTHS[record.code]:
        raise Invalid.of(Fault("file", f"line {record.line}: a record {record.code} does not stand here"))


def _records(file: BinaryIO) -> Iterator[_Record]:
    """Yield the records with the lines that continue them."""
    under_way: _Record | None = None
    length = 0
    for number, raw in text_lines(file):
        text = printable(raw.strip())
        code = text[:2]
        if not text:
            continue
        length += len(text)
        if code == _CONTINUATION and under_way is not None:
            under_way.texts.append(text)
        elif code in _DEPTHS and text[2:3] in {",", "/"}:
            if under_way is not None:
                yield under_way
            under_way, length = _Record(number, code, [text]), len(text)
        else:
            raise Invalid.of(Fault("file", f"line {number} begins with no record code of BAI2"))
        if length > RECORD_LENGTH_MAX:
            raise Invalid.of(Fault("file", f"line {number}: a record has more than {RECORD_LENGTH_MAX} characters"))
    if under_way is not None:
        yield under_way


def _read(parser: type[Any], record: _Record) -> Any:
    """Return what the library reads in one record; raise Invalid for what it cannot read."""
    try:
        return parser(IteratorHelper(iter(record.texts))).parse()
    except Exception as error:  # noqa: BLE001 - it raises errors of every kind for a record that is cut short
        reason = str(error) if isinstance(error, UnreadableError) else f"cannot be read as a record {record.code}"
        raise Invalid.of(Fault(f"line {record.line}", reason)) from None


def _group(record: _Record) -> Any:
    group = _read(GroupHeaderParser, record)
    if group.group_status in {GroupStatus.deletion, GroupStatus.test_only}:
        raise Invalid.of(Fault(f"line {record.line}", f"is of a group for {group.group_status.name}, and not loaded"))
    if group.as_of_date is None:
        raise Invalid.of(Fault(f"line {record.line}", "is of a group that names no day"))
    return group


def _account(record: _Record, group: Any) -> _Account:
    header = _read(_AnyAccount, record)
    balances = {
        item.type_code: item.amount
        for item in header.summary_items
        if item.type_code in {_OPENING, _CLOSING} and item.amount is not None
    }
    amount = sum(item.amount or 0 for item in header.summary_items)
    faults = [] if header.customer_account_number else ["names no account"]
    return _Account(header, group, _Sums(amount, len(record.texts)), balances, faults)


def _row(record: _Record, account: _Account) -> Part:
    try:
        detail = _read(_AnyDetail, record)
    except Invalid as problem:
        return Rejected(record.line, problem.faults[0].reason)
    account.sums.amount += detail.amount or 0
    modifier = account.group.as_of_date_modifier
    if detail.type_code == _UNMONEYED:
        return Pending(record.line, "is a message without money")
    if modifier is not None and modifier.value == _INTERIM_SAME_DAY:
        return Pending(record.line, "is of an interim report of the same day, not booked")
    try:
        amount_minor = money.bounded(_signed(detail), account.currency).amount_minor
        texts = (detail.text, detail.customer_reference)
        return BankRow(
            line=record.line,
            booked_on=account.group.as_of_date,
            value_on=_value_on(detail),
            amount_minor=amount_minor,
            currency=account.currency,
            end_to_end_id=None,
            text=bounded("\n".join(text.strip() for text in texts if text), "text", TEXT_LENGTH_MAX) or "",
            counterparty=None,
            counterparty_iban=None,
            bank_reference=bounded(detail.bank_reference, "bank reference", 80),
        )
    except ValueError as error:
        return Rejected(record.line, str(error))


def _signed(detail: Any) -> int:
    """Return the amount in minor units, negative for a debit: the code alone says the direction."""
    if detail.amount is None or detail.amount < 0:
        message = "has no amount" if detail.amount is None else "has a negative amount: its code says the direction"
        raise UnreadableError(message)
    code = detail.type_code if detail.type_code and detail.type_code.isdecimal() else "0"
    known = TypeCodes.get(code)
    if known is not None and known.transaction is not None:
        return int(detail.amount) * (-1 if known.transaction is TypeCodeTransaction.debit else 1)
    if any(int(code) in codes for codes in _CREDITS):
        return int(detail.amount)
    if any(int(code) in codes for codes in _DEBITS):
        return -int(detail.amount)
    message = f"has the code {detail.type_code}, which says neither credit nor debit"
    raise UnreadableError(message)


def _value_on(detail: Any) -> date | None:
    if detail.funds_type is not FundsType.value_dated or not detail.availability:
        return None
    found: date | None = detail.availability["date"]
    return found


def _compare(trailer: Any, total: str, record: _Record, levels: list[_Sums]) -> None:
    """Close the innermost level; raise Invalid where its trailer says something else than what came."""
    closed = levels.pop()
    said, lines = getattr(trailer, total), trailer.number_of_records
    if said != closed.amount:
        message = f"its control total is {said}, and what came makes {closed.amount}"
        raise Invalid.of(Fault(f"line {record.line}", message))
    if lines not in {None, closed.records}:
        message = f"it counts {lines} records, and {closed.records} came"
        raise Invalid.of(Fault(f"line {record.line}", message))
    if levels:
        levels[-1].amount += closed.amount


def _statement(account: _Account) -> BankStatement:
    currency, faults = account.currency, list(account.faults)
    try:
        money.exponent(currency)
    except ValueError as error:
        faults.append(str(error))
    day = account.group.as_of_date
    modifier = account.group.as_of_date_modifier
    is_interim = modifier is not None and modifier.value == _INTERIM_SAME_DAY
    return BankStatement(
        reference=f"{account.group.originator_id or account.group.ultimate_receiver_id or 'BAI2'} {day}",
        currency=currency,
        opened_on=day,
        opening_minor=None if is_interim else account.balances.get(_OPENING),
        closed_on=day,
        closing_minor=None if is_interim else account.balances.get(_CLOSING),
        faults=tuple(faults),
    )
