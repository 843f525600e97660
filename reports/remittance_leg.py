"""What networks owe us against the bank's credits: gathered by set-based SQL, decided by reports/crediting.py."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from core.fingerprints import fingerprint
from core.runtime import Runtime
from ledger import periods
from payouts.models import BatchItem
from reports import aliases, crediting, remittance_entries, remitting
from reports.aliases import MeaningKind
from reports.match_models import Match, MatchAlias, MatchRejection
from reports.matching import Found, Leg, Pass
from reports.models import BankLine
from reports.passes import Counts, Digest
from reports.remittance_findings import Findings
from reports.remittance_models import Remittance, RemittanceEntry
from reports.remitting import Credit, Named, Owed, Paid, PartKind, RemittanceState

# A network that pays twice does so within the year: whatever was paid before is not looked for in every text.
_LOOKED_BACK = timedelta(days=366)
_IS_EDGE = sa.and_(Match.leg == Leg.REMITTANCE, Match.state == "confirmed")


class RemittanceLeg:
    """One month: its remittances, and the credits booked in it.

    Networks pay weeks after the month they pay for, so every run matches all that is open: the month says only what is
    counted and told of. A match that stands is never touched here; what is suggested is suggested anew.
    """

    leg = Leg.REMITTANCE

    def __init__(self, runtime: Runtime, period: str) -> None:
        self.period = period
        self.source_id = None
        self._runtime = runtime
        self._charge_max = Decimal(runtime.bank_charge_max)
        self._today = runtime.clock().date()
        self._first, self._last = periods.bounds(period)
        self._texts: list[tuple[str, str]] = []
        self._named: list[Named] = []
        self._groups: list[list[Paid]] = []
        self._remittances: dict[str, Remittance] = {}

    def pair(self, session: Session) -> None:
        """Decide which free credit pays which open remittance, after the books say what people did since."""
        remittance_entries.bring_in_line(self._runtime, session)
        owed = self._owed(session)
        since = min([self._first, *(periods.bounds(each.period)[0] for each in owed)])
        credits_ = self._free_credits(session, since)
        self._named = self._names(session, since)
        rejected = sa.select(MatchRejection.our_id, MatchRejection.their_id).where(MatchRejection.leg == self.leg)
        self._groups = crediting.allocate(
            owed,
            credits_,
            self._named,
            rejected={(row[0], row[1]) for row in session.execute(rejected)},
            charge_max=self._charge_max,
        )

    def keep(self, session: Session, run_id: str, now: Any) -> None:
        """Keep what was decided as edges; suggestions of earlier runs that are made no more go."""
        earlier = {
            (each.our_id, each.their_id, each.allocated_minor, each.matched_by, each.score): each
            for each in session.scalars(sa.select(Match).where(Match.leg == self.leg, Match.state == "suggested"))
        }
        new = []
        for group in self._groups:
            keys = [
                (each.remittance_id, each.credit_id, each.allocated_minor, each.by.value, each.score) for each in group
            ]
            if all(key in earlier for key in keys):
                for key in keys:
                    del earlier[key]
            else:
                new.append(group)
        for match in earlier.values():
            session.delete(match)
        session.flush()
        session.add_all(edge for group in new for edge in self._edges(group, run_id, now))
        session.flush()

    def settle(self, session: Session) -> None:
        """Post the matches that are not posted yet."""
        remittance_entries.bring_in_line(self._runtime, session)

    def counts(self, session: Session) -> Counts:
        """Count the month's remittances, its credits, and the matches of either; partners count with them."""
        edges = self._edges_of_month().subquery()
        ours = sa.union(
            sa.select(Remittance.id).where(Remittance.period == self.period), sa.select(edges.c.our_id)
        ).subquery()
        booked = sa.select(BankLine.id).where(_is_credit(), BankLine.booked_on.between(self._first, self._last))
        theirs = sa.union(booked, sa.select(edges.c.their_id)).subquery()
        counted = (session.scalar(sa.select(sa.func.count()).select_from(side)) or 0 for side in (ours, theirs, edges))
        return Counts(*counted)

    def found(self, session: Session) -> Iterator[Found]:
        """Yield every difference of the month."""
        findings = Findings(
            self.period, self._today, self._runtime.remittance_grace, self._charge_max, self._edges_of_month()
        )
        yield from findings.of_remittances(session)
        yield from findings.of_credits(session, self._named, _is_credit())

    def inputs(self, session: Session) -> dict[str, str]:
        """Return fingerprints of what a run's result depends on beside people's words: both sides, what is overdue."""
        ours = sa.select(
            Remittance.id, Remittance.source_id, Remittance.period, Remittance.reference, Remittance.amount_minor,
            Remittance.currency, Remittance.due_on, Remittance.state == RemittanceState.WRITTEN_OFF,
        )  # fmt: skip
        theirs = sa.select(
            BankLine.id, BankLine.amount_minor, BankLine.currency, BankLine.booked_on, BankLine.end_to_end_id,
            BankLine.bank_reference, BankLine.line_key,
        ).where(_is_credit())  # fmt: skip
        charged = sa.select(RemittanceEntry.id).where(RemittanceEntry.kind == PartKind.CHARGE)
        overdue = sa.select(Remittance.id).where(
            Remittance.period == self.period, Remittance.due_on < self._today - self._runtime.remittance_grace
        )
        read = {"ours": ours, "theirs": theirs, "charged": charged, "overdue": overdue}
        found = {name: fingerprint(session, statement) for name, statement in read.items()}
        return found | {"limits": f"{self._charge_max} {self._runtime.remittance_grace.days}"}

    def add_result(self, session: Session, digest: Digest) -> None:
        """Add the matches and suggestions to a run's result."""
        edges = sa.select(Match.our_id, Match.their_id, Match.state, Match.matched_by, Match.allocated_minor).where(
            Match.leg == self.leg
        )
        digest.add("edge", streamed(session, edges.order_by(Match.our_id, Match.their_id)))

    def by_pass(self, session: Session) -> dict[str, dict[str, int]]:
        """Count the month's confirmed matches, and all that is suggested, by pass."""
        month = self._edges_of_month().add_columns(Match.matched_by).subquery()
        suggested = sa.select(Match.matched_by).where(Match.leg == self.leg, Match.state == "suggested").subquery()
        return {
            name: dict(
                sorted(
                    (row[0], row[1])
                    for row in session.execute(
                        sa.select(side.c.matched_by, sa.func.count()).group_by(side.c.matched_by)
                    )
                )
            )
            for name, side in (("confirmed", month), ("suggested", suggested))
        }

    def _owed(self, session: Session) -> list[Owed]:
        statement = sa.select(Remittance).where(Remittance.state.in_([RemittanceState.OPEN, RemittanceState.SHORT]))
        self._remittances = {each.id: each for each in session.scalars(statement)}
        parts = remittance_entries.sums(session, self._remittances)
        return [
            Owed(
                each.id,
                each.source_id,
                each.period,
                each.amount_minor - sum(parts.get(each.id, {}).values()),
                each.currency,
                each.due_on,
            )
            for each in self._remittances.values()
        ]

    def _free_credits(self, session: Session, since: date) -> list[Credit]:
        learnt = {
            (row.scope, row.alias): row.meaning
            for row in session.execute(
                sa.select(MatchAlias.scope, MatchAlias.alias, MatchAlias.meaning).where(*_is_learnt())
            )
        }
        statement = sa.select(
            BankLine.id, BankLine.amount_minor, BankLine.currency, BankLine.booked_on, BankLine.account,
            BankLine.counterparty, BankLine.text,
        ).where(_is_free(since))  # fmt: skip
        found = []
        for row in session.execute(statement):
            alias = aliases.of_bank_line(row.counterparty, row.text) if learnt else ""
            source_id = learnt.get((row.account, alias)) or learnt.get(("", alias))
            self._texts.append((row.id, row.text))
            found.append(Credit(row.id, row.amount_minor, row.currency, row.booked_on, source_id))
        return found

    def _names(self, session: Session, since: date) -> list[Named]:
        """Return which free credit carries which remittance's reference; also of those that are paid already lately."""
        lately = periods.period_of(since - _LOOKED_BACK)
        referred = sa.and_(
            Remittance.reference.is_not(None),
            Remittance.state != RemittanceState.WRITTEN_OFF,
            sa.or_(Remittance.state != RemittanceState.SETTLED, Remittance.period >= lately),
        )
        found = []
        for column in (BankLine.end_to_end_id, BankLine.bank_reference):
            same = sa.select(Remittance.id, BankLine.id).join_from(Remittance, BankLine, column == Remittance.reference)
            exact = session.execute(same.where(referred, _is_free(since)))
            found += [Named(row[0], row[1], Pass.EXACT_ID) for row in exact]
        references = session.execute(sa.select(Remittance.id, Remittance.reference).where(referred))
        known = [(row[0], str(row[1])) for row in references]
        found += [Named(our, their, Pass.REFERENCE) for our, their in remitting.names_in(self._texts, known)]
        return sorted(set(found), key=lambda each: (each.by, each.credit_id, each.remittance_id))

    def _edges(self, group: list[Paid], run_id: str, now: Any) -> list[Match]:
        ids = [self._runtime.new_id("mat") for _ in group]
        return [
            Match(
                id=id_,
                group_id=ids[0],
                reconciliation_id=run_id,
                leg=self.leg.value,
                matched_by=each.by.value,
                our_id=each.remittance_id,
                their_id=each.credit_id,
                allocated_minor=each.allocated_minor,
                # What lacks stays owed and is no part of this match; what is too much is.
                difference_minor=max(0, each.allocated_minor - each.left_minor),
                currency=self._remittances[each.remittance_id].currency,
                state="suggested" if each.is_suggested else "confirmed",
                is_whole=len(group) == 1
                and each.left_minor == self._remittances[each.remittance_id].amount_minor <= each.allocated_minor,
                score=each.score,
                created_at=now,
            )
            for id_, each in zip(ids, group, strict=True)
        ]

    def _edges_of_month(self) -> sa.Select[*tuple[Any, ...]]:
        """Return the confirmed matches of the month's remittances and of the credits booked in it."""
        return (
            sa.select(Match.our_id, Match.their_id)
            .join(Remittance, Remittance.id == Match.our_id)
            .join(BankLine, BankLine.id == Match.their_id)
            .where(
                _IS_EDGE,
                sa.or_(Remittance.period == self.period, BankLine.booked_on.between(self._first, self._last)),
            )
        )


def _is_credit() -> sa.ColumnElement[bool]:
    """Return the condition for money that came, but for payments of ours that came back with our own id."""
    came_back = sa.exists().where(BatchItem.end_to_end_id == BankLine.end_to_end_id).correlate(BankLine)
    return sa.and_(BankLine.amount_minor > 0, ~came_back)


def _is_free(since: date) -> sa.ColumnElement[bool]:
    is_matched = sa.exists().where(_IS_EDGE, Match.their_id == BankLine.id).correlate(BankLine)
    return sa.and_(_is_credit(), BankLine.booked_on >= since, ~is_matched)


def _is_learnt() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        MatchAlias.leg == Leg.REMITTANCE,
        MatchAlias.meaning_kind == MeaningKind.SOURCE,
        MatchAlias.state == "active",
    )
