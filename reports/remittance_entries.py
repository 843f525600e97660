"""What is posted about remittances: each confirmed match once, and taken back by a reversing entry when it ends.

The entries' rows are kept beside the journal, so that the journal can be rebuilt from them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core import audit
from core.actors import Actor, system
from core.audit import Act
from core.database import insert_new, lock
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from ledger.posting import Posting
from reports import remitting
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine
from reports.remittance_models import Remittance, RemittanceEntry
from reports.remitting import PartKind, RemittanceState

ACTOR = system("stage:month-end")
# Of two who bring remittances in line at once, the second sees what the first has posted.
_LOCK = "remittances"
_Reversal = aliased(RemittanceEntry)
_IS_LIVE: sa.ColumnElement[bool] = sa.and_(
    RemittanceEntry.reverses_id.is_(None), ~sa.exists().where(_Reversal.reverses_id == RemittanceEntry.id)
)


@dataclass(frozen=True)
class Part:
    """A part of what is owed, to be posted to `account`. A negative one takes back the entry `reverses_id`."""

    remittance_id: str
    kind: PartKind
    account: str
    money: Money
    occurred_on: date
    bank_line_id: str | None = None
    reverses_id: str | None = None


def bring_in_line(runtime: Runtime, session: Session, *, actor: Actor = ACTOR, reason: str | None = None) -> int:
    """Make the books say what the confirmed matches say; return how many entries that took.

    A match without its entry is posted on the day the bank booked it. An entry whose match has ended is taken back
    today, with the charge that was accepted of it. Called again it finds nothing left to say. Everyone who makes or
    ends a match of this leg calls it in the same transaction.
    """
    lock(session, _LOCK)
    session.flush()
    parts = [*_ended(session, runtime.clock().date()), *_unposted(session)]
    return post(runtime, session, parts, actor=actor, reason=reason)


def post(runtime: Runtime, session: Session, parts: Sequence[Part], *, actor: Actor, reason: str | None = None) -> int:
    """Post `parts` and move their remittances to the state that follows; return how many were new."""
    if not parts:
        return 0
    lock(session, _LOCK)
    ids = sorted({part.remittance_id for part in parts})
    held = sa.select(Remittance).where(Remittance.id.in_(ids)).order_by(Remittance.id).with_for_update()
    remittances = {each.id: each for each in session.scalars(held, execution_options={"populate_existing": True})}
    numbers = _numbers(session, ids)
    now = runtime.clock()
    rows = []
    for part in parts:
        numbers[part.remittance_id] = number = numbers.get(part.remittance_id, 0) + 1
        row: dict[str, Any] = {
            "id": runtime.new_id("rme"),
            "remittance_id": part.remittance_id,
            "number": number,
            "kind": part.kind.value,
            "reverses_id": part.reverses_id,
            "bank_line_id": part.bank_line_id,
            "account": part.account,
            "amount_minor": part.money.amount_minor,
            "currency": part.money.currency,
            "occurred_on": part.occurred_on,
            "reason": reason,
            "created_by": actor.id,
            "created_at": now,
        }
        rows.append(row)
    inserted = {key.id for key in insert_new(session, RemittanceEntry, rows, key=("remittance_id", "number"))}
    made = [row for row in rows if row["id"] in inserted]
    journal.post(runtime, session, [entry_of(row) for row in made], today=now.date())
    for row in made:
        verb = "taken back" if row["reverses_id"] else _VERBS[PartKind(row["kind"])]
        after = {"money": str(Money(row["amount_minor"], row["currency"])), "bank_line_id": row["bank_line_id"]}
        audit.record(session, Act(actor, verb, "remittance", row["remittance_id"], now, after=after, reason=reason))
    _move(session, remittances)
    return len(made)


def entry_of(row: Mapping[str, Any]) -> Posting:
    """Return the journal entry of a row of remittance_entries."""
    kind = PartKind(row["kind"])
    what = f"{_VERBS[kind]} by {row['bank_line_id']}" if kind is PartKind.PAYMENT else _VERBS[kind]
    return posting.remittance(
        entry_id=row["id"],
        remittance_id=row["remittance_id"],
        what=f"{what}: taken back" if row["reverses_id"] else what,
        account=row["account"],
        money=Money(row["amount_minor"], row["currency"]),
        occurred_on=row["occurred_on"],
    )


def sums(session: Session, ids: Collection[str]) -> dict[str, dict[PartKind, int]]:
    """Return what the entries of each remittance come to by kind, in minor units; kinds that come to nothing lack."""
    total = sa.func.sum(RemittanceEntry.amount_minor)
    statement = (
        sa.select(RemittanceEntry.remittance_id, RemittanceEntry.kind, sa.cast(total, sa.BigInteger))
        .where(RemittanceEntry.remittance_id.in_(ids))
        .group_by(RemittanceEntry.remittance_id, RemittanceEntry.kind)
        .having(total != 0)
    )
    found: dict[str, dict[PartKind, int]] = {}
    for remittance_id, kind, amount_minor in session.execute(statement):
        found.setdefault(remittance_id, {})[PartKind(kind)] = amount_minor
    return found


def reversals(entries: Sequence[RemittanceEntry], on: date) -> list[Part]:
    """Return the parts that take `entries` back."""
    return [
        Part(
            each.remittance_id,
            PartKind(each.kind),
            each.account,
            -Money(each.amount_minor, each.currency),
            on,
            each.bank_line_id,
            each.id,
        )
        for each in entries
    ]


def live(session: Session, remittance_id: str, kind: PartKind) -> list[RemittanceEntry]:
    """Return the remittance's entries of `kind` that are not taken back, oldest first."""
    statement = sa.select(RemittanceEntry).where(
        RemittanceEntry.remittance_id == remittance_id, RemittanceEntry.kind == kind, _IS_LIVE
    )
    return list(session.scalars(statement.order_by(RemittanceEntry.number)))


_VERBS: Mapping[PartKind, str] = {
    PartKind.PAYMENT: "paid",
    PartKind.CHARGE: "charged by a bank",
    PartKind.WRITE_OFF: "written off",
}
_IS_PAYMENT: sa.ColumnElement[bool] = RemittanceEntry.kind == PartKind.PAYMENT


def _unposted(session: Session) -> list[Part]:
    """Return what confirmed matches say and no entry does."""
    is_posted = sa.exists().where(
        _IS_PAYMENT,
        _IS_LIVE,
        RemittanceEntry.remittance_id == Match.our_id,
        RemittanceEntry.bank_line_id == Match.their_id,
        RemittanceEntry.amount_minor == Match.allocated_minor,
    )
    statement = (
        sa.select(
            Match.our_id, Match.allocated_minor, BankLine.id, BankLine.account, BankLine.currency, BankLine.booked_on
        )
        .join(BankLine, BankLine.id == Match.their_id)
        .where(Match.leg == Leg.REMITTANCE, Match.state == "confirmed", ~is_posted)
        .order_by(Match.our_id, BankLine.booked_on, BankLine.id)
    )
    return [
        Part(
            row.our_id,
            PartKind.PAYMENT,
            posting.bank(row.account),
            Money(row.allocated_minor, row.currency),
            row.booked_on,
            row.id,
        )
        for row in session.execute(statement)
    ]


def _ended(session: Session, today: date) -> list[Part]:
    """Return what takes back the payments that no confirmed match says any more, and the charges accepted of them."""
    is_said = sa.exists().where(
        Match.leg == Leg.REMITTANCE,
        Match.state == "confirmed",
        Match.our_id == RemittanceEntry.remittance_id,
        Match.their_id == RemittanceEntry.bank_line_id,
        Match.allocated_minor == RemittanceEntry.amount_minor,
    )
    in_order = (RemittanceEntry.remittance_id, RemittanceEntry.number)
    payments = session.scalars(sa.select(RemittanceEntry).where(_IS_PAYMENT, _IS_LIVE, ~is_said).order_by(*in_order))
    ended = {(each.remittance_id, each.bank_line_id): each for each in payments}
    charges = sa.select(RemittanceEntry).where(
        RemittanceEntry.kind == PartKind.CHARGE,
        _IS_LIVE,
        RemittanceEntry.remittance_id.in_([remittance_id for remittance_id, _ in ended]),
    )
    charged = [
        each
        for each in session.scalars(charges.order_by(*in_order))
        if (each.remittance_id, each.bank_line_id) in ended
    ]
    return reversals([*ended.values(), *charged], today)


def _numbers(session: Session, ids: Collection[str]) -> dict[str, int]:
    statement = (
        sa.select(RemittanceEntry.remittance_id, sa.func.max(RemittanceEntry.number))
        .where(RemittanceEntry.remittance_id.in_(ids))
        .group_by(RemittanceEntry.remittance_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def _move(session: Session, remittances: Mapping[str, Remittance]) -> None:
    """Give each its state. Its version moves on too: whoever acts on what he saw before shall look again."""
    parts = sums(session, remittances)
    for id_, each in remittances.items():
        found = parts.get(id_, {})
        state = remitting.state_of(
            amount_minor=each.amount_minor,
            paid_minor=found.get(PartKind.PAYMENT, 0),
            other_minor=found.get(PartKind.CHARGE, 0),
            is_written_off=PartKind.WRITE_OFF in found,
        )
        each.state, each.version = RemittanceState(state).value, each.version + 1
    session.flush()
