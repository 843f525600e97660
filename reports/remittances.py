"""Remittances: announced by a network and typed or sent in, derived from its reports, changed and written off."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime
from ledger import periods, posting
from partners.models import Source
from reports import remittance_entries, remitting
from reports.match_models import Match
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution
from reports.models import Discrepancy
from reports.reconciliation import LOCK
from reports.remittance_entries import Part
from reports.remittance_models import Remittance, RemittanceEntry
from reports.remitting import Origin, PartKind, RemittanceState

ANNOUNCED_AT_ONCE_MAX = 1000
_NOUN = "remittance"


@dataclass(frozen=True)
class NewRemittance:
    """What a network has announced to pay for a month."""

    source_id: str
    period: str
    money: Money
    reference: str | None = None
    due_on: date | None = None


@dataclass(frozen=True)
class Change:
    """What a person changes about a remittance, as he saw it at `version`; None leaves as it is."""

    version: int
    reason: str
    state: RemittanceState | None = None
    money: Money | None = None
    due_on: date | None = None


def announce(runtime: Runtime, session: Session, wanted: Sequence[NewRemittance], *, actor: Actor) -> list[Remittance]:
    """Keep what networks have announced: all of it, or with one fault in it none.

    Raise Invalid with every fault, each under the number of its item. A derived remittance of the same source, month
    and currency gives way.
    """
    # A run under way must not see half of them.
    lock(session, LOCK)
    faults = _faults(session, wanted)
    if faults:
        raise Invalid.of(*faults)
    now = runtime.clock()
    values: list[dict[str, Any]] = [
        {
            "id": runtime.new_id("rmt"),
            "source_id": each.source_id,
            "period": each.period,
            "reference": each.reference,
            "amount_minor": each.money.amount_minor,
            "currency": each.money.currency,
            "due_on": each.due_on,
            "state": RemittanceState.OPEN.value,
            "origin": Origin.ANNOUNCED.value,
            "created_by": actor.id,
            "created_at": now,
            "changed_at": now,
            "version": 1,
        }
        for each in wanted
    ]
    for row in values:
        money = str(Money(row["amount_minor"], row["currency"]))
        after = {"source_id": row["source_id"], "period": row["period"], "money": money}
        audit.record(session, Act(actor, "announced", _NOUN, row["id"], now, after=after))
    session.execute(sa.insert(Remittance), values)
    for derived in _derived(session, {(each.source_id, each.period, each.money.currency) for each in wanted}):
        drop(session, derived, actor=actor, at=now, reason="the network has announced what it pays")
    return [session.get_one(Remittance, row["id"]) for row in values]


def change(runtime: Runtime, session: Session, remittance_id: str, change: Change, *, actor: Actor) -> Remittance:
    """Change a remittance before its money has come, write off what has not come, or take that back.

    Raise Conflict when its version moved on, or when a credit is matched with it and its amount should change. What is
    written off is posted today, and taken back by a reversing entry.
    """
    lock(session, LOCK)
    found = rows.locked(session, Remittance, remittance_id, version=change.version)
    if change.money is not None:
        _refuse_matched(session, found)
        if change.money.currency != found.currency:
            raise Invalid.of(Fault("money.currency", f"is {found.currency} and stays so: announce another one instead"))
    before = _facts(found)
    if change.money is not None:
        found.amount_minor = change.money.amount_minor
    if change.due_on is not None:
        found.due_on = change.due_on
    found.changed_at = runtime.clock()
    moved = found.version
    if change.state is not None and change.state != found.state:
        _move(runtime, session, found, change, actor=actor)
    if found.version == moved:
        found.version += 1
    act = Act(actor, "changed", _NOUN, found.id, found.changed_at, before, _facts(found), change.reason)
    audit.record(session, act)
    return found


def accept_charge(
    runtime: Runtime, session: Session, remittance_id: str, *, reason: str, version: int, actor: Actor
) -> Remittance:
    """Post what lacks of a remittance as a bank's charge, which settles it, and resolve what was told of it.

    Raise Conflict when its version moved on, nothing has come yet, nothing lacks, or more than a charge lacks.
    """
    lock(session, LOCK)
    found = rows.locked(session, Remittance, remittance_id, version=version)
    parts = remittance_entries.sums(session, [found.id]).get(found.id, {})
    missing = Money(found.amount_minor - sum(parts.values()), found.currency)
    limit = remitting.charge_limit(found.amount_minor, found.currency, Decimal(runtime.bank_charge_max))
    if found.state != RemittanceState.SHORT or not 0 < missing.amount_minor <= limit:
        message = (
            f"{missing} of {found.id} lack: a bank's charge is at most {Money(limit, found.currency)} of what has come"
            " for the rest, and what a network does not pay is written off"
        )
        raise Conflict(message, slug="no-bank-charge")
    last = remittance_entries.live(session, found.id, PartKind.PAYMENT)[-1]
    part = Part(found.id, PartKind.CHARGE, posting.BANK_CHARGES, missing, last.occurred_on, last.bank_line_id)
    remittance_entries.post(runtime, session, [part], actor=actor, reason=reason)
    _resolve(runtime, session, found.id, reason=reason, actor=actor)
    return found


def drop(session: Session, derived: Remittance, *, actor: Actor, at: Any, reason: str) -> None:
    """Take a derived remittance away that nothing was posted about, with what was suggested about it."""
    session.execute(sa.delete(Match).where(Match.leg == Leg.REMITTANCE, Match.our_id == derived.id))
    audit.record(session, Act(actor, "dropped", _NOUN, derived.id, at, before=_facts(derived), reason=reason))
    session.delete(derived)
    session.flush()


def is_free(session: Session, found: Remittance) -> bool:
    """Say whether no credit is matched with it, and nothing was ever posted about it."""
    is_posted = session.scalar(sa.select(sa.exists().where(RemittanceEntry.remittance_id == found.id)))
    return not is_posted and not _is_matched(session, found.id)


def _faults(session: Session, wanted: Sequence[NewRemittance]) -> list[Fault]:
    keys = {(each.source_id, each.reference) for each in wanted if each.reference is not None}
    sources = set(session.scalars(sa.select(Source.id).where(Source.id.in_({each.source_id for each in wanted}))))
    known = {
        (row.source_id, row.reference): row.id
        for row in session.execute(
            sa.select(Remittance.id, Remittance.source_id, Remittance.reference).where(
                Remittance.reference.in_({reference for _, reference in keys})
            )
        )
    }
    settled = {
        (each.source_id, each.period, each.currency): each.id
        for each in _derived(session, {(each.source_id, each.period, each.money.currency) for each in wanted})
        if not is_free(session, each)
    }
    faults, seen = [], set()
    for number, each in enumerate(wanted):
        if each.source_id not in sources:
            faults.append(Fault(f"{number}.source_id", "is no source of ours"))
        if each.money.amount_minor <= 0:
            faults.append(Fault(f"{number}.money", "takes more than nothing"))
        key = (each.source_id, each.reference)
        if key in known:
            faults.append(Fault(f"{number}.reference", f"is announced already, as {known[key]}"))
        elif each.reference is not None and key in seen:
            faults.append(Fault(f"{number}.reference", "stands more than once in this list"))
        seen.add(key)
        derived = settled.get((each.source_id, each.period, each.money.currency))
        if derived is not None:
            faults.append(Fault(f"{number}.period", f"is matched already as {derived}: unmatch that first"))
    return faults


def _move(runtime: Runtime, session: Session, found: Remittance, change: Change, *, actor: Actor) -> None:
    today = runtime.clock().date()
    if change.state is RemittanceState.WRITTEN_OFF and found.state != RemittanceState.SETTLED:
        parts = remittance_entries.sums(session, [found.id]).get(found.id, {})
        missing = Money(found.amount_minor - sum(parts.values()), found.currency)
        part = Part(found.id, PartKind.WRITE_OFF, posting.WRITTEN_OFF, missing, today)
        remittance_entries.post(runtime, session, [part], actor=actor, reason=change.reason)
        _resolve(runtime, session, found.id, reason=change.reason, actor=actor)
    elif change.state is RemittanceState.OPEN and found.state == RemittanceState.WRITTEN_OFF:
        entries = remittance_entries.live(session, found.id, PartKind.WRITE_OFF)
        parts_back = remittance_entries.reversals(entries, today)
        remittance_entries.post(runtime, session, parts_back, actor=actor, reason=change.reason)
    else:
        message = (
            f"{found.id} is {found.state}: people write off what is not settled, or open again what they wrote off"
        )
        raise Conflict(message)


def _refuse_matched(session: Session, found: Remittance) -> None:
    if found.state != RemittanceState.OPEN or _is_matched(session, found.id):
        message = f"{found.id} is {found.state} or matched: its amount changes only while no credit is matched with it"
        raise Conflict(message, slug="remittance-matched")


def _is_matched(session: Session, remittance_id: str) -> bool:
    edges = sa.exists().where(Match.leg == Leg.REMITTANCE, Match.state == "confirmed", Match.our_id == remittance_id)
    return bool(session.scalar(sa.select(edges)))


def _resolve(runtime: Runtime, session: Session, remittance_id: str, *, reason: str, actor: Actor) -> None:
    """Resolve what was told of a remittance that lacked something; a closed month keeps what it told."""
    about = (DiscrepancyClass.FEE_OR_FX, DiscrepancyClass.AMOUNT_MISMATCH, DiscrepancyClass.STALE_PENDING)
    told = sa.select(Discrepancy).where(
        Discrepancy.remittance_id == remittance_id,
        Discrepancy.klass.in_(about),
        Discrepancy.state.in_([DiscrepancyState.OPEN, DiscrepancyState.CARRIED]),
    )
    for each in session.scalars(told.order_by(Discrepancy.id).with_for_update()):
        if periods.is_closed(session, each.period):
            continue
        before = {"state": each.state}
        each.state, each.resolution, each.note = DiscrepancyState.RESOLVED.value, Resolution.EXPLAINED.value, reason
        each.resolved_by, each.resolved_at, each.version = actor.id, runtime.clock(), each.version + 1
        after = {"state": each.state, "resolution": each.resolution}
        act = Act(actor, "resolved", "discrepancy", each.id, runtime.clock(), before, after, reason)
        audit.record(session, act)


def _derived(session: Session, keys: Collection[tuple[str, str, str]]) -> list[Remittance]:
    statement = sa.select(Remittance).where(
        Remittance.origin == Origin.DERIVED,
        Remittance.source_id.in_({source_id for source_id, _, _ in keys}),
        Remittance.period.in_({period for _, period, _ in keys}),
    )
    return [
        each
        for each in session.scalars(statement.order_by(Remittance.id))
        if (each.source_id, each.period, each.currency) in keys
    ]


def _facts(found: Remittance) -> dict[str, Any]:
    return {
        "state": found.state,
        "money": str(Money(found.amount_minor, found.currency)),
        "due_on": found.due_on.isoformat() if found.due_on else None,
    }
