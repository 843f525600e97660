"""Remittances derived from networks' reports, where none was announced: what a month's matched lines come to."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.money import Money
from core.runtime import Runtime
from ledger import periods
from reports import remittances
from reports.match_models import Match
from reports.matching import Leg
from reports.models import NetworkLine
from reports.reconciliation import LOCK
from reports.remittance_models import Remittance
from reports.remitting import Origin, RemittanceState

Key = tuple[str, str]  # source and currency


@dataclass(frozen=True)
class Derived:
    """What deriving came to. `kept`: as announced, or matched with a credit already, whatever the lines say now."""

    items: list[Remittance]
    made: int
    changed: int
    dropped: int
    kept: int


def derive(runtime: Runtime, session: Session, period: str, *, actor: Actor) -> Derived:
    """Make the month's derived remittances what its report lines that match conversions come to.

    One a source and currency. Where one was announced it stands; a derived one that a credit is matched with, or that
    was written off, stays as it is. Derived again from the same lines nothing changes. Raise Invalid for no month.
    """
    periods.bounds(period)
    lock(session, LOCK)
    sums, now = _sums(session, period), runtime.clock()
    of_month = session.scalars(sa.select(Remittance).where(Remittance.period == period)).all()
    announced = {_key(each) for each in of_month if each.origin == Origin.ANNOUNCED}
    derived = {_key(each): each for each in of_month if each.origin == Origin.DERIVED}
    items, counts = [], {"made": 0, "changed": 0, "dropped": 0, "kept": 0}
    for key in sorted(sums.keys() | derived.keys()):
        amount_minor, there = sums.get(key, 0), derived.get(key)
        if key in announced or (there is not None and not remittances.is_free(session, there)):
            counts["kept"] += 1
            items += [there] if there is not None else []
        elif there is None:
            counts["made"] += 1
            items.append(_made(runtime, session, period, key, amount_minor, actor=actor))
        elif amount_minor == 0:
            counts["dropped"] += 1
            remittances.drop(session, there, actor=actor, at=now, reason="its lines match no conversion any more")
        else:
            if there.amount_minor != amount_minor:
                counts["changed"] += 1
                before = {"money": str(Money(there.amount_minor, there.currency))}
                there.amount_minor, there.changed_at, there.version = amount_minor, now, there.version + 1
                after = {"money": str(Money(amount_minor, there.currency))}
                audit.record(session, Act(actor, "derived", "remittance", there.id, now, before, after))
            items.append(there)
    session.flush()
    return Derived(items, **counts)


def _sums(session: Session, period: str) -> Mapping[Key, int]:
    """Return what the month's lines that match conversions come to, where a network owes something."""
    total = sa.func.sum(NetworkLine.amount_minor)
    is_matched = sa.exists().where(
        Match.leg == Leg.NETWORK, Match.state == "confirmed", Match.their_id == NetworkLine.id
    )
    statement = (
        sa.select(NetworkLine.source_id, NetworkLine.currency, sa.cast(total, sa.BigInteger))
        .where(NetworkLine.period == period, is_matched)
        .group_by(NetworkLine.source_id, NetworkLine.currency)
        .having(total > 0)
    )
    return {(row[0], row[1]): row[2] for row in session.execute(statement)}


def _made(runtime: Runtime, session: Session, period: str, key: Key, amount_minor: int, *, actor: Actor) -> Remittance:
    now = runtime.clock()
    made = Remittance(
        id=runtime.new_id("rmt"),
        source_id=key[0],
        period=period,
        amount_minor=amount_minor,
        currency=key[1],
        state=RemittanceState.OPEN.value,
        origin=Origin.DERIVED.value,
        created_by=actor.id,
        created_at=now,
        changed_at=now,
        version=1,
    )
    session.add(made)
    after = {"source_id": key[0], "period": period, "money": str(Money(amount_minor, key[1]))}
    audit.record(session, Act(actor, "derived", "remittance", made.id, now, after=after))
    return made


def _key(each: Remittance) -> Key:
    return each.source_id, each.currency
