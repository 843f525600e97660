"""Staff: who they are, how they sign in, what session they then have."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from access.models import Staff, StaffSession
from access.roles import Role
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime

PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 1000
SESSION_LIFE = timedelta(hours=12)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

# argon2id with the library's own parameters (RFC 9106, low-memory profile).
_hasher = PasswordHasher()
# Checked when the address is unknown, so that the answer takes as long as for a known one.
_DUMMY_HASH = _hasher.hash("no one has this password")


@dataclass(frozen=True)
class SignedIn:
    """A fresh session: `token` is the cookie's value, `csrf_token` goes back with every act."""

    token: str
    csrf_token: str
    staff_id: str
    expires_at: datetime


def create(runtime: Runtime, session: Session, *, email: str, roles: list[str], password: str, actor: Actor) -> Staff:
    """Add a person; raise Invalid with every fault, Conflict when the address is taken."""
    email = email.strip().lower()
    faults = []
    if not _EMAIL.fullmatch(email):
        faults.append(Fault("email", "is not an e-mail address"))
    faults += [
        Fault("role", f"{role!r} does not exist; these do: {', '.join(Role)}")
        for role in roles
        if role not in set(Role)
    ]
    if not roles:
        faults.append(Fault("role", "a person needs at least one"))
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        faults.append(Fault("password", f"takes {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"))
    if faults:
        raise Invalid.of(*faults)
    if session.scalar(sa.select(Staff.id).where(Staff.email == email)):
        message = f"{email} is already here"
        raise Conflict(message)
    now = runtime.clock()
    staff = Staff(
        id=runtime.new_id("stf"),
        email=email,
        password_hash=_hasher.hash(password),
        roles=sorted(set(roles)),
        created_at=now,
    )
    session.add(staff)
    # The address is personal and stays out of the audit log; the id leads to it.
    audit.record(session, Act(actor, "created", "staff", staff.id, now, after={"roles": staff.roles}))
    return staff


def verified(session: Session, *, email: str, password: str) -> Staff | None:
    """Return the person with this address and password, None for any other pair; both take the same time."""
    staff = session.scalar(sa.select(Staff).where(Staff.email == email.strip().lower()))
    stored = staff.password_hash if staff is not None else _DUMMY_HASH
    try:
        _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return None
    return staff if staff is not None and staff.disabled_at is None else None


def open_session(session: Session, staff: Staff, *, now: datetime) -> SignedIn:
    """Start a session for `staff`, twelve hours long."""
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            token_sha256=_sha256(token),
            staff_id=staff.id,
            csrf_token=csrf_token,
            created_at=now,
            expires_at=now + SESSION_LIFE,
        )
    )
    actor = Actor(ActorKind.STAFF, staff.id)
    audit.record(session, Act(actor, "signed in", "staff", staff.id, now))
    return SignedIn(token, csrf_token, staff.id, now + SESSION_LIFE)


def session_of(session: Session, token: str, *, now: datetime) -> tuple[StaffSession, Staff] | None:
    """Return the live session of a cookie and its person, None when it is unknown, over, or the person was disabled."""
    row = session.execute(
        sa.select(StaffSession, Staff)
        .join(Staff, Staff.id == StaffSession.staff_id)
        .where(StaffSession.token_sha256 == _sha256(token), StaffSession.expires_at > now, Staff.disabled_at.is_(None))
    ).one_or_none()
    return (row[0], row[1]) if row is not None else None


def actor_of(staff: Staff) -> Actor:
    """Return the person as an actor, with the roles of this moment."""
    return Actor(ActorKind.STAFF, staff.id, roles=frozenset(staff.roles))


def close_session(session: Session, token: str) -> None:
    """End a session; an unknown one changes nothing."""
    session.execute(sa.delete(StaffSession).where(StaffSession.token_sha256 == _sha256(token)))


def forget_ended_sessions(session: Session, *, now: datetime) -> None:
    """Delete the sessions that are over."""
    session.execute(sa.delete(StaffSession).where(StaffSession.expires_at <= now))


def csrf_matches(stored: str, sent: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(stored.encode(), sent.encode())


def enabled(session: Session) -> list[Staff]:
    """Return the people who may sign in, in the order they came."""
    return list(session.scalars(sa.select(Staff).where(Staff.disabled_at.is_(None)).order_by(Staff.id)))


def emails(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """Return the address of each person among `ids`, by id; an id that is no person's is left out."""
    rows = session.execute(sa.select(Staff.id, Staff.email).where(Staff.id.in_(set(ids))))
    return {row.id: row.email for row in rows}


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
