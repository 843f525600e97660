"""Reads of reconciliations and discrepancies, shaped as they travel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import rows
from core.csv_text import Cell
from core.database import streamed
from core.http.paging import narrowed
from core.http.wire import PageQuery, money_dict
from core.money import Money
from partners.affiliates import masked
from postback.models import Conversion
from reports import advertiser_shown
from reports.match_models import Match
from reports.matching import DiscrepancyState, Leg, difference
from reports.models import BankLine, Discrepancy, NetworkLine, Reconciliation
from reports.reconciliation import in_scope
from reports.report import text_of

EXPORT_HEADER = (
    "kind", "name", "state", "conversion_id", "payout_id", "line_id", "line", "reference", "ours", "ours_currency",
    "theirs", "theirs_currency", "difference", "note", "remittance_id",
)  # fmt: skip


@dataclass(frozen=True)
class RunQuery(PageQuery):
    """Which runs."""

    period: str | None = None
    leg: str | None = None


@dataclass(frozen=True)
class DiscrepancyQuery(PageQuery):
    """Which of a run's discrepancies; without a state those that a later run still found."""

    klass: str | None = None
    state: str | None = None


def reconciliation(session: Session, run_id: str) -> Reconciliation:
    """Return the run, or raise NotFound."""
    return rows.existing(session, Reconciliation, run_id)


def runs(query: RunQuery) -> sa.Select[Reconciliation]:
    """Return the statement for the runs `query` asks for."""
    wanted = ((Reconciliation.period, query.period), (Reconciliation.leg, query.leg))
    return narrowed(sa.select(Reconciliation), wanted)


def shown_run(run: Reconciliation) -> dict[str, Any]:
    """Return `run` as it travels; its counts are those of its own moment."""
    counts = {name: value for name, value in run.counts.items() if name != "discrepancies"}
    return {
        "id": run.id,
        "state": run.state,
        "period": run.period,
        "leg": run.leg,
        "source_id": run.source_id,
        "ruleset_version": run.ruleset_version,
        "repeats_id": run.repeats_id,
        "counts": counts,
        "discrepancies": run.counts.get("discrepancies", {}),
        "input_sha256": run.input_sha256,
        "digest": run.digest,
        "started_by": run.started_by,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "error": run.error,
    }


def discrepancies(run: Reconciliation, query: DiscrepancyQuery) -> sa.Select[Discrepancy]:
    """Return the statement for the discrepancies that `run` looks after, as they stand now."""
    is_wanted = Discrepancy.state != DiscrepancyState.GONE if query.state is None else Discrepancy.state == query.state
    statement = sa.select(Discrepancy).where(in_scope(run), is_wanted)
    return statement if query.klass is None else statement.where(Discrepancy.klass == query.klass)


def shown_discrepancies(session: Session, found: Sequence[Discrepancy]) -> list[dict[str, Any]]:
    """Return `found` as they travel, each with the statement's line it is about."""
    lines = _lines(session, [item.line_id for item in found if item.line_id])
    return [
        {
            "id": item.id,
            "class": item.klass,
            "leg": item.leg,
            "period": item.period,
            "source_id": item.source_id,
            "conversion_id": item.conversion_id,
            "payout_id": item.payout_id,
            "remittance_id": item.remittance_id,
            "line": lines.get(item.line_id or ""),
            "ours": _money(item.ours_minor, item.ours_currency),
            "theirs": _money(item.theirs_minor, item.theirs_currency),
            "difference": _difference(item),
            "state": item.state,
            "resolution": item.resolution,
            "note": item.note,
            "resolved_by": item.resolved_by,
            "resolved_at": item.resolved_at,
            "created_at": item.created_at,
            "version": item.version,
        }
        for item in found
    ]


def export_rows(session: Session, run: Reconciliation) -> Iterator[tuple[Cell, ...]]:
    """Yield every match and every discrepancy that `run` looks after as rows of EXPORT_HEADER."""
    for row in streamed(session, _matches(run)):
        match, line, ours = row
        is_network = run.leg == Leg.NETWORK
        reference = line.transaction_id if is_network else line.end_to_end_id
        # An edge of a group takes a part of either side.
        theirs_minor = match.allocated_minor
        ours_minor = None if ours is None else match.allocated_minor - match.difference_minor
        yield (
            "match", match.matched_by, "matched", match.our_id if is_network else None,
            match.our_id if run.leg == Leg.PAYOUT else None, line.id, line.line_number, reference,
            text_of(ours_minor, match.currency), match.currency, text_of(theirs_minor, line.currency), line.currency,
            text_of(match.difference_minor, match.currency), None,
            match.our_id if run.leg == Leg.REMITTANCE else None,
        )  # fmt: skip
    every = list(session.scalars(discrepancies(run, DiscrepancyQuery()).order_by(Discrepancy.id)))
    for item, shown in zip(every, shown_discrepancies(session, every), strict=True):
        line_facts = shown["line"] or {}
        off = difference(item.ours_minor, item.ours_currency, item.theirs_minor, item.theirs_currency)
        yield (
            "discrepancy", item.klass, item.state, item.conversion_id, item.payout_id, item.line_id,
            line_facts.get("line"), line_facts.get("transaction_id") or line_facts.get("end_to_end_id"),
            text_of(item.ours_minor, item.ours_currency), item.ours_currency,
            text_of(item.theirs_minor, item.theirs_currency), item.theirs_currency,
            text_of(*off) if off else None, item.note, item.remittance_id,
        )  # fmt: skip


def _matches(run: Reconciliation) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement for the run's matches: the match, their line, and our amount less their difference."""
    if run.leg == Leg.NETWORK:
        statement = (
            sa.select(Match, NetworkLine, Conversion.payout_minor)
            .join(NetworkLine, NetworkLine.id == Match.their_id)
            .join(Conversion, Conversion.id == Match.our_id)
            .where(Match.leg == run.leg, Match.state == "confirmed", NetworkLine.period == run.period)
        )
        return (statement.where(NetworkLine.source_id == run.source_id) if run.source_id else statement).order_by(
            Match.id
        )
    of_month = sa.select(Reconciliation.id).where(Reconciliation.leg == run.leg, Reconciliation.period == run.period)
    return (
        sa.select(Match, BankLine, (Match.allocated_minor - Match.difference_minor).label("ours"))
        .join(BankLine, BankLine.id == Match.their_id)
        .where(Match.leg == run.leg, Match.state == "confirmed", Match.reconciliation_id.in_(of_month))
        .order_by(Match.id)
    )


def _lines(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), 1000):
        chunk = ids[start : start + 1000]
        for line in session.scalars(sa.select(NetworkLine).where(NetworkLine.id.in_(chunk))):
            found[line.id] = {
                "id": line.id,
                "statement_id": line.statement_id,
                "line": line.line_number,
                "transaction_id": line.transaction_id,
                "click_id": line.claimed_click_id,
                "money": _money(line.amount_minor, line.currency),
                "status": line.status_word,
                "occurred_on": line.occurred_on.isoformat(),
            }
        found |= advertiser_shown.lines(session, chunk)
        for bank in session.scalars(sa.select(BankLine).where(BankLine.id.in_(chunk))):
            found[bank.id] = {
                "id": bank.id,
                "statement_id": bank.statement_id,
                "line": bank.line_number,
                "account": bank.account,
                "money": _money(bank.amount_minor, bank.currency),
                "booked_on": bank.booked_on.isoformat(),
                "end_to_end_id": bank.end_to_end_id,
                "text": bank.text,
                "counterparty": bank.counterparty,
                "counterparty_iban": masked(bank.counterparty_iban),
            }
    return found


def _difference(item: Discrepancy) -> dict[str, str] | None:
    off = difference(item.ours_minor, item.ours_currency, item.theirs_minor, item.theirs_currency)
    return money_dict(Money(*off)) if off else None


def _money(amount_minor: int | None, currency: str | None) -> dict[str, str] | None:
    return None if amount_minor is None or currency is None else money_dict(Money(amount_minor, currency))
