"""Aliases as they are kept: learnt from what people match by hand, and dropped by people or when they mean two."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.database import among
from core.errors import Conflict
from core.runtime import Runtime
from reports import aliases
from reports.aliases import Kept, Lesson, Meaning, MeaningKind
from reports.match_groups import Decided, Word
from reports.match_items import Subject
from reports.match_models import Match, MatchAlias
from reports.matching import Leg

# What a text on a bank's line stands for, by leg; on the leg network an id stands for an id.
_MEANS = {Leg.REMITTANCE: MeaningKind.SOURCE, Leg.PAYOUT: MeaningKind.AFFILIATE}


def learn(runtime: Runtime, session: Session, decided: Decided, actor: Actor) -> None:
    """Keep what the groups that a person has confirmed teach; what a person dropped is not learnt again."""
    leg = decided.leg
    lessons = _lessons(decided)
    if not lessons:
        return
    result = aliases.learnt(list(lessons), _kept(session, leg, [each.alias for each in lessons]))
    now = runtime.clock()
    for each in result.new:
        alias = MatchAlias(
            id=runtime.new_id("mal"),
            leg=leg.value,
            meaning_kind=each.meaning.kind.value,
            meaning=each.meaning.value,
            alias=each.alias,
            scope=each.scope,
            learnt_from=lessons[each],
            state="active",
            created_at=now,
            created_by=actor.id,
        )
        session.add(alias)
        after = {"meaning": each.meaning.value, "learnt_from": lessons[each]}
        audit.record(session, Act(actor, "learnt", "match_alias", alias.id, now, after=after))
    for alias_id in result.dropped:
        _drop(session, session.get_one(MatchAlias, alias_id), actor, runtime, reason="it stands for two")
    session.flush()


def forget(runtime: Runtime, session: Session, decided: Decided, word: Word) -> None:
    """Take back what groups have taught that are undone: else the next run would find by it what a person undid.

    Not what another match that stands has taught. It may be learnt again, from a match that is right.
    """
    # Edge by edge: of a line about several now, one may have come from a match that taught.
    edges = [(edge.our_id, edge.their_id) for group in decided.groups for edge in group.edges]
    lessons = [each for our_id, their_id in edges if (each := _taught(decided, their_id, [our_id])) is not None]
    if not lessons:
        return
    undone = {group.id for group in decided.groups}
    known = sa.select(MatchAlias).where(
        MatchAlias.leg == decided.leg,
        MatchAlias.state == "active",
        among(session, MatchAlias.alias, [each.alias for each in lessons]),
        sa.or_(
            among(session, MatchAlias.learnt_from, undone),
            # Of a match that was split or put together with others since, the group is not there any more.
            ~sa.exists().where(Match.group_id == MatchAlias.learnt_from),
        ),
    )
    taught = {(each.scope, each.alias, each.meaning.value) for each in lessons}
    for alias in session.scalars(known):
        if (alias.scope, alias.alias, alias.meaning) in taught:
            before = {"meaning": alias.meaning, "learnt_from": alias.learnt_from}
            act = Act(
                word.actor, "unlearnt", "match_alias", alias.id, runtime.clock(), before=before, reason=word.reason
            )
            audit.record(session, act)
            session.delete(alias)
    session.flush()


def drop(runtime: Runtime, session: Session, alias_id: str, *, actor: Actor) -> MatchAlias:
    """Drop an alias for good: it finds nothing any more, and is never learnt again. A person's act, audited.

    Raise NotFound, and Conflict for one that is dropped already.
    """
    alias = rows.locked(session, MatchAlias, alias_id)
    if alias.state != "active":
        message = f"{alias_id} is dropped already"
        raise Conflict(message)
    _drop(session, alias, actor, runtime, reason=None)
    return alias


def _drop(session: Session, alias: MatchAlias, actor: Actor, runtime: Runtime, *, reason: str | None) -> None:
    alias.state = "dropped"
    before, after = {"state": "active"}, {"state": alias.state}
    act = Act(actor, "dropped", "match_alias", alias.id, runtime.clock(), before=before, after=after, reason=reason)
    audit.record(session, act)


def _lessons(decided: Decided) -> dict[Lesson, str]:
    """Return what each line of the groups teaches, and the group that does."""
    lessons: dict[Lesson, str] = {}
    for group in decided.groups:
        for their_id in group.their_ids:
            named = [edge.our_id for edge in group.edges if edge.their_id == their_id]
            taught = _taught(decided, their_id, named)
            if taught is not None:
                lessons.setdefault(taught, group.id)
    return lessons


def _taught(decided: Decided, their_id: str, our_ids: Sequence[str]) -> Lesson | None:
    # When a match is undone, an item may be gone by now.
    partners = [decided.ours[id_] for id_ in our_ids if id_ in decided.ours]
    line = decided.theirs.get(their_id)
    return _lesson(decided.leg, line, [str(each.means) for each in partners if each.means]) if line else None


def _lesson(leg: Leg, line: Subject, means: Sequence[str]) -> Lesson | None:
    if leg is Leg.NETWORK:
        return aliases.lesson_of_ids(line.scope, line.text, means)
    kind = _MEANS[leg]
    return aliases.lesson(line.scope, line.text or "", [Meaning(kind, value) for value in means])


def _kept(session: Session, leg: Leg, texts: Sequence[str]) -> dict[tuple[str, str], Kept]:
    # The active one last: of one that was dropped and one that counts, the one that counts is known.
    statement = (
        sa.select(MatchAlias)
        .where(MatchAlias.leg == leg, among(session, MatchAlias.alias, texts))
        .order_by(sa.case((MatchAlias.state == "active", 1), else_=0), MatchAlias.id)
    )
    return {
        (each.scope, each.alias): Kept(
            each.id, Meaning(MeaningKind(each.meaning_kind), each.meaning), each.state == "active"
        )
        for each in session.scalars(statement)
    }
