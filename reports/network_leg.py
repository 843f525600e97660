"""Our conversions against a network's report: one id, one currency, one to one; what is left over is classified."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import day_number, streamed
from core.fingerprints import fingerprint
from ledger import periods
from postback.models import Conversion
from reports import network_findings
from reports.classifying import TAKEN_BACK
from reports.engine import matched
from reports.keeping import keep_matches
from reports.match_models import Match
from reports.matching import (
    DiscrepancyClass,
    Found,
    Leg,
    Limits,
    Pass,
    class_of_conversion,
    class_of_line,
    class_of_pair,
)
from reports.models import NetworkLine
from reports.network_findings import Words
from reports.passes import PAIRS, Counts, Items, add_pairs, is_open, is_paired, is_rejected, items

# The states of a conversion that we say did not happen, or not to be paid for.
NOT_OURS = ("rejected", "reversed", "test")


_LIMITS = Limits()


class NetworkLeg:
    """One month of one source, or of every source.

    Ours are the conversions that occurred in the month (UTC) and are not rejected, with the payout the postback told;
    theirs are the lines of the month's reports. Where the postback told no payout there is nothing to compare: such a
    pair matches without a difference.
    """

    leg = Leg.NETWORK

    def __init__(self, period: str, source_id: str | None, *, limits: Limits = _LIMITS, today: date = date.min) -> None:
        self.period = period
        self._limits, self._today = limits, today
        self.source_id = source_id
        start, end = periods.moments(period)
        self._is_in_month = sa.and_(Conversion.occurred_at >= start, Conversion.occurred_at < end)
        kept: sa.ColumnElement[bool] = Conversion.state.not_in(NOT_OURS)
        if source_id is not None:
            kept = sa.and_(kept, Conversion.source_id == source_id)
        self._is_refused: sa.ColumnElement[bool] = Conversion.state.in_(NOT_OURS)
        self._is_ours = sa.and_(kept, self._is_in_month)
        self._is_elsewhere = sa.and_(kept, ~self._is_in_month)
        self._is_theirs: sa.ColumnElement[bool] = NetworkLine.period == period
        if source_id is not None:
            self._is_theirs = sa.and_(self._is_theirs, NetworkLine.source_id == source_id)

    def ours(self, session: Session) -> Items:
        """Return the statement for our conversions."""
        columns = {
            "id": Conversion.id,
            "scope": Conversion.source_id,
            "amount_minor": Conversion.payout_minor,
            "currency": Conversion.currency,
            "day": day_number(session, Conversion.occurred_at),
            "reference": Conversion.transaction_id,
            "click_id": Conversion.claimed_click_id,
            "event": sa.func.lower(Conversion.event),
            "status": sa.func.lower(Conversion.status_word),
            "group_key": Conversion.transaction_id,
            "means": Conversion.transaction_id,
        }
        return items(columns).where(self._is_ours)

    def theirs(self, session: Session) -> Items:
        """Return the statement for the lines of the month's reports."""
        columns = {
            "id": NetworkLine.id,
            "scope": NetworkLine.source_id,
            "amount_minor": NetworkLine.amount_minor,
            "currency": NetworkLine.currency,
            "day": day_number(session, NetworkLine.occurred_on),
            "reference": NetworkLine.transaction_id,
            "click_id": NetworkLine.claimed_click_id,
            "status": sa.func.lower(NetworkLine.status_word),
            "group_key": NetworkLine.group_key,
            "alias_scope": NetworkLine.source_id,
        }
        return items(columns).where(self._is_theirs)

    def passes(self) -> Mapping[Pass, Callable[[Session], None]]:
        """Return nothing: the common ways do."""
        return {}

    def pair_at_once(self, session: Session) -> None:
        """Pair what has an id that stands once on either side: nearly everything, by two sums and one join."""
        key = ("source_id", "transaction_id")
        ours = _single(Conversion.__table__, key, "payout_minor", self._is_ours, is_paired(Conversion.id, ours=True))
        theirs = _single(
            NetworkLine.__table__, key, "amount_minor", self._is_theirs, is_paired(NetworkLine.id, ours=False)
        )
        is_match = ours.c.currency == theirs.c.currency
        add_pairs(
            session,
            sa.select(
                ours.c.id, theirs.c.id, sa.case((is_match, sa.literal(Pass.EXACT_ID.value, sa.String(20)))),
                ours.c.amount_minor, ours.c.currency, theirs.c.amount_minor, theirs.c.currency,
            )
            .join_from(ours, theirs, sa.and_(*(ours.c[name] == theirs.c[name] for name in key)))
            .where(~is_rejected(self.leg, ours.c.id, theirs.c.id)),
        )  # fmt: skip

    def keep(self, session: Session, run_id: str, now: Any) -> None:
        """Make the matches of this month's lines the pairs that were found."""
        lines = sa.select(NetworkLine.id).where(self._is_theirs)
        keep_matches(session, self.leg, run_id, scope=Match.their_id.in_(lines), now=now)

    def counts(self, session: Session) -> Counts:
        """Count both sides and the matches."""
        ours = session.scalar(sa.select(sa.func.count(Conversion.id)).where(self._is_ours))
        theirs = session.scalar(sa.select(sa.func.count(NetworkLine.id)).where(self._is_theirs))
        return Counts(ours or 0, theirs or 0, matched(session))

    def found(self, session: Session) -> Iterator[Found]:
        """Yield every difference of the month."""
        words = network_findings.words(session, self._is_theirs)
        yield from self._differing_pairs(session, words)
        yield from network_findings.of_pairs(session, words, limits=self._limits, today=self._today)
        yield from self._lonely_lines(session, words)
        yield from self._lonely_conversions(session)

    def inputs(self, session: Session) -> dict[str, str]:
        """Return fingerprints of all that a run's result depends on, by name."""
        ours = [
            Conversion.id, Conversion.source_id, Conversion.transaction_id, Conversion.claimed_click_id,
            Conversion.event, Conversion.status_word, Conversion.payout_minor, Conversion.currency,
            Conversion.occurred_at, Conversion.state, Conversion.hold_reason, Conversion.affiliate_id,
        ]  # fmt: skip
        theirs = [
            NetworkLine.id, NetworkLine.source_id, NetworkLine.transaction_id, NetworkLine.claimed_click_id,
            NetworkLine.amount_minor, NetworkLine.currency, NetworkLine.status_word, NetworkLine.group_key,
            NetworkLine.occurred_on,
        ]  # fmt: skip
        elsewhere = sa.select(Conversion.id, Conversion.occurred_at).where(
            self._is_elsewhere, sa.exists().where(self._is_theirs, _has_its_id()).correlate(Conversion)
        )
        refused = sa.select(Conversion.id, Conversion.state).where(
            self._is_refused, sa.exists().where(self._is_theirs, _has_its_id()).correlate(Conversion)
        )
        words = network_findings.words(session, self._is_theirs)
        paid = sa.select(NetworkLine.id).where(
            self._is_theirs, network_findings.takes_back(words), self._is_its_paid_out()
        )
        stale = network_findings.stale(words, limits=self._limits, today=self._today).where(self._is_theirs)
        clicks = network_findings.clicks(session).where(self._is_theirs)
        return {
            "ours": fingerprint(session, sa.select(*ours).where(self._is_ours)),
            "theirs": fingerprint(session, sa.select(*theirs).where(self._is_theirs)),
            "elsewhere": fingerprint(session, elsewhere),
            "refused": fingerprint(session, refused),
            # What moves on by itself: a payout is sent, a pending line grows old, a click comes late.
            "paid": fingerprint(session, paid),
            "stale": fingerprint(session, stale),
            "clicks": fingerprint(session, clicks),
            "words": words.in_order,
            "limits": str(astuple(self._limits)),
        }

    def _differing_pairs(self, session: Session, words: Words) -> Iterator[Found]:
        differs = sa.or_(PAIRS.c.ours_currency != PAIRS.c.theirs_currency, PAIRS.c.ours_minor != PAIRS.c.theirs_minor)
        statement = sa.select(PAIRS, NetworkLine.source_id).join(NetworkLine, NetworkLine.id == PAIRS.c.their_id)
        # Of a line that is taken back its word is what differs, and what it once came to says nothing.
        for row in streamed(session, statement.where(differs, ~words.say(TAKEN_BACK))):
            amounts = {name: row._mapping[name] for name in _AMOUNTS}  # noqa: SLF001 - a row's public mapping
            klass = class_of_pair(**amounts, limits=self._limits)
            if klass is not None:
                yield Found(self.leg, klass, row.source_id, conversion_id=row.our_id, line_id=row.their_id, **amounts)

    def _lonely_lines(self, session: Session, words: Words) -> Iterator[Found]:
        in_month, elsewhere, refused = (
            sa.select(sa.func.min(Conversion.id)).where(where, _has_its_id()).correlate(NetworkLine).scalar_subquery()
            for where in (self._is_ours, self._is_elsewhere, self._is_refused)
        )
        statement = sa.select(
            NetworkLine.id, NetworkLine.source_id, NetworkLine.amount_minor, NetworkLine.currency,
            in_month.label("in_month"), elsewhere.label("elsewhere"), refused.label("refused"),
            network_findings.takes_back(words).label("is_taken_back"), self._is_its_paid_out().label("is_paid_out"),
        ).where(self._is_theirs, is_open(NetworkLine.id, ours=False))  # fmt: skip
        for row in streamed(session, statement):
            klass = class_of_line(
                is_in_month=row.in_month is not None,
                is_in_other_month=row.elsewhere is not None,
                is_refused_here=row.refused is not None,
                is_taken_back=row.is_taken_back,
                is_paid_out=row.is_paid_out,
            )
            if klass is None:
                continue
            is_less = row.is_taken_back and klass is not DiscrepancyClass.MISSING_AT_US
            yield Found(
                self.leg,
                klass,
                row.source_id,
                conversion_id=row.in_month or row.elsewhere or row.refused,
                line_id=row.id,
                # Whatever sign the network writes there, it is what it pays less.
                theirs_minor=-abs(row.amount_minor) if is_less else row.amount_minor,
                theirs_currency=row.currency,
            )

    def _is_its_paid_out(self) -> sa.ColumnElement[bool]:
        its = sa.exists().where(
            sa.or_(self._is_ours, self._is_elsewhere), _has_its_id(), network_findings.is_paid_out()
        )
        return its.correlate(NetworkLine)

    def _lonely_conversions(self, session: Session) -> Iterator[Found]:
        # All of them first, then their twins: asked one by one, each would look through every pair of the month.
        lonely = (
            sa.select(
                Conversion.id, Conversion.source_id, Conversion.transaction_id, Conversion.event,
                Conversion.payout_minor, Conversion.currency,
            )
            .where(self._is_ours, is_open(Conversion.id, ours=True))
            .cte("lonely")
        )  # fmt: skip
        same = (Conversion.source_id, Conversion.transaction_id, Conversion.event)
        lines = (
            sa.select(lonely.c.id, sa.func.min(PAIRS.c.their_id).label("line_id"))
            .join_from(lonely, Conversion, sa.and_(*(lonely.c[column.key] == column for column in same)))
            .join(PAIRS, PAIRS.c.our_id == Conversion.id)
            .group_by(lonely.c.id)
            .subquery("lines")
        )
        statement = sa.select(
            lonely.c.id, lonely.c.source_id, lonely.c.payout_minor, lonely.c.currency,
            lines.c.line_id.label("line_of_twin"),
        ).join_from(lonely, lines, lines.c.id == lonely.c.id, isouter=True)  # fmt: skip
        for row in streamed(session, statement):
            yield Found(
                self.leg,
                class_of_conversion(has_paired_twin=row.line_of_twin is not None),
                row.source_id,
                conversion_id=row.id,
                line_id=row.line_of_twin,
                ours_minor=row.payout_minor,
                ours_currency=row.currency,
            )


_AMOUNTS = ("ours_minor", "ours_currency", "theirs_minor", "theirs_currency")


def _has_its_id() -> sa.ColumnElement[bool]:
    return sa.and_(
        Conversion.source_id == NetworkLine.source_id, Conversion.transaction_id == NetworkLine.transaction_id
    )


def _single(
    table: Any, key: Sequence[str], amount: str, is_one: sa.ColumnElement[bool], is_taken: sa.ColumnElement[bool]
) -> sa.Subquery:
    """Return the items whose key no other has; of one row, the smallest of every column is the column's value."""
    columns = [table.c[name] for name in key]
    return (
        sa.select(
            *columns,
            sa.func.min(table.c.id).label("id"),
            sa.func.min(table.c[amount]).label("amount_minor"),
            sa.func.min(table.c.currency).label("currency"),
        )
        .where(is_one, table.c.transaction_id.is_not(None), ~is_taken)
        .group_by(*columns)
        .having(sa.func.count() == 1)
        .subquery()
    )
