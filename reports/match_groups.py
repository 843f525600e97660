"""Groups of edges as an act holds them: loaded under the lock of the runs, and every word about them written down."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import among, insert_new, lock
from core.errors import Conflict, NotFound
from core.runtime import Runtime
from ledger import periods
from reports import match_items
from reports.allocating import Edge
from reports.match_items import Subject
from reports.match_models import Match, MatchEvent, MatchRejection
from reports.matching import Leg, Pass
from reports.reconciliation import LOCK


@dataclass(frozen=True)
class Word:
    """Who acts, and why."""

    actor: Actor
    reason: str


@dataclass
class Group:
    """Edges that were decided together, all of one leg and state; `version` is the number of its events."""

    id: str
    rows: list[Match]
    version: int

    @property
    def leg(self) -> Leg:
        """What is compared with what."""
        return Leg(self.rows[0].leg)

    @property
    def is_suggested(self) -> bool:
        """Say whether nobody has confirmed it yet."""
        return self.rows[0].state == "suggested"

    @property
    def edges(self) -> list[Edge]:
        """Its edges, as decisions take them."""
        return [match_items.edge_of(row) for row in self.rows]

    @property
    def our_ids(self) -> list[str]:
        """Our items in it, each once, in the order of their edges."""
        return list(dict.fromkeys(row.our_id for row in self.rows))

    @property
    def their_ids(self) -> list[str]:
        """Their items in it, each once."""
        return list(dict.fromkeys(row.their_id for row in self.rows))


@dataclass(frozen=True)
class Decided:
    """Groups of one leg that are confirmed together, with both sides' items by id as they were before."""

    groups: Sequence[Group]
    ours: Mapping[str, Subject]
    theirs: Mapping[str, Subject]

    @property
    def leg(self) -> Leg:
        """What is compared with what."""
        return self.groups[0].leg


def held(session: Session, ids: Collection[str]) -> dict[str, Group]:
    """Return those of the groups `ids` that there are, by id; nothing about them changes till the transaction ends.

    The lock is that of runs, imports and closes: what was decided upon stays true till it is written.
    """
    lock(session, LOCK)
    statement = (
        sa.select(Match)
        .where(among(session, Match.group_id, ids))
        .order_by(Match.group_id, Match.our_id, Match.their_id)
        .execution_options(populate_existing=True)
    )
    numbers = (
        sa.select(MatchEvent.group_id, sa.func.count())
        .where(among(session, MatchEvent.group_id, ids))
        .group_by(MatchEvent.group_id)
    )
    versions = {row[0]: row[1] for row in session.execute(numbers)}
    groups: dict[str, Group] = {}
    for row in session.scalars(statement):
        groups.setdefault(row.group_id, Group(row.group_id, [], versions.get(row.group_id, 0))).rows.append(row)
    return groups


def held_one(session: Session, group_id: str, *, version: int | None) -> Group:
    """Return the group; raise NotFound when there is none, Conflict when it has moved on from `version`."""
    group = held(session, [group_id]).get(group_id)
    if group is None:
        message = f"there is no group of matches {group_id}"
        raise NotFound(message)
    if version is not None and version != group.version:
        message = f"{group_id} is at version {group.version} by now, not at {version}: look again"
        raise Conflict(message, slug="version-moved-on")
    return group


def confirmed(group: Group) -> Group:
    """Return `group`; raise Conflict when it is only suggested."""
    if group.is_suggested:
        message = f"{group.id} is a suggestion: confirm it or reject it"
        raise Conflict(message, slug="match-suggested")
    return group


def refuse_closed(session: Session, leg: Leg, their_ids: Iterable[str]) -> None:
    """Raise Conflict when one of their items is of a closed month: a match stands in the month of its line."""
    lines = match_items.theirs(session, leg, list(their_ids))
    for month in sorted({line.month for line in lines.values()}):
        if periods.is_closed(session, month):
            message = f"{month} is closed: what was matched then stays as it was"
            raise Conflict(message, slug="period-closed")


def told(
    runtime: Runtime,
    session: Session,
    group: Group,
    kind: str,
    word: Word,
    *,
    before: Sequence[dict[str, Any]],
    after: Sequence[dict[str, Any]],
) -> MatchEvent:
    """Write down what was done about `group`: in the match's own story, and in the audit log."""
    now = runtime.clock()
    event = MatchEvent(
        id=runtime.new_id("mev"),
        leg=group.leg.value,
        group_id=group.id,
        kind=kind,
        actor_kind=word.actor.kind.value,
        actor_id=word.actor.id,
        at=now,
        reason=word.reason,
        details={"before": list(before), "after": list(after)},
    )
    session.add(event)
    edges = ({"edges": list(before)}, {"edges": list(after)})
    audit.record(session, Act(word.actor, kind, "match", group.id, now, *edges, reason=word.reason))
    return event


def shown(rows: Iterable[Match]) -> list[dict[str, Any]]:
    """Return the edges as events keep them."""
    return [
        {
            "our_id": row.our_id,
            "their_id": row.their_id,
            "allocated_minor": row.allocated_minor,
            "difference_minor": row.difference_minor,
            "currency": row.currency,
            "state": row.state,
            "matched_by": row.matched_by,
        }
        for row in rows
    ]


def reject(session: Session, event: MatchEvent, rows: Iterable[Match]) -> None:
    """Keep the pairs that a pass found and a person said are not the same, so that no pass brings them back."""
    # The event's key first: the pairs refer to it.
    session.flush()
    pairs = [
        {"leg": row.leg, "our_id": row.our_id, "their_id": row.their_id, "event_id": event.id}
        for row in rows
        if row.matched_by != Pass.MANUAL
    ]
    if pairs:
        insert_new(session, MatchRejection, pairs, key=["leg", "our_id", "their_id"])


def delete(session: Session, group: Group) -> None:
    """Take the group's edges away."""
    for row in group.rows:
        session.delete(row)
    session.flush()
