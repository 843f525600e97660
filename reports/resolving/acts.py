"""Resolving: one discrepancy, or many at once, all or nothing; what is said is checked by the tables first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime
from reports import taxonomy
from reports.matching import STATE_AFTER, DiscrepancyState, Resolution, difference
from reports.models import Discrepancy, NetworkLine
from reports.reconciliation import LOCK
from reports.resolving import adjusting, claiming, creating, notes, standing
from reports.resolving.creating import Missing
from reports.taxonomy import Standing

IDS_MAX = 500
# What can be said about many at once: nothing that asks something about each.
TOGETHER = (Resolution.EXPLAINED, Resolution.CARRY_FORWARD, Resolution.ACCEPT, Resolution.WRITE_OFF)
_NOW = "not-allowed-now"


@dataclass(frozen=True)
class Said:
    """What a person says about a discrepancy, as he saw it at `version`.

    `click_id` and `event` are for the conversion that is created, where the network's line does not name them.
    """

    resolution: Resolution
    note: str
    version: int
    click_id: str | None = None
    event: str | None = None


@dataclass(frozen=True)
class SaidOfMany:
    """One word about `ids`: `count` and `sums`, the differences one a currency, are what the person saw of them."""

    ids: Sequence[str]
    resolution: Resolution
    note: str
    count: int
    sums: Sequence[Money]


def resolve(runtime: Runtime, session: Session, discrepancy_id: str, said: Said, *, actor: Actor) -> Discrepancy:
    """Do what a person says about a discrepancy; an act of a person, audited.

    Raise NotFound; Conflict when its version moved on, its month is closed, or the tables do not allow it now; Invalid
    for what the resolution lacks.
    """
    # Under the lock of the runs: one that is under way would overwrite what is said here.
    lock(session, LOCK)
    found = rows.locked(session, Discrepancy, discrepancy_id, version=said.version)
    notes.refuse_closed(session, found.period)
    _refuse_more(said)
    stands = standing.of(session, found)
    if reason := taxonomy.refusal(stands, said.resolution):
        raise Conflict(reason, slug=_NOW)
    _do(runtime, session, found, said, stands, actor=actor)
    return found


def resolve_many(runtime: Runtime, session: Session, said: SaidOfMany, *, actor: Actor) -> list[Discrepancy]:
    """Say the same about every one of `ids`, in their order, or about none.

    Raise Invalid for a list that names one twice or what is none; Conflict when one may not be resolved so, naming
    each, or when they no longer are `count` and `sums`.
    """
    lock(session, LOCK)
    found = _locked(session, said.ids)
    every = [found[id_] for id_ in said.ids]
    for period in sorted({each.period for each in every}):
        notes.refuse_closed(session, period)
    stands = [standing.of(session, each) for each in every]
    faults = [
        Fault(f"ids.{position}", reason)
        for position, each in enumerate(stands)
        if (reason := _refusal_among_many(each, said.resolution))
    ]
    if faults:
        message = f"{len(faults)} of these cannot be resolved as {said.resolution.value}: nothing was done"
        raise Conflict(message, slug=_NOW, faults=faults)
    _refuse_other_sums(every, said)
    for each, stood in zip(every, stands, strict=True):
        one = Said(said.resolution, said.note, each.version)
        _do(runtime, session, each, one, stood, actor=actor)
    return every


def _do(runtime: Runtime, session: Session, found: Discrepancy, said: Said, stands: Standing, *, actor: Actor) -> None:
    now = runtime.clock()
    before = {"state": found.state, "resolution": found.resolution}
    found.state, found.resolution, found.note = STATE_AFTER[said.resolution], said.resolution.value, said.note
    found.resolved_by, found.resolved_at = actor.id, now
    found.version += 1
    session.flush()
    match said.resolution:
        case Resolution.ACCEPT | Resolution.WRITE_OFF:
            adjusting.ask(runtime, session, found, _left(found, stands), said.resolution, actor=actor)
        case Resolution.CLAIM:
            claiming.claim(runtime, session, found, _short(found, stands), actor=actor)
        case Resolution.CREATE_CONVERSION:
            line = rows.existing(session, NetworkLine, found.line_id or "")
            missing = Missing(said.click_id, said.event)
            found.conversion_id = creating.create(runtime, session, line, missing, reason=said.note, actor=actor)
        case Resolution.EXPLAINED | Resolution.CARRY_FORWARD:
            pass  # said, and nothing to do
        case _:
            assert_never(said.resolution)
    after = {"state": found.state, "resolution": found.resolution}
    act = Act(actor, "resolved", "discrepancy", found.id, now, before=before, after=after, reason=said.note)
    audit.record(session, act)


def _left(found: Discrepancy, stands: Standing) -> Money:
    currency = standing.currency_of(found)
    if stands.difference_minor is None or currency is None:
        message = "the tables allow no adjustment without a difference in one currency"
        raise ValueError(message)
    return Money(stands.difference_minor, currency)


def _short(found: Discrepancy, stands: Standing) -> Money | None:
    """Return what we are short of: what is left of a difference against us, or all of ours between two currencies."""
    if stands.difference_minor is None:
        is_told = found.ours_minor and found.ours_currency
        return Money(found.ours_minor or 0, found.ours_currency or "") if is_told else None
    return -_left(found, stands) if stands.difference_minor < 0 else None


def _refuse_more(said: Said) -> None:
    if said.resolution is not Resolution.CREATE_CONVERSION:
        given = {"click_id": said.click_id, "event": said.event}
        if faults := [
            Fault(name, f"says nothing beside {said.resolution.value}") for name, value in given.items() if value
        ]:
            raise Invalid.of(*faults)


def _refusal_among_many(stands: Standing, resolution: Resolution) -> str | None:
    reason = taxonomy.refusal(stands, resolution)
    if reason is None and stands.state is not DiscrepancyState.OPEN:
        return f"is {stands.state.value}: many at once takes open ones alone"
    return reason


def _locked(session: Session, ids: Sequence[str]) -> Mapping[str, Discrepancy]:
    statement = (
        sa.select(Discrepancy)
        .where(Discrepancy.id.in_(ids))
        .order_by(Discrepancy.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {each.id: each for each in session.scalars(statement)}
    seen: set[str] = set()
    faults = []
    for position, id_ in enumerate(ids):
        if id_ not in found or id_ in seen:
            faults.append(Fault(f"ids.{position}", "stands here twice" if id_ in seen else "is no discrepancy"))
        seen.add(id_)
    if faults:
        raise Invalid.of(*faults)
    return found


def _refuse_other_sums(every: Sequence[Discrepancy], said: SaidOfMany) -> None:
    wanted = {money.currency: money.amount_minor for money in said.sums}
    if len(wanted) < len(said.sums):
        raise Invalid.of(Fault("sums", "takes one amount a currency"))
    sums: dict[str, int] = {}
    for each in every:
        off = difference(each.ours_minor, each.ours_currency, each.theirs_minor, each.theirs_currency)
        if off is not None:
            sums[off[1]] = sums.get(off[1], 0) + off[0]
    if len(every) != said.count or sums != wanted:
        now = " and ".join(str(Money(minor, currency)) for currency, minor in sorted(sums.items())) or "nothing"
        message = f"these are {len(every)}, and their differences come to {now}: look again, nothing was done"
        raise Conflict(message, slug="bulk-changed")
