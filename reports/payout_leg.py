"""Our payment items against the bank's debits: by end-to-end id, then by that id found in the line's text."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from core.runtime import Runtime
from ledger import periods
from payouts import settlement
from payouts.models import Batch, BatchItem, Payout
from reports import returned_payments
from reports.matching import DiscrepancyClass, Found, Leg, Pass, class_of_pair
from reports.models import BankLine, Match
from reports.passes import PAIRS, Counts, Digest, add_pairs, is_paired, keep_matches, matched

# Of a released batch: these items' money has left, is on its way, or has left and come back.
SENT = ("live", "settled", "returned")
_BEFORE_RELEASE = timedelta(days=1)


class PayoutLeg:
    """One month: the payouts of that month, and those sent in it.

    Ours are their items in released batches; theirs are debits in the month's statements, which are those with a line
    booked in the month and those that pay one of ours. An item no statement shows yet is in flight, and no difference.
    """

    leg = Leg.PAYOUT

    def __init__(self, period: str) -> None:
        self.period = period
        self.source_id = None
        start, end = periods.moments(period)
        self._first, self._last = periods.bounds(period)
        is_sent_now = sa.and_(Batch.released_at >= start, Batch.released_at < end)
        self._items = (
            sa.select(
                BatchItem.payout_id,
                BatchItem.batch_id,
                BatchItem.end_to_end_id,
                BatchItem.amount_minor,
                BatchItem.bank_line_id,
                Payout.currency,
                Batch.released_at,
            )
            .join(Batch, Batch.id == BatchItem.batch_id)
            .join(Payout, Payout.id == BatchItem.payout_id)
            .where(
                Batch.released_at.is_not(None),
                BatchItem.state.in_(SENT),
                sa.or_(Payout.period == period, is_sent_now),
            )
        )

    def pair(self, session: Session) -> None:
        """Fill the table of pairs, one debit an item; of several, the one that settled it, then the right amount."""
        items = self._items.subquery()
        by_id = BankLine.end_to_end_id == items.c.end_to_end_id
        self._add(session, items, by_id, Pass.EXACT_ID)
        first = session.scalar(sa.select(sa.func.min(items.c.released_at)))
        if first is None:
            return
        # LIKE would read _ in an id as any character, and SQLite's forgets capitals.
        is_in_text = sa.func.replace(BankLine.text, items.c.end_to_end_id, "") != BankLine.text
        is_later = BankLine.booked_on >= (first - _BEFORE_RELEASE).date()
        self._add(session, items, sa.and_(is_in_text, is_later), Pass.REFERENCE)

    def keep(self, session: Session, run_id: str, now: Any) -> None:
        """Make the matches of these items the pairs that were found."""
        ours = sa.select(self._items.subquery().c.payout_id)
        keep_matches(session, self.leg, run_id, scope=Match.our_id.in_(ours), now=now)

    def settle(self, runtime: Runtime, session: Session) -> int:
        """Settle every item whose debit has its amount; return how many could not be, for their state forbids it."""
        # A result file may have settled it before: then its line is still to be kept.
        is_open = sa.or_(
            BatchItem.state == "live", sa.and_(BatchItem.state == "settled", BatchItem.bank_line_id.is_(None))
        )
        exact = (
            sa.select(BatchItem, BankLine)
            .join(PAIRS, PAIRS.c.our_id == BatchItem.payout_id)
            .join(BankLine, BankLine.id == PAIRS.c.their_id)
            .where(is_open, PAIRS.c.ours_minor == PAIRS.c.theirs_minor)
            .order_by(BatchItem.payout_id)
        )
        refused = 0
        for item, line in session.execute(exact).all():
            outcome = settlement.settle(
                runtime, session, item, bank_line_id=line.id, bank_account=line.account, settled_on=line.booked_on
            )
            refused += outcome == "refused"
        returned_payments.take_back(runtime, session, self._first, self._last)
        return refused

    def counts(self, session: Session) -> Counts:
        """Count the items, the debits and the matches."""
        ours = session.scalar(sa.select(sa.func.count()).select_from(self._items.subquery()))
        theirs = session.scalar(sa.select(sa.func.count(BankLine.id)).where(self._is_theirs()))
        return Counts(ours or 0, theirs or 0, matched(session))

    def found(self, session: Session) -> Iterator[Found]:
        """Yield every difference of the month."""
        for row in streamed(session, sa.select(PAIRS).where(PAIRS.c.ours_minor != PAIRS.c.theirs_minor)):
            amounts = {
                "ours_minor": row.ours_minor, "ours_currency": row.ours_currency,
                "theirs_minor": row.theirs_minor, "theirs_currency": row.theirs_currency,
            }  # fmt: skip
            klass = class_of_pair(**amounts)
            if klass is not None:
                yield Found(self.leg, klass, payout_id=row.our_id, line_id=row.their_id, **amounts)
        is_matched = sa.exists().where(Match.leg == self.leg, Match.their_id == BankLine.id).correlate(BankLine)
        statement = sa.select(BankLine.id, BankLine.amount_minor, BankLine.currency).where(
            self._is_theirs(), ~is_matched
        )
        for row in streamed(session, statement):
            yield Found(
                self.leg,
                DiscrepancyClass.UNMATCHED_DEBIT,
                line_id=row.id,
                theirs_minor=-row.amount_minor,
                theirs_currency=row.currency,
            )

    def add_inputs(self, session: Session, digest: Digest) -> None:
        """Add to `digest` all that a run's result depends on; the pairs say which statements are the month's."""
        items = self._items.subquery()
        ours = sa.select(items.c.payout_id, items.c.end_to_end_id, items.c.amount_minor, items.c.currency)
        theirs = sa.select(
            BankLine.id, BankLine.end_to_end_id, BankLine.amount_minor, BankLine.currency, BankLine.line_key
        ).where(self._is_theirs())
        digest.add("ours", streamed(session, ours.order_by(items.c.payout_id)))
        digest.add("theirs", streamed(session, theirs.order_by(BankLine.id)))

    def _add(self, session: Session, items: sa.Subquery, meets: sa.ColumnElement[bool], by: Pass) -> None:
        order = [
            sa.case((BankLine.id == items.c.bank_line_id, 0), else_=1),
            sa.case((-BankLine.amount_minor == items.c.amount_minor, 0), else_=1),
            BankLine.booked_on,
            BankLine.line_key,
        ]
        hits = (
            sa.select(
                items.c.payout_id,
                BankLine.id,
                items.c.amount_minor.label("ours_minor"),
                items.c.currency,
                (-BankLine.amount_minor).label("theirs_minor"),
                *(value.label(f"order_{position}") for position, value in enumerate(order)),
                # A debit that names several items paid them together: one of them is not its partner.
                sa.func.count().over(partition_by=BankLine.id).label("items_of_line"),
            )
            .join_from(items, BankLine, meets)
            .where(
                BankLine.amount_minor < 0,
                BankLine.currency == items.c.currency,
                ~is_paired(items.c.payout_id, ours=True),
                ~is_paired(BankLine.id, ours=False),
                ~self._is_others(),
            )
            .subquery()
        )
        by_preference = [hits.c[f"order_{position}"] for position in range(len(order))]
        choice = sa.func.row_number().over(partition_by=hits.c.payout_id, order_by=by_preference)
        ranked = sa.select(hits, choice.label("choice")).where(hits.c.items_of_line == 1).subquery()
        chosen = sa.select(
            ranked.c.payout_id, ranked.c.id, sa.literal(by, sa.String(20)),
            ranked.c.ours_minor, ranked.c.currency, ranked.c.theirs_minor, ranked.c.currency,
        ).where(ranked.c.choice == 1)  # fmt: skip
        add_pairs(session, chosen)

    def _is_others(self) -> sa.ColumnElement[bool]:
        """Return the condition that a debit pays an item of another month."""
        ours = sa.select(self._items.subquery().c.payout_id)
        return (
            sa.exists()
            .where(Match.leg == self.leg, Match.their_id == BankLine.id, Match.our_id.not_in(ours))
            .correlate(BankLine)
        )

    def _is_theirs(self) -> sa.ColumnElement[bool]:
        booked = sa.select(BankLine.statement_id).where(BankLine.booked_on.between(self._first, self._last))
        paying = sa.select(BankLine.statement_id).join(PAIRS, PAIRS.c.their_id == BankLine.id)
        return sa.and_(BankLine.amount_minor < 0, BankLine.statement_id.in_(sa.union(booked, paying)))
