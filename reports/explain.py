"""What explaining needs: an item, what comes near it on the other side, and what it is matched with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import versions
from core.errors import NotFound
from core.rows import existing
from payouts.models import Payout
from postback.models import Conversion
from reports import aliases, explaining, match_queries, match_rules
from reports.explaining import Facts, Item, Sum, Tried
from reports.match_models import Match, MatchAlias, MatchRejection, MatchRuleset
from reports.matching import Leg, Pass
from reports.models import BankLine, NetworkLine
from reports.network_leg import NetworkLeg
from reports.payout_leg import PayoutLeg

NEAR_MAX = 20
RIVALS_OF_MAX = 5


@dataclass(frozen=True)
class Explanation:
    """Why an item is matched, or is not."""

    item: str
    leg: str
    period: str
    ruleset_version: int
    sentence: str
    matches: Sequence[Mapping[str, Any]]
    passes: Sequence[Tried]


def of_item(session: Session, item_id: str) -> Explanation:
    """Explain the item under the rules in force; raise NotFound when it is none of a leg's."""
    kind = item_id.partition("_")[0]
    if kind not in _PLACES:
        message = "no such item: it is a conversion, a network's line, a payout or a bank's line"
        raise NotFound(message)
    is_ours, place = _PLACES[kind]
    view = _View(session, place(session, item_id), is_ours=is_ours)
    ruleset = versions.active(session, MatchRuleset)
    edges = view.edges(item_id)
    confirmed = [edge for edge in edges if edge.state == "confirmed"]
    suggested = [edge for edge in edges if edge.state == "suggested"]
    passes = explaining.tried(
        view.facts(item_id),
        match_rules.rules(ruleset.passes),
        matched_by=_by(confirmed),
        suggested_by=suggested[0].matched_by if suggested else None,
    )
    said = _sentence(confirmed, suggested, is_ours)
    return Explanation(
        item_id, view.compared.leg.value, view.compared.period, ruleset.version, said,
        [match_queries.shown(edge) for edge in edges], passes,
    )  # fmt: skip


def _by(confirmed: Sequence[Match]) -> str | None:
    if not confirmed:
        return None
    return Pass.MANUAL.value if confirmed[0].made_by else confirmed[0].matched_by


def _sentence(confirmed: Sequence[Match], suggested: Sequence[Match], is_ours: bool) -> str:  # noqa: FBT001 - which side
    def others(edges: Sequence[Match]) -> str:
        return ", ".join(edge.their_id if is_ours else edge.our_id for edge in edges[: explaining.CANDIDATES_MAX])

    if confirmed:
        by = confirmed[0].made_by or confirmed[0].matched_by
        return f"it is matched with {others(confirmed)} by {by}"
    if suggested:
        return f"it is not matched; {suggested[0].matched_by} suggests {others(suggested)}"
    return "it is not matched, and nothing is suggested"


Compared = NetworkLeg | PayoutLeg


def _of_conversion(session: Session, item_id: str) -> Compared:
    conversion = existing(session, Conversion, item_id)
    return NetworkLeg(f"{conversion.occurred_at.astimezone(UTC):%Y-%m}", conversion.source_id)


def _of_network_line(session: Session, item_id: str) -> Compared:
    line = existing(session, NetworkLine, item_id)
    return NetworkLeg(line.period, line.source_id)


def _of_payout(session: Session, item_id: str) -> Compared:
    return PayoutLeg(existing(session, Payout, item_id).period)


def _of_bank_line(session: Session, item_id: str) -> Compared:
    line = existing(session, BankLine, item_id)
    # A debit may pay what belongs to the month before: where it does, that month's items are the ones to look at.
    paid = sa.select(Payout.period).join(Match, Match.our_id == Payout.id)
    period = session.scalar(paid.where(Match.leg == Leg.PAYOUT, Match.their_id == item_id).limit(1))
    return PayoutLeg(period or f"{line.booked_on:%Y-%m}")


Place = Callable[[Session, str], Compared]
_PLACES: Mapping[str, tuple[bool, Place]] = {
    "cnv": (True, _of_conversion),
    "nln": (False, _of_network_line),
    "pay": (True, _of_payout),
    "bln": (False, _of_bank_line),
}


class _View:
    """One leg of a month seen from one side: `own` items look for a partner among the `other` ones."""

    def __init__(self, session: Session, compared: Compared, *, is_ours: bool) -> None:
        self.session, self.compared, self.is_ours = session, compared, is_ours
        ours, theirs = compared.ours(session).subquery(), compared.theirs(session).subquery()
        self._own, self._other = (ours, theirs) if is_ours else (theirs, ours)

    def edges(self, item_id: str) -> list[Match]:
        """Return the item's matches and suggestions."""
        side = Match.our_id if self.is_ours else Match.their_id
        where = sa.and_(Match.leg == self.compared.leg, side == item_id)
        return list(self.session.scalars(sa.select(Match).where(where).order_by(Match.state, Match.id)))

    def facts(self, item_id: str) -> Facts:
        """Return the item and what comes near it; raise NotFound when no run compares it."""
        row = self.session.execute(sa.select(self._own).where(self._own.c.id == item_id)).one_or_none()
        if row is None:
            message = (
                f"no run of {self.compared.period} compares {item_id}: it is rejected, a test, not sent or no debit"
            )
            raise NotFound(message)
        candidates = self._near(self._other, row, is_own=False)
        rivals = {
            item.id: self._near(self._own, self._row(item.id), is_own=True)
            for item in [each for each in candidates if each.partner is None][:RIVALS_OF_MAX]
        }
        item = self._items([row], row, is_own=True)[0]
        return Facts(
            item, self.is_ours, candidates, rivals,
            self._open(self._own, row, is_own=True), self._open(self._other, row, is_own=False), self._sum(row),
        )  # fmt: skip

    def _row(self, item_id: str) -> Any:
        return self.session.execute(sa.select(self._other).where(self._other.c.id == item_id)).one()

    def _near(self, side: sa.Subquery, row: Any, *, is_own: bool) -> list[Item]:
        """Return what shares an id, a click, a group or a name with `row`, and what is open and nearest in amount."""
        in_scope = side.c.scope == row.scope
        wheres = [
            side.c[name] == row._mapping[name]  # noqa: SLF001 - a row's public mapping
            for name in ("reference", "click_id", "group_key")
            if row._mapping[name]  # noqa: SLF001 - as above
        ]
        if self.compared.leg is Leg.PAYOUT and row.reference and (self.is_ours is not is_own):
            wheres.append(sa.func.replace(side.c.text, row.reference, "") != side.c.text)
        found: dict[str, sa.Row[Any]] = {}
        for where in wheres:
            statement = sa.select(side).where(in_scope, where).order_by(side.c.id).limit(NEAR_MAX)
            found |= {each.id: each for each in self.session.execute(statement)}
        if row.amount_minor is not None:
            off = sa.func.abs(side.c.amount_minor - row.amount_minor)
            same = sa.and_(in_scope, side.c.currency == row.currency, side.c.amount_minor.is_not(None))
            statement = sa.select(side).where(same, ~self._is_taken(side, is_own=is_own))
            days = sa.func.abs(side.c.day - row.day)
            statement = statement.order_by(off, days, side.c.id).limit(NEAR_MAX)
            found |= {each.id: each for each in self.session.execute(statement)}
        return self._items(list(found.values()), row, is_own=is_own)

    def _is_taken(self, side: sa.Subquery, *, is_own: bool) -> sa.ColumnElement[bool]:
        column = Match.our_id if self.is_ours is is_own else Match.their_id
        taken = sa.and_(Match.leg == self.compared.leg, Match.state == "confirmed", column == side.c.id)
        return sa.exists().where(taken).correlate(side)

    def _items(self, rows: Sequence[Any], row: Any, *, is_own: bool) -> list[Item]:
        ids = [each.id for each in rows]
        mine, others = (Match.our_id, Match.their_id) if self.is_ours is is_own else (Match.their_id, Match.our_id)
        edges = self.session.execute(
            sa.select(mine, others).where(Match.leg == self.compared.leg, Match.state == "confirmed", mine.in_(ids))
        )
        partners = {edge[0]: edge[1] for edge in edges if row.id not in edge[1:]}
        said = sa.select(MatchRejection.our_id, MatchRejection.their_id).where(
            MatchRejection.leg == self.compared.leg,
            sa.or_(MatchRejection.our_id == row.id, MatchRejection.their_id == row.id),
        )
        rejected = {each for pair in self.session.execute(said) for each in pair}
        return [self._item(each, row, partners.get(each.id), is_rejected=each.id in rejected) for each in rows]

    def _item(self, each: Any, row: Any, partner: str | None, *, is_rejected: bool) -> Item:
        ours, theirs = (each, row) if each.means is not None else (row, each)
        is_in_text = bool(ours.reference and theirs.text and ours.reference in theirs.text)
        return Item(
            each.id, each.amount_minor, each.currency, each.day, each.reference, each.click_id, each.event, each.status,
            each.group_key, each.text, partner, is_rejected and each.id != row.id,
            each.id != row.id and (is_in_text or self._meaning(theirs) == ours.means),
        )  # fmt: skip

    def _meaning(self, theirs: Any) -> str | None:
        if self.compared.leg is Leg.NETWORK:
            alias = aliases.normalised_id(theirs.reference or "")
        else:
            alias = aliases.of_bank_line(theirs.named, theirs.text or "")
        return self.session.scalar(
            sa.select(MatchAlias.meaning)
            .where(
                MatchAlias.leg == self.compared.leg, MatchAlias.state == "active", MatchAlias.alias == alias,
                MatchAlias.scope.in_([theirs.alias_scope or "", ""]),
            )
            .order_by(MatchAlias.scope.desc())
            .limit(1)
        )  # fmt: skip

    def _open(self, side: sa.Subquery, row: Any, *, is_own: bool) -> int:
        same = sa.and_(side.c.scope == row.scope, side.c.currency == row.currency)
        statement = sa.select(sa.func.count()).select_from(side).where(same, ~self._is_taken(side, is_own=is_own))
        return int(self.session.scalar(statement) or 0)

    def _sum(self, row: Any) -> Sum | None:
        if not row.group_key:
            return None
        numbers: list[int] = []
        for side, is_own in ((self._own, True), (self._other, False)):
            same = sa.and_(
                side.c.scope == row.scope, side.c.group_key == row.group_key, side.c.currency == row.currency
            )
            total = sa.cast(sa.func.coalesce(sa.func.sum(side.c.amount_minor), 0), sa.BigInteger)
            statement = sa.select(sa.func.count(), total).select_from(side)
            numbers += self.session.execute(statement.where(same, ~self._is_taken(side, is_own=is_own))).one()
        return Sum(*numbers)
