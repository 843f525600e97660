"""The check list of a month: what must hold before it closes, and what is missing where it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.money import Money
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from ledger.posting import CLEARING
from partners.models import Source
from payouts.models import Batch, BatchItem, Payout
from postback.models import Conversion, ConversionEvent
from reports.continuity import Span, gaps
from reports.matching import UNFINISHED, Leg
from reports.models import BankLine, Discrepancy, NetworkLine, Reconciliation, Statement
from reports.network_leg import NOT_OURS
from reports.remittance_models import Remittance


@dataclass(frozen=True)
class Check:
    """One condition; green when nothing is missing."""

    id: str
    sentence: str
    missing: list[str]

    @property
    def is_green(self) -> bool:
        """Say whether it holds."""
        return not self.missing


@dataclass(frozen=True)
class _Came:
    """What came of one source's conversions of the month."""

    is_ours: bool  # any of them is compared with a network's report
    recorded_at: datetime  # the last of them
    waiting: int  # to be accrued


@dataclass(frozen=True)
class _Month:
    """A month, and its conversions by source: several checks ask for them, and a million are read once."""

    period: str
    came: Mapping[str, _Came]

    @property
    def ours(self) -> list[str]:
        """The sources that have conversions to compare."""
        return [source_id for source_id, each in self.came.items() if each.is_ours]


def of_month(session: Session, period: str) -> list[Check]:
    """Return every check of `period`, in the order a person works through them."""
    periods.bounds(period)
    month = _Month(period, _came(session, period))
    return [Check(id_, sentence, missing(session, month)) for id_, sentence, missing in _CHECKS]


def _came(session: Session, period: str) -> dict[str, _Came]:
    start, end = periods.moments(period)
    is_ours = Conversion.state.not_in(NOT_OURS)
    is_due = sa.or_(Conversion.state == "recorded", Conversion.is_accrual_due)
    waits = sa.and_(is_due, Conversion.hold_reason.is_(None))
    statement = (
        sa.select(
            Conversion.source_id,
            sa.func.max(sa.case((is_ours, 1), else_=0)),
            sa.func.max(Conversion.recorded_at),
            sa.func.sum(sa.case((waits, 1), else_=0)),
        )
        .where(Conversion.occurred_at >= start, Conversion.occurred_at < end)
        .group_by(Conversion.source_id)
    )
    return {row[0]: _Came(bool(row[1]), row[2], int(row[3])) for row in session.execute(statement)}


def _reports_missing(session: Session, month: _Month) -> list[str]:
    period = month.period
    reported = sa.exists().where(
        Statement.kind == "network", Statement.source_id == Source.id, Statement.period == period
    )
    statement = (
        sa.select(Source.name)
        .where(Source.state != "removed", Source.id.in_(month.ours), ~reported)
        .order_by(Source.id)
    )
    return [f"{name} has conversions and no network report" for name in session.scalars(statement)]


def _runs_missing(session: Session, month: _Month) -> list[str]:
    period = month.period
    reporting = sa.select(NetworkLine.source_id).where(NetworkLine.period == period)
    sources = session.execute(
        sa.select(Source.id, Source.name)
        .where(sa.or_(Source.id.in_(month.ours), Source.id.in_(reporting)))
        .order_by(Source.id)
    ).all()
    ran, for_all = _last_runs(session, period)
    changed = _last_changes(session, month)
    found = []
    for id_, name in sources:
        last = max((at for at in (ran.get(id_), for_all) if at is not None), default=None)
        if last is None:
            found.append(f"{name} is not reconciled")
        elif id_ in changed and last < changed[id_]:
            found.append(f"{name} was reconciled before its last line or conversion came in")
    return found


def _last_runs(session: Session, period: str) -> tuple[dict[str, datetime], datetime | None]:
    # When a run was asked for, not when it ended: what came in while it ran, it may not have seen.
    statement = (
        sa.select(Reconciliation.source_id, sa.func.max(Reconciliation.created_at))
        .where(Reconciliation.period == period, Reconciliation.leg == Leg.NETWORK, Reconciliation.state == "finished")
        .group_by(Reconciliation.source_id)
    )
    found = {row[0]: row[1] for row in session.execute(statement)}
    for_all = found.pop(None, None)
    return {str(id_): at for id_, at in found.items()}, for_all


# What can happen to a conversion that a comparison would see.
_CHANGES = ("rejected", "adjusted", "upsold", "refunded", "charged_back")


def _last_changes(session: Session, month: _Month) -> dict[str, datetime]:
    """Return, per source, when the last thing came in that a run of the month compares."""
    start, end = periods.moments(month.period)
    changed = (
        sa.select(Conversion.source_id, sa.func.max(ConversionEvent.at))
        .join(ConversionEvent, ConversionEvent.conversion_id == Conversion.id)
        .where(
            Conversion.occurred_at >= start,
            Conversion.occurred_at < end,
            Conversion.version > 1,  # whatever happens to one moves it on: of most nothing needs to be read
            ConversionEvent.kind.in_(_CHANGES),
        )
        .group_by(Conversion.source_id)
    )
    imported = (
        sa.select(Statement.source_id, sa.func.max(Statement.imported_at))
        .where(Statement.kind == "network", Statement.period == month.period, Statement.new > 0)
        .group_by(Statement.source_id)
    )
    last = {source_id: each.recorded_at for source_id, each in month.came.items()}
    for source_id, at in [*session.execute(changed), *session.execute(imported)]:
        last[source_id] = max(at, last.get(source_id, at))
    return last


def _bank_gaps(session: Session, month: _Month) -> list[str]:
    period = month.period
    first, last = periods.bounds(period)
    statements = session.scalars(sa.select(Statement).where(Statement.kind == "bank"))
    spans = [
        Span(
            str(each.account), str(each.currency), str(each.reference),
            each.opened_on, each.opening_minor, each.closed_on, each.closing_minor,
        )
        for each in statements
        if each.opened_on is not None and each.closed_on is not None
        and each.opening_minor is not None and each.closing_minor is not None
    ]  # fmt: skip
    return [
        f"statement {span.reference} of {span.account} opens on {span.opened_on} with"
        f" {Money(span.opening_minor, span.currency)}, which no statement before it closes with"
        for span in gaps(spans)
        if span.opened_on <= last and span.closed_on >= first
    ]


def _payout_run_missing(session: Session, month: _Month) -> list[str]:
    """Like the networks' runs; a month without a payment and without a bank line needs none."""
    period = month.period
    start, end = periods.moments(period)
    first, last = periods.bounds(period)
    sent_at = session.scalar(
        sa.select(sa.func.max(Batch.released_at))
        .join(BatchItem, BatchItem.batch_id == Batch.id)
        .join(Payout, Payout.id == BatchItem.payout_id)
        .where(sa.or_(Payout.period == period, sa.and_(Batch.released_at >= start, Batch.released_at < end)))
    )
    booked = sa.select(BankLine.statement_id).where(BankLine.booked_on.between(first, last))
    is_the_months: sa.ColumnElement[bool] = Statement.id.in_(booked)
    # A payment of this month may stand on any statement that has come in since it was sent.
    if sent_at is not None:
        is_the_months = sa.or_(is_the_months, sa.and_(Statement.kind == "bank", Statement.closed_on >= sent_at.date()))
    imported_at = session.scalar(sa.select(sa.func.max(Statement.imported_at)).where(is_the_months, Statement.new > 0))
    changed_at = max((at for at in (sent_at, imported_at) if at is not None), default=None)
    if changed_at is None:
        return []
    ran_at = session.scalar(
        sa.select(sa.func.max(Reconciliation.created_at)).where(
            Reconciliation.period == period, Reconciliation.leg == Leg.PAYOUT, Reconciliation.state == "finished"
        )
    )
    if ran_at is None:
        return ["the payments of the month are not reconciled with the bank"]
    return ["the payments were reconciled before the last batch or bank statement"] if ran_at < changed_at else []


def _remittance_run_missing(session: Session, month: _Month) -> list[str]:
    """Like the payments; a month for which no network has announced or owes anything needs no run."""
    period = month.period
    first, last = periods.bounds(period)
    changed_at = session.scalar(sa.select(sa.func.max(Remittance.changed_at)).where(Remittance.period == period))
    if changed_at is None:
        return []
    booked = sa.select(BankLine.statement_id).where(BankLine.booked_on.between(first, last), BankLine.amount_minor > 0)
    imported_at = session.scalar(
        sa.select(sa.func.max(Statement.imported_at)).where(Statement.id.in_(booked), Statement.new > 0)
    )
    ran_at = session.scalar(
        sa.select(sa.func.max(Reconciliation.created_at)).where(
            Reconciliation.period == period, Reconciliation.leg == Leg.REMITTANCE, Reconciliation.state == "finished"
        )
    )
    if ran_at is None:
        return ["what networks owe for the month is not reconciled with the bank"]
    is_old = ran_at < max(at for at in (changed_at, imported_at) if at is not None)
    return ["remittances were reconciled before the last one, or bank statement, came in"] if is_old else []


def _open_discrepancies(session: Session, month: _Month) -> list[str]:
    period = month.period
    statement = (
        sa.select(Discrepancy.klass, Discrepancy.state, sa.func.count())
        .where(Discrepancy.period == period, Discrepancy.state.in_(UNFINISHED))
        .group_by(Discrepancy.klass, Discrepancy.state)
    )
    found = sorted(map(tuple, session.execute(statement)))
    return [f"{number} x {klass} {state}" for klass, state, number in found]


def _unaccrued(_session: Session, month: _Month) -> list[str]:
    number = sum(each.waiting for each in month.came.values())
    return [f"{number} conversions wait to be accrued"] if number else []


def _imbalances(session: Session, month: _Month) -> list[str]:
    period = month.period
    total = sa.cast(sa.func.sum(JournalLine.amount_minor), sa.BigInteger)
    statement = (
        sa.select(JournalLine.entry_id, JournalLine.currency, total)
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalEntry.period == period)
        .group_by(JournalLine.entry_id, JournalLine.currency)
        .having(sa.func.sum(JournalLine.amount_minor) != 0)
        .order_by(JournalLine.entry_id)
    )
    return [f"entry {row[0]} is off by {Money(row[2], row[1])}" for row in session.execute(statement)]


def _clearing_unexplained(session: Session, _month: _Month) -> list[str]:
    # As of now, not of the month's end: both sides then speak of the same moment, whatever month each was posted in.
    balances = session.execute(
        sa.select(JournalLine.currency, sa.cast(sa.func.sum(JournalLine.amount_minor), sa.BigInteger))
        .where(JournalLine.account == CLEARING)
        .group_by(JournalLine.currency)
    )
    in_flight = session.execute(
        sa.select(Payout.currency, sa.cast(sa.func.sum(BatchItem.amount_minor), sa.BigInteger))
        .join(Payout, Payout.id == BatchItem.payout_id)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .where(Batch.released_at.is_not(None), BatchItem.state == "live")
        .group_by(Payout.currency)
    )
    # Money on its way stands on the account as a credit.
    posted = {row[0]: -row[1] for row in balances}
    sent = {row[0]: row[1] for row in in_flight}
    return [
        f"clearing holds {Money(posted.get(currency, 0), currency)},"
        f" payments on their way make {Money(sent.get(currency, 0), currency)}"
        for currency in sorted(posted.keys() | sent.keys())
        if posted.get(currency, 0) != sent.get(currency, 0)
    ]


def _waiting_payouts(session: Session, month: _Month) -> list[str]:
    period = month.period
    statement = sa.select(Payout.id).where(Payout.period == period, Payout.state == "pending").order_by(Payout.id)
    return [f"{id_} waits for approval" for id_ in session.scalars(statement)]


_CHECKS: tuple[tuple[str, str, Callable[[Session, _Month], list[str]]], ...] = (
    ("network_reports", "Every source with conversions has sent its report", _reports_missing),
    ("networks_reconciled", "Every source is reconciled after its last line and conversion", _runs_missing),
    ("bank_statements", "Bank statements add up and follow on", _bank_gaps),
    ("payouts_reconciled", "Payments are reconciled with the bank", _payout_run_missing),
    ("remittances_reconciled", "Remittances are reconciled with the bank", _remittance_run_missing),
    ("discrepancies", "No discrepancy is open, and no resolution is under way", _open_discrepancies),
    ("accrued", "Every conversion that can be accrued is accrued", _unaccrued),
    ("journal", "The journal balances", _imbalances),
    ("clearing", "Clearing is explained by payments on their way", _clearing_unexplained),
    ("approvals", "No payout waits for approval", _waiting_payouts),
)
