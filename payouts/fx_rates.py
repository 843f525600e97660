"""Rates of exchange as they are kept: imported once, looked up by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, outbound
from core.actors import Actor, system
from core.audit import Act
from core.database import insert_new, lock
from core.errors import Conflict, Fault, Invalid, Unavailable
from core.money import Money
from core.runtime import Runtime
from payouts import exchange, fx_files
from payouts.exchange import DAYS_BACK_MAX, Rate
from payouts.models import FxRate

ACTOR: Actor = system("stage:base-amounts")
_SAME = "same currency"
_SHOWN_MAX = 100


@dataclass(frozen=True)
class Imported:
    """What a file came to: its rates, how many of them were new, and how many of unknown currencies were left out."""

    rates: int
    new: int
    unknown: int


def imported(runtime: Runtime, session: Session, content: bytes, *, format_: str, actor: Actor) -> Imported:
    """Keep the rates of a file, `ecb` or `csv`, that are not there yet.

    A rate that was taken is never changed, as accruals are frozen at it: raise Conflict, and keep nothing, for a file
    that says another one; Invalid for what cannot be read.
    """
    read = fx_files.ecb(content) if format_ == "ecb" else fx_files.plain(content, base=runtime.base_currency)
    # Of two files at once the second must see what the first one said.
    lock(session, "fx_rates")
    there = _there(session, read.quotes)
    key = [(quote, there.get((quote.base, quote.currency, quote.on))) for quote in read.quotes]
    others = [(quote, kept) for quote, kept in key if kept is not None and kept != quote.rate]
    if others:
        message = f"{len(others)} rates are kept with another figure, at which accruals may be frozen"
        faults = [
            Fault(f"{quote.on} {quote.currency}", f"is {kept.normalize():f} here, not {quote.rate:f}")
            for quote, kept in others[:_SHOWN_MAX]
        ]
        raise Conflict(message, slug="rate-is-kept", faults=faults)
    now = runtime.clock()
    new = [quote for quote, kept in key if kept is None]
    rows = [
        {
            "base": quote.base,
            "currency": quote.currency,
            "rate_date": quote.on,
            "rate": quote.rate,
            "source": format_,
            "imported_at": now,
            "imported_by": actor.id,
        }
        for quote in new
    ]
    insert_new(session, FxRate, rows, key=["base", "currency", "rate_date"])
    if new:
        days = sorted(quote.on for quote in new)
        after = {"new": len(rows), "first": days[0].isoformat(), "last": days[-1].isoformat()}
        audit.record(session, Act(actor, "imported", "exchange rates", format_, now, after=after))
    return Imported(len(read.quotes), len(rows), read.unknown)


def fetched(place: str) -> bytes:
    """Return a file of rates by its path or its address (http, https).

    Raise Unavailable when it is not there, Invalid when it is too large to be one.
    """
    if not place.startswith(("http://", "https://")):
        return _read_file(Path(place))
    got = outbound.get(place, bytes_max=fx_files.BYTES_MAX)
    if isinstance(got, outbound.NotTaken):
        message = f"the exchange rates cannot be had: {got.reason}"
        raise Unavailable(message)
    return got.content


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(fx_files.BYTES_MAX + 1)
    except OSError as error:
        message = f"the file of exchange rates cannot be read ({type(error).__name__}): {path}"
        raise Unavailable(message) from error
    if len(content) > fx_files.BYTES_MAX:
        raise Invalid.of(Fault("file", f"has more than {fx_files.BYTES_MAX} bytes"))
    return content


def format_of(content: bytes) -> str:
    """Return whether a file is the ECB's XML or CSV, by how it begins."""
    return "ecb" if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") else "csv"


def _there(session: Session, quotes: tuple[fx_files.Quote, ...]) -> dict[tuple[str, str, date], Decimal]:
    days = [quote.on for quote in quotes]
    statement = sa.select(FxRate.base, FxRate.currency, FxRate.rate_date, FxRate.rate).where(
        FxRate.rate_date.between(min(days), max(days)), FxRate.base.in_({quote.base for quote in quotes})
    )
    return {(row.base, row.currency, row.rate_date): row.rate for row in session.execute(statement)}


class Lookup:
    """Rates into `base`, each looked up once: take a new one for each batch."""

    def __init__(self, session: Session, base: str) -> None:
        self._session, self.base = session, base
        # What the base itself quotes comes first, then what the ECB does.
        self._pivots = tuple(dict.fromkeys((base, fx_files.ECB_BASE)))
        self._newest: dict[str, date | None] = {}
        self._found: dict[tuple[str, date], tuple[Rate | None, bool]] = {}

    def settled(self, currency: str, on: date) -> Rate | None:
        """Return the rate of a day, None while it may still come.

        A day without one takes the last before it, once a later day has its own: then it will get none. So what is
        answered does not depend on when one asks.
        """
        rate, is_settled = self._looked_up(currency, on)
        return rate if is_settled else None

    def estimated(self, currency: str, on: date) -> Rate | None:
        """Return the rate of a day or the last one known before it, DAYS_BACK_MAX at most; it may still change."""
        return self._looked_up(currency, on)[0]

    def frozen(self, amount: Money, on: date) -> dict[str, Any]:
        """Return the columns of an accrual of `amount` at the rate of a day, all of them empty while it may come."""
        rate = self.settled(amount.currency, on)
        return columns(amount, rate, self.base)

    def estimated_minor(self, amount: Money, on: date) -> int | None:
        """Return what `amount` comes to in the base at the estimated rate of a day, in minor units."""
        rate = self.estimated(amount.currency, on)
        converted = None if rate is None else exchange.converted(amount, rate.rate, self.base)
        return None if converted is None else converted.amount_minor

    def _looked_up(self, currency: str, on: date) -> tuple[Rate | None, bool]:
        found = self._found.get((currency, on))
        if found is None:
            found = (Rate(Decimal(1), on, _SAME), True) if currency == self.base else self._read(currency, on)
            self._found[currency, on] = found
        return found

    def _read(self, currency: str, on: date) -> tuple[Rate | None, bool]:
        estimate = None
        for pivot in self._pivots:
            rate, newest = self._through(pivot, currency, on), self._newest_of(pivot)
            if rate is not None and newest is not None and newest >= on:
                return rate, True
            estimate = estimate or rate
        return estimate, False

    def _through(self, pivot: str, currency: str, on: date) -> Rate | None:
        wanted = {currency, self.base} - {pivot}
        quoted: dict[date, dict[str, tuple[Decimal, str]]] = {}
        statement = sa.select(FxRate).where(
            FxRate.base == pivot,
            FxRate.currency.in_(wanted),
            FxRate.rate_date.between(on - timedelta(days=DAYS_BACK_MAX), on),
        )
        for each in self._session.scalars(statement):
            quoted.setdefault(each.rate_date, {})[each.currency] = (each.rate, each.source)
        for day in sorted(quoted, reverse=True):
            here = quoted[day]
            if here.keys() >= wanted:
                one = (Decimal(1), "")
                rate = exchange.cross(currency=here.get(currency, one)[0], base=here.get(self.base, one)[0])
                return None if rate is None else Rate(rate, day, next(iter(here.values()))[1])
        return None

    def _newest_of(self, pivot: str) -> date | None:
        if pivot not in self._newest:
            statement = sa.select(sa.func.max(FxRate.rate_date)).where(FxRate.base == pivot)
            self._newest[pivot] = self._session.scalar(statement)
        return self._newest[pivot]


def columns(amount: Money, rate: Rate | None, base: str) -> dict[str, Any]:
    """Return the columns of an accrual of `amount` at `rate`; all empty without one, and for what is too large."""
    converted = None if rate is None else exchange.converted(amount, rate.rate, base)
    if rate is None or converted is None:
        return dict.fromkeys(("base_currency", "base_minor", "fx_rate", "fx_date", "fx_source"))
    return {
        "base_currency": base,
        "base_minor": converted.amount_minor,
        "fx_rate": rate.rate,
        "fx_date": rate.on,
        "fx_source": rate.source,
    }


def shown(rate: FxRate) -> Mapping[str, Any]:
    """Return a rate as the wire shows it."""
    return {
        "date": rate.rate_date,
        "base": rate.base,
        "currency": rate.currency,
        "rate": f"{rate.rate.normalize():f}",
        "source": rate.source,
        "imported_at": rate.imported_at,
        "imported_by": rate.imported_by,
    }
