"""Groups of people, such as legal: who is in one, and who put him there."""

import re
from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import GroupMember, Staff
from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import insert_new
from core.errors import Fault, Forbidden, Invalid, NotFound
from core.runtime import Runtime

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)


def members(session: Session) -> dict[str, frozenset[str]]:
    """Return the staff ids of every group, by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in session.execute(sa.select(GroupMember.group_name, GroupMember.staff_id)):
        found[row.group_name].add(row.staff_id)
    return {name: frozenset(ids) for name, ids in sorted(found.items())}


def add(runtime: Runtime, session: Session, name: str, staff_id: str, *, actor: Actor) -> None:
    """Put a person into the group `name`; twice changes nothing.

    Raise Invalid for a name that is none, NotFound for an unknown person, Forbidden for oneself.
    """
    if not NAME.fullmatch(name):
        raise Invalid.of(Fault("name", "takes a lower-case letter and up to 39 of a-z, 0-9, _ and -"))
    _check(session, staff_id, actor)
    row = {"group_name": name, "staff_id": staff_id, "added_at": runtime.clock(), "added_by": actor.id}
    if insert_new(session, GroupMember, [row], key=["group_name", "staff_id"]):
        audit.record(session, Act(actor, "added to group", "staff", staff_id, runtime.clock(), after={"group": name}))


def remove(runtime: Runtime, session: Session, name: str, staff_id: str, *, actor: Actor) -> None:
    """Take a person out of the group `name`; raise NotFound when he is not in it."""
    _check(session, staff_id, actor)
    gone = session.execute(
        sa.delete(GroupMember)
        .where(GroupMember.group_name == name, GroupMember.staff_id == staff_id)
        .returning(GroupMember.staff_id)
    ).all()
    if not gone:
        message = f"{staff_id} is not in the group {name}"
        raise NotFound(message)
    audit.record(session, Act(actor, "removed from group", "staff", staff_id, runtime.clock(), before={"group": name}))


def _check(session: Session, staff_id: str, actor: Actor) -> None:
    if session.get(Staff, staff_id) is None:
        message = f"there is no person {staff_id}"
        raise NotFound(message)
    # Who decides is never one's own choice.
    if staff_id == actor.id:
        message = "nobody changes his own groups: another admin does"
        raise Forbidden(message, slug="own-group")
