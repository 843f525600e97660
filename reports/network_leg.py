"""Our conversions against a network's report: one id, one currency, one to one; what is left over is classified."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from ledger import periods
from postback.models import Conversion
from reports.matching import DiscrepancyClass, Found, Leg, Pass, class_of_line, class_of_pair
from reports.models import Match, NetworkLine
from reports.passes import PAIRS, Counts, Digest, add_pairs, is_paired, keep_matches, matched

# The states of a conversion that we say did not happen, or not to be paid for.
NOT_OURS = ("rejected", "reversed", "test")


class NetworkLeg:
    """One month of one source, or of every source.

    Ours are the conversions that occurred in the month (UTC) and are not rejected, with the payout the postback told;
    theirs are the lines of the month's reports. Where the postback told no payout there is nothing to compare: such a
    pair matches without a difference.
    """

    leg = Leg.NETWORK

    def __init__(self, period: str, source_id: str | None) -> None:
        self.period = period
        self.source_id = source_id
        start, end = periods.moments(period)
        self._is_in_month = sa.and_(Conversion.occurred_at >= start, Conversion.occurred_at < end)
        kept: sa.ColumnElement[bool] = Conversion.state.not_in(NOT_OURS)
        if source_id is not None:
            kept = sa.and_(kept, Conversion.source_id == source_id)
        self._is_ours = sa.and_(kept, self._is_in_month)
        self._is_elsewhere = sa.and_(kept, ~self._is_in_month)
        self._is_theirs: sa.ColumnElement[bool] = NetworkLine.period == period
        if source_id is not None:
            self._is_theirs = sa.and_(self._is_theirs, NetworkLine.source_id == source_id)

    def pair(self, session: Session) -> None:
        """Fill the table of pairs: equal amounts first, then other amounts, then other currencies of the same id."""
        same = ["source_id", "transaction_id", "currency", "amount_minor"]
        for key, matched_by in ((same, Pass.EXACT_ID), (same[:3], Pass.EXACT_ID), (same[:2], None)):
            ours, theirs = self._numbered(key)
            together = sa.and_(*(ours.c[name] == theirs.c[name] for name in [*key, "number"]))
            add_pairs(
                session,
                sa.select(
                    ours.c.id, theirs.c.id, sa.literal(matched_by, sa.String(20)),
                    ours.c.amount_minor, ours.c.currency, theirs.c.amount_minor, theirs.c.currency,
                ).join_from(ours, theirs, together),
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
        yield from self._differing_pairs(session)
        yield from self._lonely_lines(session)
        yield from self._lonely_conversions(session)

    def add_inputs(self, session: Session, digest: Digest) -> None:
        """Add to `digest` all that a run's result depends on."""
        ours = [Conversion.id, Conversion.transaction_id, Conversion.currency, Conversion.payout_minor]
        theirs = [
            NetworkLine.id, NetworkLine.source_id, NetworkLine.transaction_id, NetworkLine.currency,
            NetworkLine.amount_minor,
        ]  # fmt: skip
        digest.add("ours", streamed(session, sa.select(*ours).where(self._is_ours).order_by(Conversion.id)))
        digest.add("theirs", streamed(session, sa.select(*theirs).where(self._is_theirs).order_by(NetworkLine.id)))
        elsewhere = (
            sa.select(Conversion.id)
            .where(self._is_elsewhere, sa.exists().where(self._is_theirs, _has_its_id()).correlate(Conversion))
            .order_by(Conversion.id)
        )
        digest.add("elsewhere", streamed(session, elsewhere))

    def _numbered(self, key: list[str]) -> tuple[sa.Subquery, sa.Subquery]:
        """Return what is unpaired of ours and theirs, numbered within `key` by currency and amount, not by arrival."""
        ours = sa.select(
            Conversion.id,
            Conversion.source_id,
            Conversion.transaction_id,
            Conversion.currency,
            Conversion.payout_minor.label("amount_minor"),
        ).where(self._is_ours, ~is_paired(Conversion.id, ours=True))
        theirs = sa.select(
            NetworkLine.id,
            NetworkLine.source_id,
            NetworkLine.transaction_id,
            NetworkLine.currency,
            NetworkLine.amount_minor,
        ).where(self._is_theirs, ~is_paired(NetworkLine.id, ours=False))
        return _with_number(ours, key), _with_number(theirs, key)

    def _differing_pairs(self, session: Session) -> Iterator[Found]:
        differs = sa.or_(PAIRS.c.ours_currency != PAIRS.c.theirs_currency, PAIRS.c.ours_minor != PAIRS.c.theirs_minor)
        statement = sa.select(PAIRS, NetworkLine.source_id).join(NetworkLine, NetworkLine.id == PAIRS.c.their_id)
        for row in streamed(session, statement.where(differs)):
            amounts = {name: row._mapping[name] for name in _AMOUNTS}  # noqa: SLF001 - a row's public mapping
            klass = class_of_pair(**amounts)
            if klass is not None:
                yield Found(self.leg, klass, row.source_id, conversion_id=row.our_id, line_id=row.their_id, **amounts)

    def _lonely_lines(self, session: Session) -> Iterator[Found]:
        in_month, elsewhere = (
            sa.select(sa.func.min(Conversion.id)).where(where, _has_its_id()).correlate(NetworkLine).scalar_subquery()
            for where in (self._is_ours, self._is_elsewhere)
        )
        statement = sa.select(
            NetworkLine.id, NetworkLine.source_id, NetworkLine.amount_minor, NetworkLine.currency,
            in_month.label("in_month"), elsewhere.label("elsewhere"),
        ).where(self._is_theirs, ~is_paired(NetworkLine.id, ours=False))  # fmt: skip
        for row in streamed(session, statement):
            klass = class_of_line(is_in_month=row.in_month is not None, is_in_other_month=row.elsewhere is not None)
            yield Found(
                self.leg,
                klass,
                row.source_id,
                conversion_id=row.in_month or row.elsewhere,
                line_id=row.id,
                theirs_minor=row.amount_minor,
                theirs_currency=row.currency,
            )

    def _lonely_conversions(self, session: Session) -> Iterator[Found]:
        statement = sa.select(Conversion.id, Conversion.source_id, Conversion.payout_minor, Conversion.currency).where(
            self._is_ours, ~is_paired(Conversion.id, ours=True)
        )
        for row in streamed(session, statement):
            yield Found(
                self.leg,
                DiscrepancyClass.MISSING_AT_NETWORK,
                row.source_id,
                conversion_id=row.id,
                ours_minor=row.payout_minor,
                ours_currency=row.currency,
            )


_AMOUNTS = ("ours_minor", "ours_currency", "theirs_minor", "theirs_currency")


def _has_its_id() -> sa.ColumnElement[bool]:
    return sa.and_(
        Conversion.source_id == NetworkLine.source_id, Conversion.transaction_id == NetworkLine.transaction_id
    )


def _with_number(items: sa.Select[*tuple[Any, ...]], key: list[str]) -> sa.Subquery:
    inner = items.subquery()
    # NULL amounts first, said in so many words: the two databases disagree on where they sort.
    order = [inner.c.currency, sa.case((inner.c.amount_minor.is_(None), 0), else_=1), inner.c.amount_minor, inner.c.id]
    number = sa.func.row_number().over(partition_by=[inner.c[name] for name in key], order_by=order)
    return sa.select(inner, number.label("number")).subquery()
