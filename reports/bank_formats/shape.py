"""What every bank's file is read into: statements with their rows and balances, one shape for all formats."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from core.errors import Fault, Invalid

ACCOUNT_LENGTH_MAX = 34
REFERENCE_LENGTH_MAX = 80
END_TO_END_ID_LENGTH_MAX = 35
NAME_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 10_000
LINE_BYTES_MAX = 1 << 20


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
    """An entry that is read and not loaded, such as one that is not booked yet."""

    line: int
    reason: str


@dataclass(frozen=True)
class Rejected:
    """An entry that cannot be read, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Begun:
    """A statement begins; `account` is as the file writes it, None where it names none."""

    account: str | None


@dataclass(frozen=True)
class BankStatement:
    """What a statement says of itself; in a file's parts it stands behind its own rows.

    A balance that is not told is None, and not reckoned with. `faults` are sentences that keep the statement from
    being loaded.
    """

    reference: str
    currency: str
    opened_on: date | None
    opening_minor: int | None
    closed_on: date | None
    closing_minor: int | None
    faults: tuple[str, ...] = ()


# Of each statement: its beginning, its rows and what is none, and what it says of itself.
Part = Begun | BankRow | Pending | Rejected | BankStatement
Parts = Iterator[Part]


class UnreadableError(ValueError):
    """Why an entry cannot be read; a sentence for a person."""


def normalised_account(account: str) -> str:
    """Return an IBAN without the spaces it is printed with, in capitals."""
    return "".join(account.split()).upper()


def is_same_account(said: str, account: str) -> bool:
    """Say whether a file that writes `said` means the normalised `account`.

    Files write the currency behind the number, the bank before it, and in Germany bank code and number apart.
    """
    own = normalised_account(said)
    _, _, number = own.rpartition("/")
    forms = {own, number, own.replace("/", "")}
    forms |= {form[:-3] for form in forms if len(form) > 3 and form[-3:].isalpha()}  # noqa: PLR2004 - a currency's letters
    if account in forms:
        return True
    bank, _, number = own.partition("/")
    is_german = account.startswith("DE") and bank.isdecimal() and number.isdecimal()
    # Of a German IBAN ten digits are the number, with noughts before it.
    return is_german and account[4:] == bank + number.lstrip("0").rjust(10, "0")


def bounded(text: str | None, name: str, length_max: int) -> str | None:
    """Return `text` without the space around it, None for none of it; raise UnreadableError for too much of it."""
    kept = (text or "").strip()
    if len(kept) > length_max:
        message = f"has a {name} of more than {length_max} characters"
        raise UnreadableError(message)
    return kept or None


def printable(text: str) -> str:
    """Return `text` with a space for every control character but the ends of its lines."""
    # PostgreSQL keeps no NUL, and a person sees none of the others.
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cs"} else " " for letter in text
    )


def text_lines(file: BinaryIO, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield the lines of `file` with their numbers and line ends, of which none is held beside the present one.

    Without an `encoding` a line is UTF-8 or else ISO 8859-1, as banks send both. Raise Invalid for a line that is
    longer than LINE_BYTES_MAX or not of its encoding.
    """
    number = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(raw) > LINE_BYTES_MAX:
            raise Invalid.of(Fault("file", f"line {number} is longer than {LINE_BYTES_MAX} bytes"))
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            text = raw.decode(encoding or "utf-8")
        except UnicodeDecodeError:
            if encoding is not None:
                raise Invalid.of(Fault("file", f"line {number} is not {encoding}: say its encoding")) from None
            text = raw.decode("iso-8859-1")
        yield number, text
