"""Reads files of exchange rates: the European Central Bank's XML, daily or historical, and plain CSV."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from lxml import etree

from core import money
from core.errors import Fault, Invalid

BYTES_MAX = 20_000_000  # the ECB's file of all days since 1999 has about 9 million
FAULTS_MAX = 100
ECB_BASE = "EUR"
_CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"
_HEADER = {"date", "currency", "rate"}
# What the column keeps: NUMERIC(20, 8).
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True)
class Quote:
    """One unit of `base` was worth `rate` of `currency` on a day."""

    base: str
    currency: str
    on: date
    rate: Decimal


@dataclass(frozen=True)
class Rates:
    """The quotes of a file, and how many more it has of currencies that are not paid in any more."""

    quotes: tuple[Quote, ...]
    unknown: int


def ecb(content: bytes) -> Rates:
    """Return what an ECB file says (https://www.ecb.europa.eu/stats/eurofxref/); the base is EUR.

    Raise Invalid for what is no such file, declares a document type, or holds a rate that cannot be read.
    """
    quotes: list[Quote] = []
    unknown = 0
    try:
        for day, currency, text in _cubes(content):
            if currency not in money.EXPONENTS:
                unknown += 1
                continue
            quotes.append(_quote(ECB_BASE, currency, day, text, where=f"{day} {currency}"))
    except etree.XMLSyntaxError as error:
        raise Invalid.of(Fault("file", f"is no well-formed XML: {error.msg}")) from None
    if not quotes:
        raise Invalid.of(Fault("file", "holds no rate of the European Central Bank"))
    return Rates(_once(quotes), unknown)


def plain(content: bytes, *, base: str) -> Rates:
    """Return what a CSV file says: a header with date, currency and rate, and base where it is not `base`.

    A rate is what one unit of the base is worth in the currency. Raise Invalid with every fault, at most FAULTS_MAX.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid.of(Fault("file", "is no text in UTF-8")) from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    quotes: list[Quote] = []
    faults: list[Fault] = []
    try:
        header = set(rows.fieldnames or ())
        if not header >= _HEADER or header - _HEADER - {"base"}:
            raise Invalid.of(Fault("file", "takes the columns date, currency and rate, and base where there is one"))
        for row in rows:
            try:
                quotes.append(_row(row, base, where=f"line {rows.line_num}"))
            except Invalid as error:
                faults += error.faults
                if len(faults) >= FAULTS_MAX:
                    break
    except csv.Error as error:
        faults.append(Fault(f"line {rows.line_num}", f"is no CSV: {error}"))
    if faults:
        raise Invalid.of(*faults)
    if not quotes:
        raise Invalid.of(Fault("file", "holds no rate"))
    return Rates(_once(quotes), 0)


def _row(row: dict[str, str | None], base: str, *, where: str) -> Quote:
    currency, base = (row["currency"] or "").strip(), (row.get("base") or base).strip()
    unknown = {code for code in (currency, base) if code not in money.EXPONENTS}
    if unknown or currency == base:
        raise Invalid.of(Fault(where, f"{currency!r} in {base!r} is no pair of currencies that we know"))
    return _quote(base, currency, (row["date"] or "").strip(), (row["rate"] or "").strip(), where=where)


def _quote(base: str, currency: str, day: str, rate: str, *, where: str) -> Quote:
    try:
        on = date.fromisoformat(day) if _DAY.fullmatch(day) else None
    except ValueError:
        on = None
    if on is None:
        raise Invalid.of(Fault(where, f"{day[:40]!r} is no day, such as 2026-10-05"))
    if not _RATE.fullmatch(rate) or not Decimal(rate):
        raise Invalid.of(Fault(where, f"{rate[:40]!r} is no rate: a number over zero with at most 8 decimals"))
    return Quote(base, currency, on, Decimal(rate))


def _once(quotes: list[Quote]) -> tuple[Quote, ...]:
    """Return each quote once; raise Invalid where a file says two rates for the same."""
    found: dict[tuple[str, str, date], Quote] = {}
    for quote in quotes:
        key = (quote.base, quote.currency, quote.on)
        if found.setdefault(key, quote).rate != quote.rate:
            raise Invalid.of(Fault("file", f"says two rates of {quote.currency} in {quote.base} for {quote.on}"))
    return tuple(found.values())


def _cubes(content: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield day, currency and rate of each innermost cube."""
    # As with bank statements: no entity is resolved, nothing is fetched, and what could declare one is refused.
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
    day, is_first = "", True
    for event, element in events:
        if is_first and element.getroottree().docinfo.doctype:
            raise Invalid.of(Fault("file", "declares a document type (DTD), which no file of rates needs"))
        is_first = False
        if element.tag != _CUBE:
            continue
        if event == "start":
            day = element.get("time", day)
        elif "currency" in element.attrib:
            yield day, element.attrib["currency"], element.get("rate", "")
        else:
            # A day that was read is dropped: the tree does not grow with the file.
            element.clear()
