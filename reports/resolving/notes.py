"""Notes on discrepancies, and who looks after them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import Staff
from access.roles import Role
from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from reports.models import Discrepancy
from reports.resolving.models import DiscrepancyNote

# Who may look after one: those who may resolve it.
OWNERS = (Role.FINANCE, Role.MANAGER)


def add(runtime: Runtime, session: Session, discrepancy_id: str, text: str, *, actor: Actor) -> DiscrepancyNote:
    """Note something about a discrepancy, for good; raise NotFound when there is none."""
    found = rows.existing(session, Discrepancy, discrepancy_id)
    return write(runtime, session, found, text, author_id=actor.id)


def write(runtime: Runtime, session: Session, found: Discrepancy, text: str, *, author_id: str) -> DiscrepancyNote:
    """Note what a person said, or what became of it by itself."""
    note = DiscrepancyNote(
        id=runtime.new_id("nte"),
        discrepancy_id=found.id,
        author_id=author_id,
        text=text[:2000],
        created_at=runtime.clock(),
    )
    session.add(note)
    session.flush()
    return note


def of(session: Session, discrepancy_id: str) -> Sequence[DiscrepancyNote]:
    """Return a discrepancy's notes, the oldest first."""
    statement = sa.select(DiscrepancyNote).where(DiscrepancyNote.discrepancy_id == discrepancy_id)
    return session.scalars(statement.order_by(DiscrepancyNote.id)).all()


def assign(
    runtime: Runtime, session: Session, discrepancy_id: str, *, owner: str | None, version: int, actor: Actor
) -> Discrepancy:
    """Say who looks after a discrepancy, None for nobody.

    Raise NotFound, Conflict when it moved on from `version` or its month is closed, Invalid for who may not resolve it.
    """
    found = rows.locked(session, Discrepancy, discrepancy_id, version=version)
    refuse_closed(session, found.period)
    if owner is not None:
        _refuse_owner(session, owner)
    before, found.owner = found.owner, owner
    found.version += 1
    act = Act(
        actor, "assigned", "discrepancy", found.id, runtime.clock(), before={"owner": before}, after={"owner": owner}
    )
    audit.record(session, act)
    return found


def refuse_closed(session: Session, period: str) -> None:
    """Raise Conflict when `period` is closed."""
    if periods.is_closed(session, period):
        message = f"{period} is closed: what was reconciled then stays as it was"
        raise Conflict(message, slug="period-closed")


def _refuse_owner(session: Session, owner: str) -> None:
    person = session.get(Staff, owner)
    if person is None or person.disabled_at is not None or not set(person.roles) & {role.value for role in OWNERS}:
        raise Invalid.of(Fault("owner", f"takes a person with one of the roles {', '.join(OWNERS)}"))
