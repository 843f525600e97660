"""Read a window of receipts again under today's mapping: a dry run that is kept, and what a second person applies.

A short window is done within the request. A longer one is done by the stage `reprocessing`, a part a commit, so that no
postback waits behind it; before the first part is applied all of them are found again as they were read.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, doorbell
from core.actors import Actor, ActorKind
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.rows import locked
from core.runtime import Runtime
from partners.models import Source
from postback import replays, reprocessing_parts
from postback.models import Reprocessing
from postback.replays import Window

# More would hold SQLite's one write lock, and conversions on PostgreSQL, for longer than a postback may wait.
RECEIPTS_MAX = 5_000
# About half a second on SQLite.
PART_RECEIPTS_MAX = 1_000
WINDOW_RECEIPTS_MAX = 1_000_000
STAGE = "reprocessing"


def propose(runtime: Runtime, session: Session, window: Window, *, actor: Actor) -> Reprocessing:
    """Look at what reading `window` again would change, and keep that; nothing else is touched.

    Its state is `planned`; `planning` where the stage goes on with it, for more than RECEIPTS_MAX receipts. Raise
    Invalid for an unknown source, a window that is none, and one with more than WINDOW_RECEIPTS_MAX receipts.
    """
    now = runtime.clock()
    source = session.get(Source, window.source_id)
    found = [] if source else [Fault("source_id", "is no source")]
    if window.since >= window.until:
        found.append(Fault("from", "lies before until"))
    if window.until > now:
        found.append(Fault("until", "lies in the future: what comes until then nobody has seen"))
    receipts = 0 if found else replays.count(session, window.span)
    if receipts > WINDOW_RECEIPTS_MAX:
        found.append(Fault("until", f"the window holds more than {WINDOW_RECEIPTS_MAX} receipts: take a part of it"))
    if found or source is None:
        raise Invalid.of(*found)
    row = Reprocessing(
        id=runtime.new_id("rpr"), source_id=window.source_id, since=window.since, until=window.until,
        revision=source.revision, content_sha256="", state="planning", receipts=receipts,
        progress={"read": 0, "checked": 0, "applied": 0}, summary=dict(reprocessing_parts.NOTHING), examples=[],
        created_at=now, created_by=actor.id,
    )  # fmt: skip
    session.add(row)
    session.flush()
    audit.record(session, Act(actor, "asked for", "reprocessing", row.id, now, after=_window(row)))
    if receipts <= RECEIPTS_MAX:
        _read(runtime, session, row, limit=None)
    else:
        doorbell.after_commit(session, STAGE)
    return row


def apply(runtime: Runtime, session: Session, reprocessing_id: str, *, actor: Actor) -> Reprocessing:
    """Do what a dry run said: invalid receipts become conversions, others are adjusted, each with an event.

    A long one goes on in the stage, in state `applying`. Raise NotFound, Forbidden to who made the dry run, and
    Conflict when it is not finished, was applied before or anything that it rests on has moved on: the source, the
    receipts of the window or their conversions.
    """
    row = locked(session, Reprocessing, reprocessing_id)
    if row.created_by == actor.id:
        message = "whoever made the dry run does not apply it: that takes another person"
        raise Forbidden(message)
    if row.state == "planning":
        message = f"{row.id} is still being read: look at what it says first"
        raise Conflict(message, slug="still-planning")
    if row.state != "planned":
        message = f"{row.id} is {row.state} already"
        raise Conflict(message, slug="applied-already")
    row.state, row.applied_at, row.applied_by = "applying", runtime.clock(), actor.id
    row.result = {"recorded": 0, "adjusted": 0}
    if row.receipts > RECEIPTS_MAX:
        audit.record(session, Act(actor, "agreed to", "reprocessing", row.id, runtime.clock(), after=_facts(row)))
        doorbell.after_commit(session, STAGE)
        return row
    while row.state == "applying":
        _apply_next(runtime, session, row)
    return row


def waiting(session: Session) -> str | None:
    """Return the id of the first reprocessing that the stage is to go on with."""
    statement = sa.select(Reprocessing.id).where(Reprocessing.state.in_(["planning", "applying"]))
    return session.scalar(statement.order_by(Reprocessing.id).limit(1))


def go_on(runtime: Runtime, session: Session, reprocessing_id: str) -> None:
    """Do the next part of a long one; raise Conflict when what it rests on has moved on: it is to be stopped then."""
    row = locked(session, Reprocessing, reprocessing_id)
    if row.state == "planning":
        _read(runtime, session, row, limit=PART_RECEIPTS_MAX)
    elif row.state == "applying":
        part = reprocessing_parts.unchecked(session, row)
        if part is not None:
            reprocessing_parts.check(runtime, session, row, part)
        else:
            _apply_next(runtime, session, row)


def stop(runtime: Runtime, session: Session, reprocessing_id: str, error: Conflict) -> None:
    """End a long one that cannot go on; what it has done so far stays, and its result says it."""
    row = locked(session, Reprocessing, reprocessing_id)
    row.state, row.reason = "stopped", error.slug
    reprocessing_parts.forget_keys(session, row)
    after = {"reason": error.slug, "result": row.result, "progress": row.progress}
    who = _person(row.applied_by or row.created_by)
    audit.record(session, Act(who, "was stopped in", "reprocessing", row.id, runtime.clock(), after=after))


def _read(runtime: Runtime, session: Session, row: Reprocessing, *, limit: int | None) -> None:
    if reprocessing_parts.read(runtime, session, row, limit=limit):
        row.state, row.content_sha256 = "planned", reprocessing_parts.digest(session, row)
        act = Act(_person(row.created_by), "proposed", "reprocessing", row.id, runtime.clock(), after=_facts(row))
        audit.record(session, act)


def _apply_next(runtime: Runtime, session: Session, row: Reprocessing) -> None:
    # Two over the same receipts, one after the other: the second then finds that they have moved on.
    lock(session, f"reprocessing of {row.source_id}")
    actor = _person(row.applied_by or "")
    part = reprocessing_parts.unapplied(session, row)
    if part is not None:
        reprocessing_parts.apply(runtime, session, row, part, actor=actor)
        return
    row.state = "applied"
    reprocessing_parts.forget_keys(session, row)
    facts = _facts(row)
    act = Act(actor, "applied", "reprocessing", row.id, runtime.clock(), before=facts, after=row.result)
    audit.record(session, act)


def _person(staff_id: str) -> Actor:
    # The doors of proposing and applying let people in, and nobody else.
    return Actor(ActorKind.STAFF, staff_id)


def _window(row: Reprocessing) -> dict[str, Any]:
    return {"source_id": row.source_id, "from": row.since.isoformat(), "until": row.until.isoformat()}


def _facts(row: Reprocessing) -> dict[str, Any]:
    return _window(row) | {
        "content_sha256": row.content_sha256, "findings": row.summary["findings"], "payouts": row.summary["payouts"],
    }  # fmt: skip
