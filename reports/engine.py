"""One run of the passes of a ruleset over one leg: from whole tables to pairs, suggestions and what stays open."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import is_postgresql
from reports import open_passes, suggesting
from reports.match_models import Match
from reports.match_rules import Rule
from reports.matching import Leg, Pass
from reports.passes import (
    ITEM_COLUMNS,
    OPEN_OURS,
    OPEN_THEIRS,
    PAIRS,
    SUGGESTIONS,
    Counts,
    Items,
    add_pairs,
    close,
    is_paired,
)

SUGGESTING: Mapping[Pass, Callable[[Session, Leg, Rule], None]] = {
    Pass.AMOUNT_DATE: suggesting.amount_date,
    Pass.SUBSET_SUM: suggesting.subset_sum,
}


class Compared(Protocol):
    """Two sides of a month, as the passes need them. Items have ITEM_COLUMNS; money has one sign on both sides."""

    @property
    def leg(self) -> Leg:
        """Which leg."""

    def ours(self, session: Session) -> Items:
        """Return the statement for our items that are compared."""

    def theirs(self, session: Session) -> Items:
        """Return the statement for theirs."""

    def counts(self, session: Session) -> Counts:
        """Count both sides and the matches."""

    def pair_at_once(self, session: Session) -> None:
        """Pair what exact_id would, straight from the tables; whatever is left stays for `passes`."""

    def passes(self) -> Mapping[Pass, Callable[[Session], None]]:
        """Return the leg's own ways; the open items are closed afterwards, and the common way follows."""


def pair(session: Session, compared: Compared, rules: Sequence[Rule]) -> None:
    """Fill the tables of pairs and suggestions: people's words first, then every pass over what is left."""
    _take_from_people(session, compared)
    # Items meet by equal keys. How many do so, no statistics tell, least of all of a report that has just come:
    # looped over, a month of 20,000 took two minutes.
    _loop(session, is_allowed=False)
    # Of a million items nearly all have one id: what is left is then a small table.
    if rules and rules[0].kind is Pass.EXACT_ID:
        compared.pair_at_once(session)
    for table, items, side in (
        (OPEN_OURS, compared.ours(session), True),
        (OPEN_THEIRS, compared.theirs(session), False),
    ):
        every = items.subquery()
        left = sa.select(*(every.c[name] for name in ITEM_COLUMNS)).where(~is_paired(every.c.id, ours=side))
        session.execute(table.insert().from_select(list(ITEM_COLUMNS), left))
        if is_postgresql(session):
            # Nobody else analyses a temporary table; without it each was joined with each: 80 s of a run of 120 s.
            session.execute(sa.text(f"ANALYZE {table.name}"))
    own = compared.passes()
    for rule in rules:
        if rule.kind in own:
            own[rule.kind](session)
            close(session, PAIRS)
        if rule.kind in open_passes.PASSES:
            open_passes.PASSES[rule.kind](session, compared.leg, rule)
        elif rule.kind in SUGGESTING:
            SUGGESTING[rule.kind](session, compared.leg, rule)
        elif rule.kind is Pass.NAMES:
            suggesting.rank_by_names(session)
    _loop(session, is_allowed=True)


def by_pass(session: Session) -> dict[str, dict[str, int]]:
    """Count the edges of the run by pass: those confirmed, people's among them, and those suggested."""
    found = {}
    for name, edges in (("confirmed", PAIRS), ("suggested", SUGGESTIONS)):
        statement = (
            sa.select(edges.c.matched_by, sa.func.count())
            .where(edges.c.matched_by.is_not(None))
            .group_by(edges.c.matched_by)
        )
        found[name] = dict(sorted((row[0], row[1]) for row in session.execute(statement)))
    return found


def matched(session: Session) -> int:
    """Return how many pairs are matches."""
    return int(session.scalar(sa.select(sa.func.count(PAIRS.c.matched_by))) or 0)


def people_s_edges(compared: Compared, session: Session) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement for what people matched among the items of `compared`, as columns of pairs."""
    ours, theirs = compared.ours(session).subquery(), compared.theirs(session).subquery()
    # Looked up one by one: there are few, and both sides may have a million.
    is_of_month = sa.or_(
        sa.exists().where(ours.c.id == Match.our_id).correlate(Match.__table__),
        sa.exists().where(theirs.c.id == Match.their_id).correlate(Match.__table__),
    )
    return sa.select(
        Match.our_id, Match.their_id, Match.matched_by,
        (Match.allocated_minor - Match.difference_minor).label("ours_minor"), Match.currency.label("ours_currency"),
        Match.allocated_minor.label("theirs_minor"), Match.currency.label("theirs_currency"),
        Match.group_id, Match.is_whole,
    ).where(Match.leg == compared.leg, Match.made_by.is_not(None), Match.state == "confirmed", is_of_month)  # fmt: skip


def _take_from_people(session: Session, compared: Compared) -> None:
    if session.scalar(sa.select(Match.id).where(Match.leg == compared.leg, Match.made_by.is_not(None)).limit(1)):
        add_pairs(session, people_s_edges(compared, session))


def _open(session: Session, table: sa.Table, items: Items) -> None:
    every = items.subquery()
    left = sa.select(*(every.c[name] for name in ITEM_COLUMNS)).where(~is_paired(every.c.id, ours=table is OPEN_OURS))
    session.execute(table.insert().from_select(list(ITEM_COLUMNS), left))
    if is_postgresql(session):
        # Nobody else analyses a temporary table, and without it each was joined with each: 80 s of a run of 120 s.
        session.execute(sa.text(f"ANALYZE {table.name}"))


def _loop(session: Session, *, is_allowed: bool) -> None:
    if is_postgresql(session):
        session.execute(sa.text(f"SET LOCAL enable_nestloop = {'on' if is_allowed else 'off'}"))
