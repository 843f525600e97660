"""Reads OFX 1 (SGML) and 2 (XML) through the library ofxparse, which takes a whole file: so its size is bounded."""

import decimal
import io
import re
from datetime import date, datetime
from typing import Any, BinaryIO

from ofxparse.ofxparse import AccountType, OfxParser, OfxParserException

from core import money
from core.errors import Fault, Invalid
from reports.bank_formats.shape import (
    NAME_LENGTH_MAX,
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
)

# Measured: 268 MB and 14 s for 7 MB of it.
BYTES_MAX = 4 << 20
DEPTH_MAX = 40
REASON_LENGTH_MAX = 200
_TOKEN = re.compile(r"<!\[CDATA\[.*?\]\]>|<(/?)([A-Za-z0-9_.]+)>", re.DOTALL)
_BEGINS = re.compile(r"<OFX>", re.IGNORECASE)
_DAY = re.compile(r"([0-9]{8})([^0-9].*|[0-9]{4}.*|[0-9]{6}.*)?", re.ASCII | re.DOTALL)
_AMOUNT = re.compile(r"([+-]?)([0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)", re.ASCII)
# The headers of the library's own form; with them it reads UTF-8 and nothing else.
_HEADER = "ENCODING:UTF-8\n\n"


class _Parser(OfxParser):  # type: ignore[misc]  # ofxparse ships no types
    """The library's own, that guesses no amount and moves no day into another time zone."""

    @classmethod
    def parseOfxDateTime(cls, ofxDateTime: str) -> date | None:  # noqa: N802, N803 - the library's names
        """Return the bank's own calendar day; raise ValueError for what is none."""
        said = _DAY.fullmatch(ofxDateTime)
        if said is None:
            message = "has a date that is none"
            raise ValueError(message)
        return None if said[1] == "0" * 8 else datetime.strptime(said[1], "%Y%m%d").date()  # noqa: DTZ007 - a day

    @classmethod
    def toDecimal(cls, tag: Any) -> decimal.Decimal:  # noqa: N802 - the library's name
        """Return the amount; raise InvalidOperation for more than one mark in it, which the library would guess at."""
        said = _AMOUNT.fullmatch(tag.contents[0].strip())
        if said is None:
            raise decimal.InvalidOperation
        return decimal.Decimal(f"{said[1]}{said[2].replace(',', '.')}")

    @classmethod
    def parseTransaction(cls, txn_ofx: Any) -> Any:  # noqa: N802 - the library's name
        """Return the entry with its line, and the currency it names; raise OfxParserException for what is none."""
        try:
            transaction = super().parseTransaction(txn_ofx)
        except OfxParserException:
            raise
        except Exception as error:
            # An empty tag is an IndexError there.
            message = "an element of it is empty or cannot be read"
            raise OfxParserException(message) from error
        transaction.line = txn_ofx.sourceline
        own = txn_ofx.find("currency")
        symbol = own.find("cursym") if own is not None else None
        transaction.currency = symbol.get_text().strip() if symbol is not None else None
        return transaction


def parts(file: BinaryIO) -> Parts:
    """Yield what the file holds, each statement behind its own rows. Raise Invalid for what is no OFX, or too much."""
    content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise Invalid.of(Fault("file", f"is larger than {BYTES_MAX >> 20} MB: ask the bank for a shorter time"))
    text, lines_before = _prepared(content)
    try:
        found = _Parser.parse(io.BytesIO(text.encode()), fail_fast=False)
    except Exception:  # noqa: BLE001 - it raises errors of every kind for a file that is broken
        raise Invalid.of(Fault("file", "cannot be read as OFX: an element is missing or empty")) from None
    for account in found.accounts:
        statement = account.statement
        if account.type == AccountType.Investment or not (hasattr(statement, "balance") or statement.end_date):
            continue
        yield Begun(account.account_id or None)
        yield from _rows(statement, str(account.curdef or ""), lines_before)
        yield _statement(account)


def _prepared(content: bytes) -> tuple[str, int]:
    """Return the file with every element closed, under a header of ours, and how many lines more the file's had."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    begins = _BEGINS.search(text)
    if begins is None:
        raise Invalid.of(Fault("file", "holds no element OFX"))
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise Invalid.of(Fault("file", "declares a document type (DTD), which no bank statement needs"))
    before, body = text[: begins.start()], text[begins.start() :]
    return f"{_HEADER}{_closed(printable_lines(body))}", before.count("\n") - _HEADER.count("\n")


def printable_lines(text: str) -> str:
    """Return `text` without control characters, its lines as they were."""
    return printable(text.replace("\r\n", "\n"))


def _closed(text: str) -> str:
    """Return `text` with an end for each element that has none: in SGML those are the ones with a value.

    The library does that too, in time that grows with the square of the file.
    """
    closing = {found[2].upper() for found in _TOKEN.finditer(text) if found[1]}
    written: list[str] = []
    end, depth, unclosed = 0, 0, ""
    for found in _TOKEN.finditer(text):
        written.append(text[end : found.start()])
        end = found.end()
        if found[2]:
            written.append(unclosed)
            unclosed = ""
            if found[1]:
                depth -= 1
            elif found[2].upper() in closing:
                depth += 1
            else:
                unclosed = f"</{found[2]}>"
        written.append(found[0])
        if depth > DEPTH_MAX:
            raise Invalid.of(Fault("file", f"nests its elements more than {DEPTH_MAX} deep"))
    return "".join([*written, text[end:], unclosed])


def _rows(statement: Any, currency: str, lines_before: int) -> list[Part]:
    rejected: list[Part] = [
        Rejected(entry["content"].sourceline + lines_before, " ".join(str(entry["error"]).split())[:REASON_LENGTH_MAX])
        for entry in statement.discarded_entries
    ]
    return [*rejected, *(_row(entry, currency, lines_before) for entry in statement.transactions)]


def _row(entry: Any, currency: str, lines_before: int) -> Part:
    line = entry.line + lines_before
    try:
        if entry.date is None:
            message = "has no date"
            raise UnreadableError(message)
        if not isinstance(entry.amount, decimal.Decimal):
            return Pending(line, "has no amount (null)")
        if entry.currency not in {None, currency}:
            message = f"is in {entry.currency}, its statement in {currency}"
            raise UnreadableError(message)
        texts = (entry.memo, entry.checknum)
        return BankRow(
            line=line,
            booked_on=entry.date,
            value_on=None,
            amount_minor=_minor(entry.amount, currency),
            currency=currency,
            end_to_end_id=None,
            text=bounded("\n".join(text for text in texts if text), "text", TEXT_LENGTH_MAX) or "",
            counterparty=bounded(entry.payee, "name", NAME_LENGTH_MAX),
            counterparty_iban=None,
            bank_reference=bounded(entry.id, "id (FITID)", 80),
        )
    except ValueError as error:
        return Rejected(line, str(error))


def _statement(account: Any) -> BankStatement:
    statement, currency = account.statement, str(account.curdef or "")
    faults = [] if account.account_id else ["names no account (ACCTID)"]
    closing_minor = None
    try:
        money.exponent(currency)
        if hasattr(statement, "balance"):
            closing_minor = _minor(statement.balance, currency)
    except ValueError as error:
        faults.append(str(error))
    opened_on = statement.start_date or None
    closed_on = getattr(statement, "balance_date", None) or statement.end_date or None
    return BankStatement(
        reference=f"OFX {opened_on or ''}..{statement.end_date or closed_on or ''}",
        currency=currency,
        opened_on=opened_on,
        # The format tells no opening balance, and its closing one is of the moment of the download.
        opening_minor=None,
        closed_on=closed_on,
        closing_minor=closing_minor,
        faults=tuple(faults),
    )


def _minor(amount: decimal.Decimal, currency: str) -> int:
    return money.parse(format(amount, "f"), currency).amount_minor
