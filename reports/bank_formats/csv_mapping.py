"""What a bank's CSV says in which column: the mapping, checked with every fault at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from core import money
from core.errors import Fault
from core.money import MoneyError

CONSTANT = "="  # "=EUR" is the currency EUR of every row; "EUR" is a column of that name
DELIMITERS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "cp1252", "iso-8859-1")
THOUSANDS = ("", ".", ",", " ", "'")
SIGNS = ("credit", "debit")
SKIPPED_MAX = 100

_OPTIONS = {
    "decimal": (".", ","),
    "thousands": THOUSANDS,
    "delimiter": DELIMITERS,
    "encoding": ENCODINGS,
    "positive": SIGNS,
}
_NAMES = (
    "value_on",
    "amount",
    "debit",
    "credit",
    "counterparty",
    "counterparty_iban",
    "end_to_end_id",
    "bank_reference",
)
_KEYS = {"booked_on", "currency", "text", "direction", "opening", "closing", "skip", "date_format", *_NAMES, *_OPTIONS}
# An evening in autumn: a format that loses any part of the date does not bring it back.
_SAMPLE = datetime(2026, 11, 30, 21, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Direction:
    """A column that says whether a row is a credit or a debit, and with which words."""

    column: str
    credit: frozenset[str]
    debit: frozenset[str]


@dataclass(frozen=True)
class Told:
    """A balance that the file does not hold and the person tells: the amount as text, and its day."""

    amount: str
    on: date


@dataclass(frozen=True)
class CsvMapping:
    """Which column of a bank's CSV says what. `currency_code` is the constant, set where no column says it."""

    booked_on: str
    date_format: str
    columns: Mapping[str, str]
    text: tuple[str, ...]
    currency: str | None
    currency_code: str | None
    direction: Direction | None
    is_debit_positive: bool
    decimal: str
    thousands: str
    delimiter: str
    encoding: str
    skip: int
    opening: Told | None
    closing: Told | None


def option(raw: object, key: str) -> str:
    """Return what a mapping chooses for `key`, or the first choice: needed to read the header before all is checked."""
    said = raw.get(key) if isinstance(raw, Mapping) else None
    return said if isinstance(said, str) and said in _OPTIONS[key] else _OPTIONS[key][0]


def skipped(raw: object) -> int:
    """Return how many lines stand before the header."""
    said = raw.get("skip", 0) if isinstance(raw, Mapping) else 0
    return said if isinstance(said, int) and 0 <= said <= SKIPPED_MAX else 0


def checked(raw: object, header: Sequence[str] | None) -> tuple[CsvMapping | None, list[Fault]]:
    """Return the mapping, or everything wrong with it; without a header its columns are not looked for."""
    if not isinstance(raw, Mapping):
        return None, [Fault("mapping", "takes an object that names the columns: a bank's CSV needs one")]
    faults = [Fault(f"mapping.{key}", "is no key of a mapping") for key in raw if key not in _KEYS]
    if not _is_kept(raw):
        faults.append(Fault("mapping", "takes text without NUL and without lone surrogates"))
    faults += [Fault(f"mapping.{key}", "is missing") for key in ("booked_on", "currency") if key not in raw]
    for key in ("booked_on", *_NAMES):
        faults += _column_faults(f"mapping.{key}", raw[key], header) if key in raw else []
    for key, choices in _OPTIONS.items():
        if raw.get(key, choices[0]) not in choices:
            faults.append(Fault(f"mapping.{key}", f"takes one of {', '.join(map(repr, choices))}"))
    faults += _text_faults(raw, header) + _amount_faults(raw, header) + _currency_faults(raw, header)
    if not _says_a_date(raw.get("date_format", "%Y-%m-%d")):
        faults.append(Fault("mapping.date_format", "says no whole date; such as %Y-%m-%d or %d.%m.%Y"))
    if type(skip := raw.get("skip", 0)) is not int or not 0 <= skip <= SKIPPED_MAX:
        faults.append(Fault("mapping.skip", f"takes the number of lines before the header, up to {SKIPPED_MAX}"))
    for key in ("opening", "closing"):
        faults += _balance_faults(f"mapping.{key}", raw[key], raw.get("currency")) if key in raw else []
    return (None, faults) if faults else (_mapping(raw), [])


def _mapping(raw: Mapping[str, object]) -> CsvMapping:
    currency = str(raw["currency"])
    is_constant = currency.startswith(CONSTANT)
    text = raw.get("text", ())
    direction = raw.get("direction")
    return CsvMapping(
        booked_on=str(raw["booked_on"]),
        date_format=str(raw.get("date_format", "%Y-%m-%d")),
        columns={name: str(raw[name]) for name in _NAMES if name in raw},
        text=(text,) if isinstance(text, str) else tuple(map(str, text)) if isinstance(text, list) else (),
        currency=None if is_constant else currency,
        currency_code=currency.removeprefix(CONSTANT) if is_constant else None,
        direction=_direction(direction) if isinstance(direction, Mapping) else None,
        is_debit_positive=option(raw, "positive") == "debit",
        decimal=option(raw, "decimal"),
        thousands=option(raw, "thousands"),
        delimiter=option(raw, "delimiter"),
        encoding=option(raw, "encoding"),
        skip=skipped(raw),
        opening=_told(raw.get("opening")),
        closing=_told(raw.get("closing")),
    )


def _direction(raw: Mapping[str, object]) -> Direction:
    words = {key: raw[key] for key in SIGNS}
    return Direction(
        str(raw["column"]),
        *(frozenset(map(str, said)) if isinstance(said, list) else frozenset() for said in words.values()),
    )


def _told(raw: object) -> Told | None:
    return Told(str(raw["amount"]), date.fromisoformat(str(raw["on"]))) if isinstance(raw, Mapping) else None


def _column_faults(field: str, column: object, header: Sequence[str] | None) -> list[Fault]:
    if not isinstance(column, str) or not column:
        return [Fault(field, "takes the name of a column")]
    if header is not None and header.count(column) != 1:
        reason = "stands more than once" if column in header else "does not stand"
        return [Fault(field, f"column {column!r} {reason} in the header ({', '.join(header)})")]
    return []


def _text_faults(raw: Mapping[str, object], header: Sequence[str] | None) -> list[Fault]:
    text = raw.get("text", [])
    if not isinstance(text, str | list):
        return [Fault("mapping.text", "takes the name of a column, or a list of such")]
    columns = [text] if isinstance(text, str) else text
    return [fault for column in columns for fault in _column_faults("mapping.text", column, header)]


def _amount_faults(raw: Mapping[str, object], header: Sequence[str] | None) -> list[Fault]:
    faults = []
    has_both = "debit" in raw and "credit" in raw
    has_either = "debit" in raw or "credit" in raw
    if ("amount" in raw) == has_either or has_either != has_both:
        faults.append(Fault("mapping.amount", "takes one column amount, or two: debit and credit"))
    if raw.get("decimal", ".") == raw.get("thousands", ""):
        faults.append(Fault("mapping.thousands", "is the decimal mark too"))
    if "direction" not in raw:
        return faults
    direction = raw["direction"]
    if not isinstance(direction, Mapping) or set(direction) != {"column", *SIGNS}:
        return [*faults, Fault("mapping.direction", 'takes {"column", "credit": [words], "debit": [words]}')]
    if "amount" not in raw:
        faults.append(Fault("mapping.direction", "goes with the one column amount"))
    for key in SIGNS:
        words = direction[key]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            faults.append(Fault(f"mapping.direction.{key}", "takes a list of words"))
    return faults + _column_faults("mapping.direction.column", direction["column"], header)


def _currency_faults(raw: Mapping[str, object], header: Sequence[str] | None) -> list[Fault]:
    currency = raw.get("currency")
    if isinstance(currency, str) and currency.startswith(CONSTANT):
        return _code_faults("mapping.currency", currency.removeprefix(CONSTANT))
    return _column_faults("mapping.currency", currency, header) if "currency" in raw else []


def _code_faults(field: str, code: str) -> list[Fault]:
    try:
        money.exponent(code)
    except MoneyError as error:
        return [Fault(field, str(error))]
    return []


def _balance_faults(field: str, told: object, currency: object) -> list[Fault]:
    if not isinstance(told, Mapping) or set(told) != {"amount", "on"}:
        return [Fault(field, 'takes {"amount": "12.50", "on": "2026-10-31"}')]
    if not isinstance(currency, str) or not currency.startswith(CONSTANT):
        return [Fault(field, "needs one currency for all rows, such as =EUR")]
    faults = []
    try:
        money.parse(told["amount"] if isinstance(told["amount"], str) else "", currency.removeprefix(CONSTANT))
    except MoneyError as error:
        faults.append(Fault(f"{field}.amount", str(error)))
    try:
        date.fromisoformat(told["on"] if isinstance(told["on"], str) else "")
    except ValueError:
        faults.append(Fault(f"{field}.on", "takes a date such as 2026-10-31"))
    return faults


def _is_kept(raw: object) -> bool:
    # It stands in JSON beside its statement, where PostgreSQL keeps neither.
    text = json.dumps(raw, ensure_ascii=False)
    return "\\u0000" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _says_a_date(date_format: object) -> bool:
    if not isinstance(date_format, str) or "%Z" in date_format:
        return False
    try:
        return datetime.strptime(_SAMPLE.strftime(date_format), date_format).date() == _SAMPLE.date()  # noqa: DTZ007
    except ValueError:
        return False
