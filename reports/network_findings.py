"""What a network's line says beside its amount: its word against our state, and whose click it names."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import is_postgresql, streamed
from partners.models import Source
from payouts.models import Accrual, Payout
from payouts.states import ON_THE_WAY, PayoutState
from postback.content import Meaning
from postback.event_rules import HoldReason, State
from postback.known import reading_of
from postback.models import Conversion
from reports.classifying import TAKEN_BACK, class_of_status
from reports.matching import DiscrepancyClass, Found, Leg, Limits
from reports.models import NetworkLine
from reports.passes import PAIRS
from tracking.models import Click

# In these states the money of a payout has left, or may have.
_PAID_OUT = (*ON_THE_WAY, PayoutState.SETTLED)
_AWAITED = (HoldReason.PENDING.value, HoldReason.UNKNOWN_STATUS.value)
_NOTHING_OWED = frozenset({DiscrepancyClass.REVERSED_AFTER_PAYMENT, DiscrepancyClass.STALE_PENDING})


@dataclass(frozen=True)
class Words:
    """The status words of a month's lines, by source, and what each means to its source."""

    meanings: Mapping[tuple[str, str], Meaning]

    @property
    def in_order(self) -> str:
        """All of it as text, the same for the same words."""
        return repr(sorted((*key, meaning.value) for key, meaning in self.meanings.items()))

    def of(self, row: Any) -> Meaning:
        """Return what a row's source means by its word; no word at all means that it happened."""
        return self.meanings.get((row.source_id, row.status_word), Meaning.APPROVED)

    def say(self, meanings: Collection[Meaning]) -> sa.ColumnElement[bool]:
        """Return the condition that a network line says one of `meanings`."""
        said_by: defaultdict[str, list[str]] = defaultdict(list)
        for (source_id, word), meaning in self.meanings.items():
            if meaning in meanings:
                said_by[source_id].append(word)
        # Never NULL: its negation must hold for a line without a word.
        column = sa.func.coalesce(NetworkLine.status_word, "")
        said = [
            sa.and_(NetworkLine.source_id == id_, column.in_(sorted(each))) for id_, each in sorted(said_by.items())
        ]
        return sa.or_(sa.false(), *said)


def words(session: Session, is_theirs: sa.ColumnElement[bool]) -> Words:
    """Return the words of the lines for which `is_theirs` holds. They are few, however many the lines."""
    wanted = sa.and_(is_theirs, NetworkLine.status_word.is_not(None))
    found = session.execute(
        sa.select(NetworkLine.source_id, NetworkLine.status_word)
        .where(wanted)
        .distinct()
        .order_by(NetworkLine.source_id, NetworkLine.status_word)
    ).all()
    sources = session.scalars(sa.select(Source).where(Source.id.in_({row.source_id for row in found})))
    readings = {source.id: reading_of(source) for source in sources}
    return Words({(row[0], str(row[1])): readings[row[0]].meaning(row[1]) for row in found})


def of_pairs(session: Session, words: Words, *, limits: Limits, today: date) -> Iterator[Found]:
    """Yield what is wrong with pairs beside their amounts, of the table of pairs as it is now."""
    yield from _of_status(session, words, limits, today)
    yield from _of_affiliates(session)


def takes_back(words: Words) -> sa.ColumnElement[bool]:
    """Return the condition that a network line takes something back, by its word or by its sign."""
    return sa.or_(words.say(TAKEN_BACK), NetworkLine.amount_minor < 0)


def is_paid_out() -> sa.Exists:
    """Return the condition that a conversion, which the query around it has, is in a payout whose money has left."""
    return (
        sa.exists()
        .where(Accrual.conversion_id == Conversion.id, Payout.id == Accrual.payout_id, Payout.state.in_(_PAID_OUT))
        .correlate(Conversion)
    )


def stale(words: Words, *, limits: Limits, today: date) -> sa.Select[str]:
    """Return the statement for the lines that their network has called pending for too long."""
    # Before the first of all days nothing is stale: the limit may reach back beyond it.
    first = today - timedelta(days=min(limits.pending_days, (today - date.min).days))
    return sa.select(NetworkLine.id).where(words.say({Meaning.PENDING}), NetworkLine.occurred_on < first)


def clicks(session: Session) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement for the lines that name a click of ours, with the click's affiliate."""
    return sa.select(NetworkLine.id, Click.affiliate_id).join(Click, _names_click(session))


def _of_status(session: Session, words: Words, limits: Limits, today: date) -> Iterator[Found]:
    is_awaited = sa.and_(Conversion.hold_reason.is_not(None), Conversion.hold_reason.in_(_AWAITED))
    may_differ = sa.or_(words.say(TAKEN_BACK | {Meaning.PENDING}), is_awaited)
    statement = (
        sa.select(
            PAIRS, NetworkLine.source_id, NetworkLine.status_word, NetworkLine.occurred_on,
            Conversion.state, is_awaited.label("is_awaited"), is_paid_out().label("is_paid_out"),
        )
        .join(NetworkLine, NetworkLine.id == PAIRS.c.their_id)
        .join(Conversion, Conversion.id == PAIRS.c.our_id)
        # A report without such a column says nothing about where its lines stand.
        .where(NetworkLine.status_word.is_not(None), may_differ)
    )  # fmt: skip
    for row in streamed(session, statement):
        meaning = words.of(row)
        klass = class_of_status(
            meaning,
            State(row.state),
            is_paid_out=row.is_paid_out,
            is_awaited=row.is_awaited,
            age_days=(today - row.occurred_on).days,
            limits=limits,
        )
        if klass is not None:
            owes_nothing = klass in _NOTHING_OWED or meaning in TAKEN_BACK
            yield _found(klass, row, theirs_minor=0 if owes_nothing else row.theirs_minor)


def _of_affiliates(session: Session) -> Iterator[Found]:
    statement = (
        sa.select(PAIRS, NetworkLine.source_id)
        .join(NetworkLine, NetworkLine.id == PAIRS.c.their_id)
        .join(Conversion, Conversion.id == PAIRS.c.our_id)
        .join(Click, _names_click(session))
        .where(Click.affiliate_id != Conversion.affiliate_id)
    )
    for row in streamed(session, statement):
        yield _found(DiscrepancyClass.WRONG_AFFILIATE, row, theirs_minor=row.theirs_minor)


def _names_click(session: Session) -> sa.ColumnElement[bool]:
    # Two columns of two collations: PostgreSQL compares them only when it is told by which.
    claimed = sa.collate(
        sa.func.coalesce(NetworkLine.claimed_click_id, ""), "C" if is_postgresql(session) else "BINARY"
    )
    return sa.and_(NetworkLine.claimed_click_id.is_not(None), Click.click_id == claimed)


def _found(klass: DiscrepancyClass, row: Any, *, theirs_minor: int) -> Found:
    return Found(
        Leg.NETWORK,
        klass,
        row.source_id,
        conversion_id=row.our_id,
        line_id=row.their_id,
        ours_minor=row.ours_minor,
        ours_currency=row.ours_currency,
        theirs_minor=theirs_minor,
        theirs_currency=row.theirs_currency,
    )
