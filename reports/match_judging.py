"""A person's word about what passes suggest: one, or a thousand at once, all of them or none."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sqlalchemy.orm import Session

from core.errors import Conflict, Fault
from core.runtime import Runtime
from reports import alias_acts, allocating, match_following, match_groups, match_items, match_settling
from reports.match_groups import Decided, Group, Word

GROUPS_MAX = 1000
_TOLD_FAULTS = 5


class Verdict(StrEnum):
    """A person's word about a suggestion."""

    CONFIRM = "confirm"
    REJECT = "reject"


def judge(
    runtime: Runtime,
    session: Session,
    group_ids: Sequence[str],
    verdict: Verdict,
    word: Word,
    *,
    count: int | None = None,
) -> None:
    """Confirm or reject every suggestion named, or none: Conflict lists each that cannot be, and why.

    With `count` it also says how many of them the person saw as suggestions that wait.
    """
    groups = match_groups.held(session, group_ids)
    waiting = [group for group in groups.values() if group.is_suggested]
    if count is not None and len(waiting) != count:
        message = f"{len(waiting)} of these wait for a word now, not {count}: look again, nothing was done"
        raise Conflict(message, slug="bulk-changed")
    places: dict[str, int] = {}
    faults = []
    for place, group_id in enumerate(group_ids):
        why = "stands here twice" if group_id in places else _why_not(groups.get(group_id))
        places.setdefault(group_id, place)
        if why is not None:
            faults.append(Fault(f"group_ids.{place}", why))
    of_legs = []
    for leg in sorted({group.leg for group in waiting}):
        here = [group for group in waiting if group.leg is leg]
        their_ids = {id_ for group in here for id_ in group.their_ids}
        match_groups.refuse_closed(session, leg, their_ids)
        if verdict is Verdict.CONFIRM:
            our_ids = {id_ for group in here for id_ in group.our_ids}
            theirs = match_items.theirs(session, leg, their_ids)
            of_legs.append(Decided(here, match_items.ours(session, leg, our_ids), theirs))
            faults += _clashing(of_legs[-1], places)
    if faults:
        raise _none_done(faults)
    for decided in of_legs:
        _confirm(runtime, session, decided, word)
    for group in waiting if verdict is Verdict.REJECT else []:
        shown = match_groups.shown(group.rows)
        event = match_groups.told(runtime, session, group, "rejected", word, before=shown, after=[])
        match_groups.reject(session, event, group.rows)
        match_groups.delete(session, group)


def take_effect(runtime: Runtime, session: Session, decided: Decided, word: Word) -> None:
    """Do what follows when groups of one leg are confirmed: aliases, settlements, discrepancies."""
    session.flush()
    alias_acts.learn(runtime, session, decided, word.actor)
    match_settling.settle(runtime, session, decided.leg, set(decided.ours), word.actor)
    match_following.follow(runtime, session, decided.leg, our_ids=set(decided.ours), their_ids=set(decided.theirs))


def _confirm(runtime: Runtime, session: Session, decided: Decided, word: Word) -> None:
    for group in decided.groups:
        before = match_groups.shown(group.rows)
        for row in group.rows:
            row.state, row.made_by = "confirmed", word.actor.id
        after = match_groups.shown(group.rows)
        match_groups.told(runtime, session, group, "confirmed", word, before=before, after=after)
    take_effect(runtime, session, decided, word)


def _clashing(decided: Decided, places: Mapping[str, int]) -> list[Fault]:
    """Return why each group cannot be confirmed after those before it in the list."""
    faults = []
    our = {id_: subject.item for id_, subject in decided.ours.items() if not subject.refused}
    their = {id_: subject.item for id_, subject in decided.theirs.items() if not subject.refused}
    for group in sorted(decided.groups, key=lambda each: places[each.id]):
        clashes = allocating.clashes(group.edges, our, their)
        paid = match_settling.paid_otherwise(decided.leg, decided.ours, group.edges)
        why_not = [*(f"{id_}: {why}" for id_, why in clashes.items()), *paid]
        faults += [Fault(f"group_ids.{places[group.id]}", why) for why in why_not]
        if not clashes:
            for edge in group.edges:
                our[edge.our_id] = allocating.after(our[edge.our_id], [edge.ours_minor])
                their[edge.their_id] = allocating.after(their[edge.their_id], [edge.allocated_minor])
    return faults


def _why_not(group: Group | None) -> str | None:
    if group is None:
        return "is no group of matches"
    return None if group.is_suggested else "is confirmed already"


def _none_done(faults: list[Fault]) -> Conflict:
    faults = sorted(faults, key=lambda fault: int(fault.field.rpartition(".")[2]))
    message = f"nothing was done: {'; '.join(f'{fault.field}: {fault.reason}' for fault in faults[:_TOLD_FAULTS])}"
    return Conflict(message, slug="match-refused", faults=faults)
