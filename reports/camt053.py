"""Reads bank statements in ISO 20022 camt.053: booked entries become lines, and every statement must add up."""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from lxml import etree

from core import money
from core.errors import Fault, Invalid
from core.money import MoneyError

_ROOT = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.[0-9]{2})\}Document", re.ASCII)
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2}|T.*)?", re.ASCII)
REFERENCE_LENGTH_MAX = 80
_NO_END_TO_END_ID = "NOTPROVIDED"
_DIRECTIONS = {"CRDT": 1, "DBIT": -1}
_BOOKED = "BOOK"
# Previously closed booked is the opening booked balance under the name German banks give it.
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)


@dataclass(frozen=True)
class BankRow:
    """One booked line; money out is negative. `line` is where its entry begins in the file."""

    line: int
    booked_on: date
    value_on: date | None
    amount_minor: int
    currency: str
    end_to_end_id: str | None
    text: str
    counterparty: str | None
    counterparty_iban: str | None
    bank_reference: str | None


@dataclass(frozen=True)
class Pending:
    """An entry that is not booked and so not loaded."""

    line: int
    reason: str


@dataclass(frozen=True)
class BankStatement:
    """One statement that adds up: opening and rows make closing."""

    reference: str
    account: str
    currency: str
    opened_on: date
    opening_minor: int
    closed_on: date
    closing_minor: int
    rows: tuple[BankRow, ...]
    pending: tuple[Pending, ...]


@dataclass
class _Gathered:
    """What was read of the statement under way."""

    rows: list[BankRow] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class _UnreadableError(Exception):
    """Why an element cannot be read; a sentence for a person."""


def normalised_account(account: str) -> str:
    """Return an IBAN without the spaces it is printed with, in capitals."""
    return "".join(account.split()).upper()


def read(content: bytes, account: str) -> list[BankStatement]:
    """Return the statements in the file, all of `account`.

    Raise Invalid, with every fault at once, for a file that is not camt.053 or declares a document type, an entry
    that cannot be read, another account, and a statement that does not add up.
    """
    statements: list[BankStatement] = []
    faults: list[Fault] = []
    gathered = _Gathered()
    try:
        for tag, element in _closed_elements(content):
            if tag == "Ntry":
                _gather(gathered, element)
                _forget(element)
            elif tag == "Stmt":
                found = _statement(gathered, element, account)
                statements += [found] if isinstance(found, BankStatement) else []
                faults += found if isinstance(found, list) else []
                gathered = _Gathered()
                _forget(element)
    except etree.XMLSyntaxError as error:
        raise Invalid.of(Fault("file", f"is no well-formed XML: {error.msg}")) from None
    if not statements and not faults:
        faults.append(Fault("file", "holds no statement"))
    if faults:
        raise Invalid.of(*faults)
    return statements


def _closed_elements(content: bytes) -> Iterator[tuple[str, etree._Element]]:
    """Yield each element of the camt namespace as it ends, by its local name."""
    # An entity could read a file of ours or grow without end: none is resolved, and a document type that could
    # declare one is refused. libxml2's own limits on depth and size stay on.
    events = etree.iterparse(
        io.BytesIO(content),
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    prefix = None
    for event, element in events:
        if prefix is None:
            if element.getroottree().docinfo.doctype:
                raise Invalid.of(Fault("file", "declares a document type (DTD), which no bank statement needs"))
            root = _ROOT.fullmatch(element.tag)
            if root is None:
                raise Invalid.of(Fault("file", f"is no camt.053.001 document: its root is {element.tag}"))
            prefix = f"{{{root[1]}}}"
        if event == "end" and element.tag.startswith(prefix):
            yield element.tag.removeprefix(prefix), element


def _forget(element: etree._Element) -> None:
    # What was read is dropped, and with it the emptied shells before it: the tree does not grow with the file.
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None and before.tag == element.tag:
        parent.remove(before)


def _gather(gathered: _Gathered, entry: etree._Element) -> None:
    line: int = getattr(entry, "sourceline", None) or 0
    state = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    if state != _BOOKED:
        gathered.pending.append(Pending(line, f"is {state or 'without a status'}, not booked"))
        return
    try:
        gathered.rows += _rows(entry, line)
    except (_UnreadableError, MoneyError) as error:
        gathered.faults.append(Fault(f"line {line}", str(error)))


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
        raise _UnreadableError(message)
    texts = [text for detail in details for text in _remittance(detail)]
    texts += _texts(entry, "AddtlNtryInf") if not texts else []
    # Of several transactions in one row none is the row's: their ids and names would be guesses.
    only = details[0] if len(details) == 1 else None
    other, named = ("Cdtr", "CdtrAcct") if amount[0] < 0 else ("Dbtr", "DbtrAcct")
    end_to_end_id = _bounded(only, "Refs/EndToEndId", 35)
    return BankRow(
        line=line,
        booked_on=booked_on,
        value_on=_date(entry, "ValDt"),
        amount_minor=amount[0],
        currency=amount[1],
        end_to_end_id=None if end_to_end_id == _NO_END_TO_END_ID else end_to_end_id,
        text="\n".join(texts),
        counterparty=_bounded(only, f"RltdPties/{other}/Pty/Nm", 200) or _bounded(only, f"RltdPties/{other}/Nm", 200),
        counterparty_iban=_bounded(only, f"RltdPties/{named}/Id/IBAN", 34),
        bank_reference=_bounded(only, "Refs/AcctSvcrRef", 80) or _bounded(entry, "AcctSvcrRef", 80),
    )


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
        raise _UnreadableError(message)
    found = money.parse((amount.text or "").strip(), amount.get("Ccy") or "")
    if found.amount_minor < 0:
        message = "has a negative amount: CdtDbtInd alone says the direction"
        raise _UnreadableError(message)
    return _DIRECTIONS[direction] * found.amount_minor, found.currency


def _statement(gathered: _Gathered, element: etree._Element, account: str) -> BankStatement | list[Fault]:
    faults = list(gathered.faults)
    reference = _text(element, "Id") or ""
    name = f"statement {reference or 'without an id'}"
    said = _text(element, "Acct/Id/IBAN") or _text(element, "Acct/Id/Othr/Id") or ""
    if normalised_account(said) != account:
        faults.append(Fault("account", f"{name} is of account {said or 'unknown'}, not {account}"))
    if not reference or len(reference) > REFERENCE_LENGTH_MAX:
        faults.append(Fault("file", "a statement has no id, or one of more than 80 characters"))
    try:
        opening_minor, currency, opened_on = _balance(element, _OPENING)
        closing_minor, closing_currency, closed_on = _balance(element, _CLOSING)
    except (_UnreadableError, MoneyError) as error:
        return [*faults, Fault("file", f"{name} {error}")]
    currencies = {currency, closing_currency, *(row.currency for row in gathered.rows)}
    total_minor = opening_minor + sum(row.amount_minor for row in gathered.rows)
    if len(currencies) > 1:
        faults.append(Fault("file", f"{name} mixes currencies: {', '.join(sorted(currencies))}"))
    elif total_minor != closing_minor:
        total, closing = money.to_text(total_minor, currency), money.to_text(closing_minor, currency)
        faults.append(
            Fault("file", f"{name} does not add up: opening and lines make {total}, its closing says {closing}")
        )
    if faults:
        return faults
    return BankStatement(
        reference, account, currency, opened_on, opening_minor, closed_on, closing_minor,
        tuple(gathered.rows), tuple(gathered.pending),
    )  # fmt: skip


def _balance(element: etree._Element, codes: tuple[str, ...]) -> tuple[int, str, date]:
    """Return the first balance of the first of `codes` that there is: minor units, currency, date."""
    for code in codes:
        for balance in _all(element, "Bal"):
            if _text(balance, "Tp/CdOrPrtry/Cd") == code:
                on = _date(balance, "Dt")
                if on is None:
                    message = f"has a balance {code} without a date"
                    raise _UnreadableError(message)
                return *_signed(balance, "Amt"), on
    message = f"has no balance {' or '.join(codes)}"
    raise _UnreadableError(message)


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
        raise _UnreadableError(message) from None


def _all(element: etree._Element, path: str) -> list[etree._Element]:
    prefix = element.tag[: element.tag.index("}") + 1]
    return element.findall("/".join(prefix + step for step in path.split("/")))


def _one(element: etree._Element, path: str) -> etree._Element | None:
    return next(iter(_all(element, path)), None)


def _texts(element: etree._Element, path: str) -> list[str]:
    found = ((item.text or "").strip() for item in _all(element, path))
    return [text for text in found if text]


def _text(element: etree._Element, path: str) -> str | None:
    return next(iter(_texts(element, path)), None)


def _bounded(element: etree._Element | None, path: str, length_max: int) -> str | None:
    text = None if element is None else _text(element, path)
    if text is not None and len(text) > length_max:
        message = f"has a {path.rsplit('/', 1)[-1]} of more than {length_max} characters"
        raise _UnreadableError(message)
    return text
