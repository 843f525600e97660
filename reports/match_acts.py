"""What people do to matches by hand: match, undo, part and join.

Each act is one transaction under the lock of the runs, has a reason, and is told in the match's story and the audit
log. None is done in a closed month.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import among, lock
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime
from reports import alias_acts, allocating, match_following, match_groups, match_items, match_judging, match_settling
from reports.allocating import Allocation, Edge, Refused
from reports.match_groups import Decided, Group, Word
from reports.match_items import Subject
from reports.match_models import Match, MatchRejection
from reports.matching import Leg, Pass
from reports.reconciliation import LOCK

ITEMS_MAX = 500


@dataclass(frozen=True)
class Said:
    """So much of one item of theirs is so much of one of ours."""

    our_id: str
    their_id: str
    amount: Money


@dataclass(frozen=True)
class NewMatch:
    """Items that a person says are the same; with `allocations` as much of each as they say."""

    leg: Leg
    ours: Sequence[str]
    theirs: Sequence[str]
    reason: str
    allocations: Sequence[Said] = ()


def match(runtime: Runtime, session: Session, new: NewMatch, word: Word) -> str:
    """Match the named items and return the id of their group.

    Suggestions that pair two of them are dropped, and an earlier word that the two are not the same is taken back.
    Raise Invalid with every fault, Conflict for what is matched already, a closed month, or one never reconciled.
    """
    lock(session, LOCK)
    ours, theirs = match_items.ours(session, new.leg, new.ours), match_items.theirs(session, new.leg, new.theirs)
    _refuse_unfit(new, ours, theirs)
    match_groups.refuse_closed(session, new.leg, new.theirs)
    allocations = [Allocation(each.our_id, each.their_id, each.amount.amount_minor) for each in new.allocations]
    edges = allocating.match(
        [ours[id_].item for id_ in new.ours], [theirs[id_].item for id_ in new.theirs], allocations
    )
    if isinstance(edges, Refused):
        raise _refusal(edges)
    paid = match_settling.paid_otherwise(new.leg, ours, edges)
    if paid:
        raise Conflict("; ".join(paid), slug="paid-otherwise")
    _forget_guesses(session, new.leg, edges)
    line = theirs[max(new.theirs, key=lambda id_: theirs[id_].month)]
    months = [line.month, *sorted((subject.month for subject in ours.values()), reverse=True)]
    run = match_following.needed_run(session, new.leg, months, line.source_id)
    ids = [runtime.new_id("mat") for _ in edges]
    group_id = ids[0] if len(ids) == 1 else runtime.new_id("mgr")
    rows = [
        Match(
            id=id_, group_id=group_id, reconciliation_id=run.id, leg=new.leg.value, matched_by=Pass.MANUAL.value,
            our_id=edge.our_id, their_id=edge.their_id, allocated_minor=edge.allocated_minor,
            difference_minor=edge.difference_minor, currency=line.item.currency, state="confirmed",
            is_whole=edge.is_whole, made_by=word.actor.id, created_at=runtime.clock(),
        )
        for id_, edge in zip(ids, edges, strict=True)
    ]  # fmt: skip
    session.add_all(rows)
    group = Group(group_id, rows, 0)
    match_groups.told(runtime, session, group, "matched", word, before=[], after=match_groups.shown(rows))
    match_judging.take_effect(runtime, session, Decided([group], ours, theirs), word)
    return group_id


def unmatch(runtime: Runtime, session: Session, group_id: str, word: Word, *, version: int | None = None) -> None:
    """Take a confirmed match apart. What a pass had found is not found again; a settled payment stays matched."""
    group = match_groups.confirmed(match_groups.held_one(session, group_id, version=version))
    match_groups.refuse_closed(session, group.leg, group.their_ids)
    match_settling.refuse_settled(session, group)
    undone = Decided(
        [group],
        match_items.ours(session, group.leg, group.our_ids),
        match_items.theirs(session, group.leg, group.their_ids),
    )
    alias_acts.forget(runtime, session, undone, word)
    event = match_groups.told(
        runtime, session, group, "unmatched", word, before=match_groups.shown(group.rows), after=[]
    )
    match_groups.reject(session, event, group.rows)
    match_groups.delete(session, group)
    match_following.follow(runtime, session, group.leg, our_ids=group.our_ids, their_ids=group.their_ids)


def split(
    runtime: Runtime,
    session: Session,
    group_id: str,
    word: Word,
    *,
    our_ids: Sequence[str] = (),
    their_ids: Sequence[str] = (),
    version: int | None = None,
) -> str:
    """Let the edges at the named items leave their group for one of their own, and return its id."""
    group = match_groups.confirmed(match_groups.held_one(session, group_id, version=version))
    match_groups.refuse_closed(session, group.leg, group.their_ids)
    parts = allocating.parted(group.edges, our_ids=our_ids, their_ids=their_ids)
    if isinstance(parts, Refused):
        raise Invalid.of(*parts.faults)
    leaving = {(edge.our_id, edge.their_id) for edge in parts[1]}
    rows = [row for row in group.rows if (row.our_id, row.their_id) in leaving]
    staying = [row for row in group.rows if (row.our_id, row.their_id) not in leaving]
    # An edge alone has its own id for a group, unless another group is called so.
    is_free = len(rows) == 1 and not match_groups.held(session, [rows[0].id])
    new_id = rows[0].id if is_free else runtime.new_id("mgr")
    before, left, gone = match_groups.shown(group.rows), match_groups.shown(staying), match_groups.shown(rows)
    for row in group.rows:
        row.made_by = row.made_by or word.actor.id
        row.group_id = new_id if row in rows else group_id
    match_groups.told(runtime, session, group, "split", word, before=before, after=left)
    match_groups.told(runtime, session, Group(new_id, rows, 0), "split", word, before=[], after=gone)
    return new_id


def merge(runtime: Runtime, session: Session, group_ids: Sequence[str], word: Word) -> str:
    """Put confirmed groups together into a new one, and return its id: what they lack then stands together."""
    found = match_groups.held(session, group_ids)
    faults = [
        Fault(f"group_ids.{place}", "is no group of matches" if group_id not in found else "stands here twice")
        for place, group_id in enumerate(group_ids)
        if group_id not in found or group_id in group_ids[:place]
    ]
    groups = [found[group_id] for group_id in dict.fromkeys(group_ids) if group_id in found]
    kinds = {(group.leg, group.rows[0].currency) for group in groups}
    if len(kinds) > 1:
        faults.append(Fault("group_ids", "are of several legs or currencies"))
    if faults:
        raise Invalid.of(*faults)
    for group in groups:
        match_groups.refuse_closed(session, match_groups.confirmed(group).leg, group.their_ids)
    whole = Group(runtime.new_id("mgr"), [row for group in groups for row in group.rows], 0)
    for group in groups:
        shown = match_groups.shown(group.rows)
        match_groups.told(runtime, session, group, "merged", word, before=shown, after=[])
    for row in whole.rows:
        row.group_id, row.made_by = whole.id, row.made_by or word.actor.id
    match_groups.told(runtime, session, whole, "merged", word, before=[], after=match_groups.shown(whole.rows))
    return whole.id


def _refuse_unfit(new: NewMatch, ours: dict[str, Subject], theirs: dict[str, Subject]) -> None:
    faults = []
    for field, ids, known, what in (("ours", new.ours, ours, "our"), ("theirs", new.theirs, theirs, "their")):
        for place, id_ in enumerate(ids):
            if id_ not in known:
                faults.append(Fault(f"{field}.{place}", f"is none of {what} items on the leg {new.leg}"))
            elif known[id_].refused:
                faults.append(Fault(f"{field}.{place}", known[id_].refused or ""))
    of_source = {subject.source_id for subject in ours.values()}
    faults += [
        Fault(f"theirs.{place}", "is of another source than ours")
        for place, id_ in enumerate(new.theirs)
        # A bank's line is of no source.
        if id_ in theirs and ours and theirs[id_].source_id is not None and of_source != {theirs[id_].source_id}
    ]
    currencies = {subject.item.currency for subject in theirs.values()}
    faults += [
        Fault(f"allocations.{place}.amount", f"is in {each.amount.currency}, and what it is taken of is not")
        for place, each in enumerate(new.allocations)
        if theirs and currencies != {each.amount.currency}
    ]
    if faults:
        raise Invalid.of(*faults)


def _refusal(refused: Refused) -> Exception:
    if not refused.is_conflict:
        return Invalid.of(*refused.faults)
    message = "; ".join(f"{fault.field}: {fault.reason}" for fault in refused.faults)
    return Conflict(message, slug="item-taken", faults=refused.faults)


def _forget_guesses(session: Session, leg: Leg, edges: Sequence[Edge]) -> None:
    """Drop suggestions that pair what is matched now, and earlier words that the two are not the same.

    Raise Conflict where two are matched with each other already: an edge has one amount.
    """
    pairs = {(edge.our_id, edge.their_id) for edge in edges}
    known = sa.select(Match).where(Match.leg == leg, among(session, Match.our_id, {our for our, _ in pairs}))
    rows = [row for row in session.scalars(known) if (row.our_id, row.their_id) in pairs]
    standing = sorted(f"{row.our_id} and {row.their_id}, in {row.group_id}" for row in rows if row.state == "confirmed")
    if standing:
        message = f"are matched with each other already, unmatch them first: {'; '.join(standing)}"
        raise Conflict(message, slug="item-taken")
    session.execute(
        sa.delete(Match).where(
            Match.state == "suggested", among(session, Match.group_id, {row.group_id for row in rows})
        ),
        execution_options={"synchronize_session": False},
    )
    for our_id, their_id in sorted(pairs):
        session.execute(
            sa.delete(MatchRejection).where(
                MatchRejection.leg == leg, MatchRejection.our_id == our_id, MatchRejection.their_id == their_id
            )
        )
