"""Reads ISO 20022 camt.053, versions 2 to 14: booked entries become rows, the balances around them the statement."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import BinaryIO

from lxml import etree

from core import money
from core.errors import Fault, Invalid
from core.money import MoneyError
from reports.bank_formats.camt053_stream import closed_elements, forget
from reports.bank_formats.shape import (
    END_TO_END_ID_LENGTH_MAX,
    NAME_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    BankRow,
    BankStatement,
    Begun,
    Parts,
    Pending,
    Rejected,
    UnreadableError,
    bounded,
)

_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2}|T.*)?", re.ASCII)
_NO_END_TO_END_ID = "NOTPROVIDED"
_DIRECTIONS = {"CRDT": 1, "DBIT": -1}
_BOOKED = "BOOK"
# Previously closed booked is the opening booked balance under the name German banks give it. The pages of one
# statement have interim balances between them.
_OPENING, _CLOSING, _INTERIM = ("OPBD", "PRCD"), ("CLBD",), "ITBD"


def parts(file: BinaryIO) -> Parts:
    """Yield what the file holds, each statement behind its own rows.

    Raise Invalid for a file that is not camt.053 or declares a document type.
    """
    try:
        is_begun = False
        for tag, element, line in closed_elements(file):
            if not is_begun:
                yield Begun(_account(element.getparent() if tag == "Ntry" else element))
            if tag == "Ntry":
                yield from _entry(element, line)
            else:
                yield _statement(element)
            is_begun = tag == "Ntry"
            forget(element)
    except etree.LxmlError as error:
        message = error.msg if isinstance(error, etree.XMLSyntaxError) else str(error)
        raise Invalid.of(Fault("file", f"is no well-formed XML: {message}")) from None


def _entry(entry: etree._Element, line: int) -> Iterator[BankRow | Pending | Rejected]:
    state = _text(entry, "Sts/Cd") or _text(entry, "Sts/Prtry") or _text(entry, "Sts")
    if state != _BOOKED:
        yield Pending(line, f"is {state or 'without a status'}, not booked")
        return
    try:
        rows = _rows(entry, line)
    except (UnreadableError, MoneyError) as error:
        yield Rejected(line, str(error))
        return
    yield from rows


def _rows(entry: etree._Element, line: int) -> list[BankRow]:
    """Return the entry as one row, or as one a transaction where it holds several whose own amounts make it up."""
    amount_minor, currency = _signed(entry, "Amt")
    details = _all(entry, "NtryDtls/TxDtls")
    parts = [_own_amount(detail, entry) for detail in details]
    known = [part for part in parts if part is not None]
    is_split = len(details) > 1 and len(known) == len(details)
    if is_split and {part[1] for part in known} == {currency} and sum(part[0] for part in known) == amount_minor:
        return [_row(entry, [detail], part, line) for detail, part in zip(details, known, strict=True)]
    return [_row(entry, details, (amount_minor, currency), line)]


def _row(entry: etree._Element, details: list[etree._Element], amount: tuple[int, str], line: int) -> BankRow:
    booked_on = _date(entry, "BookgDt")
    if booked_on is None:
        message = "has no booking date"
        raise UnreadableError(message)
    texts = [text for detail in details for text in _remittance(detail)]
    texts += _texts(entry, "AddtlNtryInf") if not texts else []
    # Of several transactions in one row none is the row's: their ids and names would be guesses.
    only = details[0] if len(details) == 1 else None
    other, named = ("Cdtr", "CdtrAcct") if amount[0] < 0 else ("Dbtr", "DbtrAcct")
    end_to_end_id = _bounded(only, "Refs/EndToEndId", END_TO_END_ID_LENGTH_MAX)
    return BankRow(
        line=line,
        booked_on=booked_on,
        value_on=_date(entry, "ValDt"),
        amount_minor=amount[0],
        currency=amount[1],
        end_to_end_id=None if end_to_end_id == _NO_END_TO_END_ID else end_to_end_id,
        text=bounded("\n".join(texts), "text", TEXT_LENGTH_MAX) or "",
        counterparty=_counterparty(only, f"RltdPties/{other}"),
        counterparty_iban=_bounded(only, f"RltdPties/{named}/Id/IBAN", 34),
        bank_reference=_bounded(only, "Refs/AcctSvcrRef", 80) or _bounded(entry, "AcctSvcrRef", 80),
    )


def _counterparty(detail: etree._Element | None, party: str) -> str | None:
    # Version 7 put people and companies a step deeper (Pty), beside banks (Agt).
    for path in ("Pty/Nm", "Nm", "Agt/FinInstnId/Nm"):
        name = _bounded(detail, f"{party}/{path}", NAME_LENGTH_MAX)
        if name:
            return name
    return None


def _remittance(detail: etree._Element) -> Iterable[str]:
    yield from _texts(detail, "RmtInf/Ustrd")
    yield from _texts(detail, "RmtInf/Strd/CdtrRefInf/Ref")
    yield from _texts(detail, "AddtlTxInf")


def _own_amount(detail: etree._Element, entry: etree._Element) -> tuple[int, str] | None:
    # CdtDbtInd of a transaction is optional; without one it goes the way its entry goes.
    direction = _text(detail, "CdtDbtInd") or _text(entry, "CdtDbtInd")
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        if _one(detail, path) is not None:
            return _signed(detail, path, direction)
    return None


def _signed(element: etree._Element, path: str, direction: str | None = None) -> tuple[int, str]:
    """Return the amount at `path` in minor units, negative for a debit, and its currency."""
    amount = _one(element, path)
    direction = direction or _text(element, "CdtDbtInd")
    if amount is None or direction not in _DIRECTIONS:
        message = "has no amount" if amount is None else "says neither credit nor debit (CdtDbtInd)"
        raise UnreadableError(message)
    found = money.parse((amount.text or "").strip(), amount.get("Ccy") or "")
    if found.amount_minor < 0:
        message = "has a negative amount: CdtDbtInd alone says the direction"
        raise UnreadableError(message)
    return _DIRECTIONS[direction] * found.amount_minor, found.currency


def _account(statement: etree._Element | None) -> str | None:
    if statement is None:
        return None
    return _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")


def _statement(element: etree._Element) -> BankStatement:
    faults: list[str] = []
    if _account(element) is None:
        faults.append("names no account")
    currency, opening, closing = "", None, None
    try:
        currency, opening, closing = _balances(element)
    except (UnreadableError, MoneyError) as error:
        faults.append(str(error))
    return BankStatement(
        reference=_text(element, "Id") or "",
        currency=currency,
        opened_on=opening[1] if opening else None,
        opening_minor=opening[0] if opening else None,
        closed_on=closing[1] if closing else None,
        closing_minor=closing[0] if closing else None,
        faults=tuple(faults),
    )


def _balances(element: etree._Element) -> tuple[str, tuple[int, date], tuple[int, date]]:
    """Return the statement's currency, and its opening and closing balance: minor units, date."""
    interim = _of_code(element, _INTERIM)
    first = next((found for code in _OPENING for found in _of_code(element, code)), None)
    last = next((found for code in _CLOSING for found in _of_code(element, code)), None)
    # A page opens with an interim balance, closes with one, or does both: then the first is its opening.
    if first is None and interim and (last is not None or len(interim) > 1):
        first = interim[0]
    if last is None and interim and interim[-1] is not first:
        last = interim[-1]
    if first is None or last is None:
        message = f"has no balance {' or '.join(_OPENING if first is None else _CLOSING)}"
        raise UnreadableError(message)
    opening_minor, currency, opened_on = _balance(first)
    closing_minor, closing_currency, closed_on = _balance(last)
    if currency != closing_currency:
        message = f"mixes currencies: it opens in {currency} and closes in {closing_currency}"
        raise UnreadableError(message)
    return currency, (opening_minor, opened_on), (closing_minor, closed_on)


def _of_code(element: etree._Element, code: str) -> list[etree._Element]:
    return [balance for balance in _all(element, "Bal") if _text(balance, "Tp/CdOrPrtry/Cd") == code]


def _balance(balance: etree._Element) -> tuple[int, str, date]:
    on = _date(balance, "Dt")
    if on is None:
        message = f"has a balance {_text(balance, 'Tp/CdOrPrtry/Cd')} without a date"
        raise UnreadableError(message)
    return *_signed(balance, "Amt"), on


def _date(element: etree._Element, path: str) -> date | None:
    text = _text(element, f"{path}/Dt") or _text(element, f"{path}/DtTm")
    if text is None:
        return None
    said = _DATE.fullmatch(text)
    try:
        # The bank's own calendar day; an offset behind it says where the bank is, not when the money moved.
        return date.fromisoformat(said[1] if said else "")
    except ValueError:
        message = f"has a date that is none: {text}"
        raise UnreadableError(message) from None


def _all(element: etree._Element, path: str) -> list[etree._Element]:
    return element.findall(_qualified(element.tag[: element.tag.index("}") + 1], path))


@lru_cache(maxsize=1024)
def _qualified(prefix: str, path: str) -> str:
    return "/".join(prefix + step for step in path.split("/"))


def _one(element: etree._Element, path: str) -> etree._Element | None:
    return element.find(_qualified(element.tag[: element.tag.index("}") + 1], path))


def _texts(element: etree._Element, path: str) -> list[str]:
    found = ((item.text or "").strip() for item in _all(element, path))
    return [text for text in found if text]


def _text(element: etree._Element, path: str) -> str | None:
    return next(iter(_texts(element, path)), None)


def _bounded(element: etree._Element | None, path: str, length_max: int) -> str | None:
    text = None if element is None else _text(element, path)
    return bounded(text, path.rsplit("/", 1)[-1], length_max)
