"""How a payout moves from state to state: by the table, by a conditional update, and on the record."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict
from core.runtime import Runtime
from payouts import content
from payouts.models import Accrual, BatchItem, Payout
from payouts.states import ItemState, PayoutState, check_move

REASON_LENGTH_MAX = 300


def move(runtime: Runtime, session: Session, payout: Payout, after: PayoutState, *, reason: str, actor: Actor) -> None:
    """Move one payout and note why; raise Conflict when the table has no such move or somebody was quicker."""
    before = payout.state
    check_move(payout.id, before, after)
    session.flush()
    move_all(session, [payout], PayoutState(before), after, reason=reason[:REASON_LENGTH_MAX])
    act = Act(
        actor, str(after), content.KIND, payout.id, runtime.clock(), {"state": before}, {"state": str(after)}, reason
    )
    audit.record(session, act)


def move_all(
    session: Session, payouts: Iterable[Payout], before: PayoutState, after: PayoutState, *, reason: str | None = None
) -> None:
    """Move payouts that are all `before`; raise Conflict, with none moved, when one no longer is."""
    payouts = list(payouts)
    ids = [payout.id for payout in payouts]
    for payout_id in ids[:1]:
        check_move(payout_id, before, after)
    session.flush()
    moved = session.execute(
        sa.update(Payout)
        .where(Payout.id.in_(ids), Payout.state == before)
        .values(state=after, version=Payout.version + 1, reason=reason)
        .returning(Payout.id)
        .execution_options(synchronize_session=False)
    ).all()
    if len(moved) != len(ids):
        message = f"{len(ids) - len(moved)} of these payouts are no longer {before}"
        raise Conflict(message)
    for payout in payouts:
        session.expire(payout, ["state", "version", "reason"])


def end(runtime: Runtime, session: Session, payout: Payout, after: PayoutState, *, reason: str, actor: Actor) -> None:
    """End a payout and let its accruals go. One that was paid once and came back waits instead, with its accruals.

    They stand on its self-billing document, and must not stand on another one.
    """
    if was_returned(session, payout.id):
        move(runtime, session, payout, PayoutState.RETURNED, reason=reason, actor=actor)
        return
    move(runtime, session, payout, after, reason=reason, actor=actor)
    free(session, payout)


def was_returned(session: Session, payout_id: str) -> bool:
    """Say whether a payment of this payout has come back."""
    found = sa.select(BatchItem.payout_id).where(
        BatchItem.payout_id == payout_id, BatchItem.state == ItemState.RETURNED
    )
    return session.scalar(found.limit(1)) is not None


def free(session: Session, payout: Payout, *, but: set[str] | None = None) -> None:
    """Take the accruals of `payout` out of it, except those of `but`: the next bundling finds them."""
    session.flush()
    ids = session.scalars(sa.select(Accrual.id).where(Accrual.payout_id == payout.id)).all()
    freed = [{"id": accrual_id, "payout_id": None} for accrual_id in ids if accrual_id not in (but or set())]
    if freed:
        session.execute(sa.update(Accrual), freed)


def locked(session: Session, payout_id: str) -> Payout:
    """Return the payout as it is behind its lock."""
    return session.get_one(Payout, payout_id, with_for_update=True, populate_existing=True)
