"""Which of our people a provider vouches for: bound once by a verified address, from then on by the subject."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import Staff, StaffIdentity
from access.oidc import Identity
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.runtime import Runtime


def staff_of(runtime: Runtime, session: Session, identity: Identity) -> Staff | None:
    """Return the person, and bind them at the first time; None for nobody, or for one who was turned away.

    The first time a verified address names them. After that the subject alone counts: an address that the provider
    gives to somebody else signs nobody in here, and one that changes there changes nothing.
    """
    bound = session.get(StaffIdentity, (identity.issuer, identity.subject))
    if bound is not None:
        staff = session.get_one(Staff, bound.staff_id)
        return staff if staff.disabled_at is None else None
    if identity.email is None:
        return None
    found = session.scalar(sa.select(Staff).where(Staff.email == identity.email, Staff.disabled_at.is_(None)))
    if found is None or _is_bound(session, identity.issuer, found.id):
        return None
    now = runtime.clock()
    session.add(StaffIdentity(issuer=identity.issuer, subject=identity.subject, staff_id=found.id, bound_at=now))
    after = {"issuer": identity.issuer}
    audit.record(
        session, Act(Actor(ActorKind.STAFF, found.id), "bound single sign-on to", "staff", found.id, now, after=after)
    )
    return found


def _is_bound(session: Session, issuer: str, staff_id: str) -> bool:
    same = sa.select(StaffIdentity.subject).where(StaffIdentity.issuer == issuer, StaffIdentity.staff_id == staff_id)
    return session.scalar(same.limit(1)) is not None
