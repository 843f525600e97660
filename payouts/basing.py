"""Base amounts: accruals that came before the rate of their day get it once it is known, and keep it."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.database import table_of
from core.money import Money
from core.runtime import Runtime
from payouts import fx_rates
from payouts.exchange import Rate
from payouts.models import Accrual


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Fill the base amounts of at most `limit` accruals whose rates are known; return how many were filled.

    What is taken back of a conversion, or added, takes the rate of its first accrual's day: all of it taken back comes
    to nothing in the base currency too. A base amount that is there is never changed.
    """
    lookup = fx_rates.Lookup(session, runtime.base_currency)
    filled = 0
    for currency, on in _waiting(session):
        rate = lookup.settled(currency, on)
        if rate is not None:
            filled += _filled(session, currency, on, rate, base=lookup.base, limit=limit - filled)
        if filled >= limit:
            break
    return filled


def _waiting(session: Session) -> list[tuple[str, date]]:
    first, rate_day = _first_day()
    statement = (
        sa.select(Accrual.currency, rate_day)
        .outerjoin(first, _is_first(first))
        .where(Accrual.base_minor.is_(None))
        .distinct()
        .order_by(Accrual.currency, rate_day)
    )
    return [(currency, on) for currency, on in session.execute(statement)]


def _filled(session: Session, currency: str, on: date, rate: Rate, *, base: str, limit: int) -> int:
    first, rate_day = _first_day()
    statement = (
        sa.select(Accrual.id, Accrual.amount_minor)
        .outerjoin(first, _is_first(first))
        .where(Accrual.base_minor.is_(None), Accrual.currency == currency, rate_day == on)
        .order_by(Accrual.id)
        .limit(limit)
    )
    rows = []
    for accrual_id, amount_minor in session.execute(statement):
        columns = fx_rates.columns(Money(amount_minor, currency), rate, base)
        if columns["base_minor"] is not None:
            rows.append({"accrual_id": accrual_id, **{f"its_{name}": value for name, value in columns.items()}})
    if not rows:
        return 0
    accruals = table_of(Accrual)
    names = [name.removeprefix("its_") for name in rows[0] if name != "accrual_id"]
    # The condition is the freeze: of two workers one fills it, and nobody does again.
    update = (
        accruals.update()
        .where(accruals.c.id == sa.bindparam("accrual_id"), accruals.c.base_minor.is_(None))
        .values({name: sa.bindparam(f"its_{name}") for name in names})
    )
    session.connection().execute(update, rows)
    return len(rows)


def _first_day() -> tuple[type[Accrual], sa.ColumnElement[date]]:
    first = aliased(Accrual)
    return first, sa.func.coalesce(first.occurred_on, Accrual.occurred_on)


def _is_first(first: type[Accrual]) -> sa.ColumnElement[bool]:
    return sa.and_(first.conversion_id == Accrual.conversion_id, first.kind == "accrue", first.seq == 1)
