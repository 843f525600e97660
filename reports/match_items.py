"""Both sides' items as people's acts need them: amount, month, whose they are, and what matches have taken of them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import among
from ledger import periods
from payouts.models import Batch, BatchItem, Payout
from payouts.states import ItemState
from postback.models import Conversion
from reports import aliases, remittance_entries
from reports.allocating import Edge, Item
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine, NetworkLine
from reports.network_leg import NOT_OURS
from reports.payout_leg import SENT
from reports.remittance_models import Remittance
from reports.remitting import PartKind, RemittanceState


@dataclass(frozen=True)
class Subject:
    """One item with what is known of it: amounts in minor units, money paid out positive on both sides.

    `month` is where it belongs. `refused` says why it takes part in no match. `text` is what an alias is learnt of,
    `scope` where that alias holds, `means` what it would stand for. `facts` are for people.
    """

    item: Item
    month: str
    source_id: str | None = None
    refused: str | None = None
    text: str | None = None
    scope: str = ""
    means: str | None = None
    paid_by: str | None = None  # the bank line that settled a payout
    facts: Mapping[str, Any] = field(default_factory=dict)


Loader = Callable[[Session, Collection[str]], Iterable[Subject]]


def ours(session: Session, leg: Leg, ids: Collection[str]) -> dict[str, Subject]:
    """Return those of our items `ids` that there are, by id, with what confirmed matches have taken of them."""
    part = Match.allocated_minor - Match.difference_minor
    taken = _taken(session, sa.select(Match.our_id, *_summed(part)).where(*_confirmed(session, leg, Match.our_id, ids)))
    return _with_taken(_OURS[leg](session, ids), taken)


def theirs(session: Session, leg: Leg, ids: Collection[str]) -> dict[str, Subject]:
    """Return those of their items `ids` that there are, by id, with what confirmed matches have taken of them."""
    sums = _summed(Match.allocated_minor)
    taken = _taken(session, sa.select(Match.their_id, *sums).where(*_confirmed(session, leg, Match.their_id, ids)))
    return _with_taken(_THEIRS[leg](session, ids), taken)


def edge_of(match: Match) -> Edge:
    """Return the edge that the row is."""
    return Edge(match.our_id, match.their_id, match.allocated_minor, match.difference_minor, match.is_whole)


def _conversions(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    for each in session.scalars(sa.select(Conversion).where(among(session, Conversion.id, ids))):
        yield Subject(
            Item(each.id, each.payout_minor, each.currency),
            periods.period_of(each.occurred_at.date()),
            each.source_id,
            f"is {each.state}: it counts for nothing" if each.state in NOT_OURS else None,
            means=each.transaction_id,
            facts={"transaction_id": each.transaction_id, "event": each.event, "state": each.state},
        )


def _network_lines(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    for each in session.scalars(sa.select(NetworkLine).where(among(session, NetworkLine.id, ids))):
        yield Subject(
            Item(each.id, each.amount_minor, each.currency),
            each.period,
            each.source_id,
            text=each.transaction_id,
            scope=each.source_id,
            facts={
                "transaction_id": each.transaction_id,
                "status": each.status_word,
                "occurred_on": each.occurred_on.isoformat(),
                "line": each.line_number,
                "statement_id": each.statement_id,
            },
        )


def _payouts(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    statement = (
        sa.select(Payout, BatchItem)
        .join(BatchItem, BatchItem.payout_id == Payout.id)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .where(among(session, Payout.id, ids), Batch.released_at.is_not(None), BatchItem.state.in_(SENT))
        # Of one that was sent again the last payment counts, which is the one that did not come back.
        .order_by(sa.case((BatchItem.state == ItemState.RETURNED, 0), else_=1), BatchItem.batch_id)
        .execution_options(populate_existing=True)
    )
    for payout, item in session.execute(statement):
        yield Subject(
            Item(payout.id, item.amount_minor, payout.currency),
            payout.period,
            means=payout.affiliate_id,
            paid_by=item.bank_line_id,
            facts={
                "affiliate_id": payout.affiliate_id,
                "state": payout.state,
                "batch_id": item.batch_id,
                "end_to_end_id": item.end_to_end_id,
            },
        )


def _remittances(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    parts = remittance_entries.sums(session, ids)
    for each in session.scalars(sa.select(Remittance).where(among(session, Remittance.id, ids))):
        # What was accepted not to come, nobody has to match any more.
        accepted = sum(minor for kind, minor in parts.get(each.id, {}).items() if kind is not PartKind.PAYMENT)
        yield Subject(
            Item(each.id, each.amount_minor - accepted, each.currency),
            each.period,
            each.source_id,
            "is written off: open it again first" if each.state == RemittanceState.WRITTEN_OFF else None,
            means=each.source_id,
            facts={
                "reference": each.reference,
                "state": each.state,
                "due_on": each.due_on.isoformat() if each.due_on else None,
            },
        )


def _debits(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    for each in session.scalars(sa.select(BankLine).where(among(session, BankLine.id, ids))):
        refused = "is money that came in: no payout is paid by it" if each.amount_minor >= 0 else None
        yield _booked(each, -each.amount_minor, refused)


def _credits(session: Session, ids: Collection[str]) -> Iterable[Subject]:
    for each in session.scalars(sa.select(BankLine).where(among(session, BankLine.id, ids))):
        refused = "is money that went out: no network paid by it" if each.amount_minor <= 0 else None
        yield _booked(each, each.amount_minor, refused)


def _booked(line: BankLine, amount_minor: int, refused: str | None) -> Subject:
    return Subject(
        Item(line.id, amount_minor, line.currency),
        periods.period_of(line.booked_on),
        refused=refused,
        text=aliases.of_bank_line(line.counterparty, line.text),
        scope=line.account,
        facts={
            "account": line.account,
            "booked_on": line.booked_on.isoformat(),
            "end_to_end_id": line.end_to_end_id,
            "text": line.text,
            "counterparty": line.counterparty,
            "line": line.line_number,
            "statement_id": line.statement_id,
        },
    )


_OURS: Mapping[Leg, Loader] = {Leg.NETWORK: _conversions, Leg.REMITTANCE: _remittances, Leg.PAYOUT: _payouts}
_THEIRS: Mapping[Leg, Loader] = {Leg.NETWORK: _network_lines, Leg.REMITTANCE: _credits, Leg.PAYOUT: _debits}


def _confirmed(session: Session, leg: Leg, column: Any, ids: Collection[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return (Match.leg == leg, Match.state == "confirmed", among(session, column, ids))


def _summed(part: Any) -> tuple[Any, ...]:
    # A sum of PostgreSQL's large integers is a decimal.
    return (sa.cast(sa.func.sum(part), sa.BigInteger), sa.func.count())


def _taken(session: Session, statement: sa.Select[*tuple[Any, ...]]) -> dict[str, tuple[int, int]]:
    found = session.execute(statement.group_by(statement.selected_columns[0]))
    return {row[0]: (row[1], row[2]) for row in found}


def _with_taken(found: Iterable[Subject], taken: Mapping[str, tuple[int, int]]) -> dict[str, Subject]:
    subjects = {}
    for each in found:
        minor, edges = taken.get(each.item.id, (0, 0))
        subjects[each.item.id] = replace(each, item=replace(each.item, taken_minor=minor, edges=edges))
    return subjects
