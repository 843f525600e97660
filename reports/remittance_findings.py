"""What a run of the remittance leg tells people: of remittances that do not come to what was owed, of credits alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import among, streamed
from ledger import periods
from reports import remittance_entries, remitting
from reports.match_models import Match
from reports.matching import DiscrepancyClass, Found, Leg
from reports.models import BankLine
from reports.remittance_models import Remittance
from reports.remitting import Named, PartKind, RemittanceState, is_overdue


@dataclass(frozen=True)
class Findings:
    """What there is to tell of a month; `edges` selects its matches, as our_id and their_id."""

    period: str
    today: date
    grace: timedelta
    charge_max: Decimal
    edges: sa.Select[*tuple[Any, ...]]

    def of_remittances(self, session: Session) -> Iterator[Found]:
        """Yield what came short or too large, what came late, and what has not come though it is overdue.

        What a person has accepted as a bank's charge, or written off, is not told again.
        """
        lines: defaultdict[str, list[tuple[date, str]]] = defaultdict(list)
        edges = self.edges.add_columns(BankLine.booked_on).order_by(BankLine.booked_on, BankLine.id)
        for row in session.execute(edges):
            lines[row.our_id].append((row.booked_on, row.their_id))
        is_told = sa.or_(Remittance.period == self.period, among(session, Remittance.id, lines))
        remittances = session.scalars(sa.select(Remittance).where(is_told).order_by(Remittance.id)).all()
        parts = remittance_entries.sums(session, [each.id for each in remittances])
        for each in remittances:
            yield from self._of_remittance(each, parts.get(each.id, {}), lines.get(each.id, []))

    def of_credits(
        self, session: Session, named: Iterable[Named], is_credit: sa.ColumnElement[bool]
    ) -> Iterator[Found]:
        """Yield the credits that no match has taken: in another currency, for what is paid already, or for nothing."""
        first, last = periods.bounds(self.period)
        is_matched = (
            sa.exists()
            .where(Match.leg == Leg.REMITTANCE, Match.state == "confirmed", Match.their_id == BankLine.id)
            .correlate(BankLine)
        )
        names: defaultdict[str, list[str]] = defaultdict(list)
        for each in named:
            names[each.credit_id].append(each.remittance_id)
        ids = {remittance_id for all_ in names.values() for remittance_id in all_}
        remittances = {
            each.id: each for each in session.scalars(sa.select(Remittance).where(among(session, Remittance.id, ids)))
        }
        statement = sa.select(BankLine.id, BankLine.amount_minor, BankLine.currency, BankLine.booked_on).where(
            is_credit, ~is_matched, sa.or_(BankLine.booked_on.between(first, last), among(session, BankLine.id, names))
        )
        for row in streamed(session, statement.order_by(BankLine.id)):
            about = [remittances[id_] for id_ in sorted(set(names.get(row.id, ())))]
            is_months = first <= row.booked_on <= last or any(each.period == self.period for each in about)
            if is_months:
                yield _of_credit(row, about)

    def _of_remittance(
        self, remittance: Remittance, parts: dict[PartKind, int], lines: list[tuple[date, str]]
    ) -> Iterator[Found]:
        paid_minor = parts.get(PartKind.PAYMENT, 0)
        if not lines:
            is_open = remittance.state == RemittanceState.OPEN and remittance.period == self.period
            if is_open and is_overdue(self.today, remittance.due_on, self.grace):
                yield _found(DiscrepancyClass.STALE_PENDING, remittance, None, None)
            return
        last_on, last_line = lines[-1]
        accepted = sum(minor for kind, minor in parts.items() if kind is not PartKind.PAYMENT)
        klass = remitting.class_of_payment(
            expected_minor=remittance.amount_minor,
            paid_minor=paid_minor + accepted,
            currency=remittance.currency,
            charge_max=self.charge_max,
        )
        if klass is not None:
            yield _found(klass, remittance, last_line, paid_minor)
        if is_overdue(last_on, remittance.due_on, self.grace):
            yield _found(DiscrepancyClass.LATE, remittance, last_line, paid_minor)


def _of_credit(row: Any, about: list[Remittance]) -> Found:
    waiting = [each for each in about if each.state in {RemittanceState.OPEN, RemittanceState.SHORT}]
    if waiting and all(each.currency != row.currency for each in waiting):
        klass, remittance = DiscrepancyClass.CURRENCY_MISMATCH, waiting[0]
    elif about and not waiting:
        klass, remittance = DiscrepancyClass.DUPLICATE_AT_NETWORK, about[0]
    else:
        return Found(
            Leg.REMITTANCE,
            DiscrepancyClass.UNMATCHED_CREDIT,
            line_id=row.id,
            theirs_minor=row.amount_minor,
            theirs_currency=row.currency,
        )
    is_owed = klass is DiscrepancyClass.CURRENCY_MISMATCH
    return Found(
        Leg.REMITTANCE,
        klass,
        remittance.source_id,
        remittance_id=remittance.id,
        line_id=row.id,
        ours_minor=remittance.amount_minor if is_owed else None,
        ours_currency=remittance.currency if is_owed else None,
        theirs_minor=row.amount_minor,
        theirs_currency=row.currency,
    )


def _found(klass: DiscrepancyClass, remittance: Remittance, line_id: str | None, paid_minor: int | None) -> Found:
    return Found(
        Leg.REMITTANCE,
        klass,
        remittance.source_id,
        remittance_id=remittance.id,
        line_id=line_id,
        ours_minor=remittance.amount_minor,
        ours_currency=remittance.currency,
        theirs_minor=paid_minor,
        theirs_currency=None if paid_minor is None else remittance.currency,
    )
