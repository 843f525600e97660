"""What reconciliation left: every discrepancy, and how much of what came in each pass has matched."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from ledger import periods
from partners.affiliates import masked
from partners.models import Source
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, count, equal, moment, ordered, text
from reports.exports.tables import Column, Kind, Row
from reports.match_models import Match
from reports.matching import DiscrepancyState, Leg, difference
from reports.models import BankLine, Discrepancy, NetworkLine

UNMATCHED = "unmatched"
_WHOLE = 10_000  # a hundred percent, in hundredths of one


def _exceptions(session: Session, filters: Filters) -> Iterator[Row]:
    amounts = (
        Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor, Discrepancy.theirs_currency,
    )  # fmt: skip
    is_wanted = Discrepancy.state != DiscrepancyState.GONE if filters.state is None else sa.true()
    statement = (
        sa.select(
            Discrepancy.id, Discrepancy.period, Discrepancy.leg, Discrepancy.klass, Discrepancy.state,
            Discrepancy.source_id, Source.name, Discrepancy.conversion_id, Discrepancy.payout_id, Discrepancy.line_id,
            *amounts,
            Discrepancy.resolution, Discrepancy.note, Discrepancy.resolved_by, Discrepancy.resolved_at,
            Discrepancy.created_at,
        )
        .outerjoin(Source, Source.id == Discrepancy.source_id)
        .where(
            is_wanted,
            *equal(
                (Discrepancy.period, filters.period),
                (Discrepancy.leg, filters.leg),
                (Discrepancy.state, filters.state),
                (Discrepancy.source_id, filters.source_id),
            ),
        )
        .order_by(Discrepancy.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        about, sides, said = row[:10], row[10:14], row[14:]
        ours_minor, ours_currency, theirs_minor, theirs_currency = sides
        off = difference(ours_minor, ours_currency, theirs_minor, theirs_currency) or (None, None)
        yield (*about, *sides, *off, *said)


def _match_rate(session: Session, filters: Filters) -> Iterator[Row]:
    counted: defaultdict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    matched = (
        sa.select(Match.leg, Match.their_id, sa.func.min(Match.matched_by).label("matched_by"))
        .where(Match.state == "confirmed")
        .group_by(Match.leg, Match.their_id)
        .subquery()
    )
    for *key, matched_by, number in _lines_of_networks(session, filters, matched):
        counted[tuple(key)][matched_by or UNMATCHED] = number
    if filters.source_id is None:
        for year, month, account, matched_by, number in _lines_of_banks(session, filters, matched):
            key = [f"{int(year):04}-{int(month):02}", "bank", None, masked(account)]
            counted[tuple(key)][matched_by or UNMATCHED] = number
    found: list[Row] = []
    for at, passes in counted.items():
        whole = sum(passes.values())
        found += [
            (*at, name, number, whole, (number * _WHOLE + whole // 2) // whole) for name, number in passes.items()
        ]
    yield from ordered(found)


def _lines_of_networks(session: Session, filters: Filters, matched: sa.Subquery) -> Iterator[Any]:
    is_its = sa.and_(matched.c.leg == Leg.NETWORK, matched.c.their_id == NetworkLine.id)
    key: list[Any] = [NetworkLine.period, sa.literal("network").label("side"), NetworkLine.source_id, Source.name]
    statement = (
        sa.select(*key, matched.c.matched_by, sa.func.count())
        .join(Source, Source.id == NetworkLine.source_id)
        .outerjoin(matched, is_its)
        .where(*equal((NetworkLine.period, filters.period), (NetworkLine.source_id, filters.source_id)))
        .group_by(NetworkLine.period, NetworkLine.source_id, Source.name, matched.c.matched_by)
    )
    yield from session.execute(statement)


def _lines_of_banks(session: Session, filters: Filters, matched: sa.Subquery) -> Iterator[Any]:
    is_its = sa.and_(matched.c.leg != Leg.NETWORK, matched.c.their_id == BankLine.id)
    year, month = sa.extract("year", BankLine.booked_on), sa.extract("month", BankLine.booked_on)
    within = [] if filters.period is None else [BankLine.booked_on.between(*periods.bounds(filters.period))]
    statement = (
        sa.select(year, month, BankLine.account, matched.c.matched_by, sa.func.count())
        .outerjoin(matched, is_its)
        .where(*within)
        .group_by(year, month, BankLine.account, matched.c.matched_by)
    )
    yield from session.execute(statement)


REPORTS = (
    Report(
        "exceptions",
        "Exceptions",
        "Every discrepancy and what was said about it, those no longer found left out unless their state is asked for."
        " The difference is theirs minus ours, and there is none between two currencies.",
        (
            text("id", "Discrepancy"), text("period", "Month"), text("leg", "Leg"), text("class", "Class"),
            text("state", "State"), text("source_id", "Source id"), text("source", "Network"),
            text("conversion_id", "Conversion"), text("payout_id", "Payout"), text("line_id", "Line"),
            amount("ours", "Ours", "ours_currency"), text("ours_currency", "Ours in"),
            amount("theirs", "Theirs", "theirs_currency"), text("theirs_currency", "Theirs in"),
            amount("difference", "Difference", "difference_currency"), text("difference_currency", "Difference in"),
            text("resolution", "Resolution"), text("note", "Note"), text("resolved_by", "Resolved by"),
            moment("resolved_at", "Resolved at"), moment("created_at", "Found at"),
        ),
        _exceptions,
        takes=("period", "leg", "state", "source_id"),
    ),
    Report(
        "match-rate",
        "Match rate by pass",
        "Of the lines of each network's report and of each bank account in a month, how many each pass has matched.",
        (
            text("period", "Month"), text("side", "Side"), text("source_id", "Source id"),
            text("party", "Network or account"), text("pass", "Pass"), count("matched", "Lines"),
            Column("of", "Of", Kind.COUNT, is_totalled=False), Column("rate", "Percent", Kind.PERCENT),
        ),
        _match_rate,
        takes=("period", "source_id"),
    ),
)  # fmt: skip
