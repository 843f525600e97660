"""Our payment items against the bank's debits: by end-to-end id, then by that id found in the line's text."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import day_number, streamed
from core.fingerprints import fingerprint
from core.runtime import Runtime
from ledger import periods
from payouts import settlement
from payouts.models import Batch, BatchItem, Payout
from reports import returned_payments, suggesting
from reports.engine import matched
from reports.keeping import keep_matches
from reports.match_models import Match
from reports.matching import DiscrepancyClass, Found, Leg, Limits, Pass, class_of_pair
from reports.models import BankLine
from reports.passes import PAIRS, Counts, Items, add_pairs, is_paired, is_rejected, items

# Of a released batch: these items' money has left, is on its way, or has left and come back.
SENT = ("live", "settled", "returned")
_BEFORE_RELEASE = timedelta(days=1)
_BOOKED_LATER = timedelta(days=10)
_SCOPE = ""  # every debit may pay every item


_LIMITS = Limits()


class PayoutLeg:
    """One month: the payouts of that month, and those sent in it.

    Ours are their items in released batches; theirs are debits in the month's statements, which are those with a line
    booked in the month and those that pay one of ours. An item no statement shows yet is in flight, and no difference.
    """

    leg = Leg.PAYOUT

    def __init__(self, period: str, *, limits: Limits = _LIMITS) -> None:
        self.period = period
        self._limits = limits
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
                Payout.affiliate_id,
                Payout.payee_name,
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

    def ours(self, session: Session) -> Items:
        """Return the statement for our payment items; their group is the batch, as its file named it."""
        of = self._items.subquery()
        columns = {
            "id": of.c.payout_id,
            "scope": sa.literal(_SCOPE),
            "amount_minor": of.c.amount_minor,
            "currency": of.c.currency,
            "day": day_number(session, of.c.released_at),
            "reference": of.c.end_to_end_id,
            "group_key": _file_reference(of.c.batch_id),
            "named": of.c.payee_name,
            "means": of.c.affiliate_id,
        }
        return items(columns)

    def theirs(self, session: Session) -> Items:
        """Return the statement for the debits of the month's statements that pay no item of another month.

        Their group is the one batch that they name: banks book a file's payments in one sum.
        """
        batches = self._items.subquery()
        name = _file_reference(batches.c.batch_id)
        is_named = sa.or_(
            BankLine.end_to_end_id == name,
            BankLine.bank_reference == name,
            sa.func.replace(BankLine.text, name, "") != BankLine.text,
        )
        named = sa.select(sa.func.min(name)).where(is_named).having(sa.func.count(sa.distinct(name)) == 1)
        columns = {
            "id": BankLine.id,
            "scope": sa.literal(_SCOPE),
            "amount_minor": -BankLine.amount_minor,
            "currency": BankLine.currency,
            "day": day_number(session, BankLine.booked_on),
            "reference": BankLine.end_to_end_id,
            "group_key": named.correlate(BankLine).scalar_subquery(),
            "named": BankLine.counterparty,
            "text": BankLine.text,
            "alias_scope": BankLine.account,
        }
        is_near = BankLine.booked_on.between(self._first, self._last + _BOOKED_LATER)
        is_candidate = sa.and_(BankLine.amount_minor < 0, sa.or_(BankLine.statement_id.in_(self._booked()), is_near))
        return items(columns).where(is_candidate, ~self._is_others(), ~self._names_another())

    def passes(self) -> Mapping[Pass, Callable[[Session], None]]:
        """Return the ways by end-to-end id: one debit an item; of several, what settled it, then the right amount."""
        return {Pass.EXACT_ID: self._by_id, Pass.REFERENCE: self._by_text}

    def pair_at_once(self, session: Session) -> None:
        """Leave everything to the passes: a month has thousands of payments, not a million."""

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
            .where(is_open, PAIRS.c.ours_minor == PAIRS.c.theirs_minor, PAIRS.c.ours_minor == BatchItem.amount_minor)
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
            klass = class_of_pair(**amounts, leg=self.leg, limits=self._limits)
            if klass is not None:
                yield Found(self.leg, klass, payout_id=row.our_id, line_id=row.their_id, **amounts)
        is_matched = (
            sa.exists()
            .where(Match.leg == self.leg, Match.their_id == BankLine.id, Match.state == "confirmed")
            .correlate(BankLine)
        )
        is_rivalled = BankLine.id.in_(suggesting.rivalled(ours=False))
        statement = sa.select(
            BankLine.id, BankLine.amount_minor, BankLine.currency, is_rivalled.label("is_rivalled")
        ).where(self._is_theirs(), ~is_matched)
        for row in streamed(session, statement):
            yield Found(
                self.leg,
                DiscrepancyClass.AMBIGUOUS if row.is_rivalled else DiscrepancyClass.UNMATCHED_DEBIT,
                line_id=row.id,
                theirs_minor=-row.amount_minor,
                theirs_currency=row.currency,
            )
        yield from returned_payments.found(session, self._first, self._last)

    def inputs(self, session: Session) -> dict[str, str]:
        """Return fingerprints of what is compared, by name; the pairs say which statements are the month's."""
        of = self._items.subquery()
        ours = sa.select(
            of.c.payout_id, of.c.batch_id, of.c.end_to_end_id, of.c.amount_minor, of.c.currency, of.c.payee_name
        )
        theirs = sa.select(
            BankLine.id, BankLine.end_to_end_id, BankLine.amount_minor, BankLine.currency, BankLine.line_key
        ).where(self._is_theirs())
        return {
            "ours": fingerprint(session, ours),
            "theirs": fingerprint(session, theirs),
            "back": fingerprint(session, returned_payments.in_part(self._first, self._last)),
            "limits": str(astuple(self._limits)),
        }

    def _by_id(self, session: Session) -> None:
        items = self._items.subquery()
        self._add(session, items, BankLine.end_to_end_id == items.c.end_to_end_id, Pass.EXACT_ID)

    def _by_text(self, session: Session) -> None:
        items = self._items.subquery()
        first = session.scalar(sa.select(sa.func.min(items.c.released_at)))
        if first is None:
            return
        # LIKE would read _ in an id as any character, and SQLite's forgets capitals.
        is_in_text = sa.func.replace(BankLine.text, items.c.end_to_end_id, "") != BankLine.text
        is_later = BankLine.booked_on >= (first - _BEFORE_RELEASE).date()
        self._add(session, items, sa.and_(is_in_text, is_later), Pass.REFERENCE)

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
                ~is_rejected(self.leg, items.c.payout_id, BankLine.id),
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
            .where(
                Match.leg == self.leg,
                Match.their_id == BankLine.id,
                Match.state == "confirmed",
                Match.our_id.not_in(ours),
            )
            .correlate(BankLine)
        )

    def _names_another(self) -> sa.ColumnElement[bool]:
        """Return the condition that a debit has the id of an item that is not compared here."""
        ours = sa.select(self._items.subquery().c.end_to_end_id)
        return (
            sa.exists()
            .where(BatchItem.end_to_end_id == BankLine.end_to_end_id, BatchItem.end_to_end_id.not_in(ours))
            .correlate(BankLine)
        )

    def _booked(self) -> sa.Select[str]:
        """Return the statement for the ids of the bank's statements with a line of the month."""
        return sa.select(BankLine.statement_id).where(BankLine.booked_on.between(self._first, self._last))

    def _is_theirs(self) -> sa.ColumnElement[bool]:
        paying = sa.select(BankLine.statement_id).join(PAIRS, PAIRS.c.their_id == BankLine.id)
        return sa.and_(BankLine.amount_minor < 0, BankLine.statement_id.in_(sa.union(self._booked(), paying)))


def _file_reference(batch_id: Any) -> sa.ColumnElement[str]:
    # As payouts/formats/pain001.py names the file: capitals and digits.
    return sa.func.upper(sa.func.replace(batch_id, "_", ""))
