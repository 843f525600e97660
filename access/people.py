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

from access.models import Staff, StaffIdentity, StaffSession
from access.roles import Role
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Invalid, NotFound
from core.rows import existing
from core.runtime import Runtime

PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 1000
SESSION_LIFE = timedelta(hours=12)
_SESSION_NAME_LENGTH = 12
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

# argon2id with the library's own parameters (RFC 9106, low-memory profile).
_hasher = PasswordHasher()
# Checked when the address is unknown, so that the answer takes as long as for a known one. No password has it, and none
# is hashed for it: that would cost every start of a process as much as a sign-in.
_DUMMY_HASH = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}${'A' * 22}${'A' * 43}"
)


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
    faults += _role_faults(roles)
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


def open_session(session: Session, staff: Staff, *, now: datetime, stepped_up_at: datetime | None = None) -> SignedIn:
    """Start a session for `staff`, twelve hours long; with a second factor, `stepped_up_at` is when it was shown."""
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add(
        StaffSession(
            token_sha256=_sha256(token),
            staff_id=staff.id,
            csrf_token=csrf_token,
            created_at=now,
            expires_at=now + SESSION_LIFE,
            stepped_up_at=stepped_up_at,
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


def sessions_of(session: Session, staff_id: str, *, now: datetime) -> list[StaffSession]:
    """Return a person's live sessions, the newest first."""
    statement = sa.select(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.expires_at > now)
    return list(session.scalars(statement.order_by(StaffSession.created_at.desc(), StaffSession.token_sha256)))


def end_session(session: Session, staff_id: str, name: str, *, actor: Actor, now: datetime) -> None:
    """End one of a person's sessions, by the first characters of its hash; raise NotFound."""
    found = [each for each in sessions_of(session, staff_id, now=now) if session_name(each) == name]
    if not found:
        message = "this session is over, or never was"
        raise NotFound(message)
    for each in found:
        session.delete(each)
    audit.record(session, Act(actor, "ended a session of", "staff", staff_id, now))


def end_sessions(session: Session, staff_id: str) -> None:
    """End every session of a person."""
    session.execute(sa.delete(StaffSession).where(StaffSession.staff_id == staff_id))


def session_name(found: StaffSession) -> str:
    """Return what a session is called on pages: too little to be mistaken for its cookie, enough to tell it apart."""
    return found.token_sha256[:_SESSION_NAME_LENGTH]


def change_roles(session: Session, staff_id: str, roles: list[str], *, actor: Actor, now: datetime) -> Staff:
    """Give a person other roles; raise Invalid with every fault, Conflict where no admin would be left."""
    staff = existing(session, Staff, staff_id)
    faults = _role_faults(roles)
    if faults:
        raise Invalid.of(*faults)
    if Role.ADMIN not in roles:
        _refuse_last_admin(session, staff)
    before = {"roles": staff.roles}
    staff.roles = sorted(set(roles))
    act = Act(actor, "changed", "staff", staff.id, now, before=before, after={"roles": staff.roles})
    audit.record(session, act)
    return staff


def disable(session: Session, staff_id: str, *, actor: Actor, now: datetime) -> Staff:
    """Turn a person away from now on, and end every session of theirs; raise Conflict for the last admin."""
    staff = existing(session, Staff, staff_id)
    if staff.disabled_at is None:
        _refuse_last_admin(session, staff)
        staff.disabled_at = now
        end_sessions(session, staff_id)
        # Let in again, single sign-on binds them anew: also the way for who is somebody else at the provider now.
        session.execute(sa.delete(StaffIdentity).where(StaffIdentity.staff_id == staff_id))
        audit.record(session, Act(actor, "disabled", "staff", staff.id, now))
    return staff


def enable(session: Session, staff_id: str, *, actor: Actor, now: datetime) -> Staff:
    """Let a person sign in again."""
    staff = existing(session, Staff, staff_id)
    if staff.disabled_at is not None:
        staff.disabled_at = None
        audit.record(session, Act(actor, "enabled", "staff", staff.id, now))
    return staff


def _refuse_last_admin(session: Session, staff: Staff) -> None:
    # Of two admins who turn each other away one goes first.
    lock(session, "admins")
    if Role.ADMIN in staff.roles and not any(
        Role.ADMIN in each.roles for each in enabled(session) if each.id != staff.id
    ):
        message = "no admin would be left: make another one first"
        raise Conflict(message, slug="last-admin")


def _role_faults(roles: list[str]) -> list[Fault]:
    faults = [
        Fault("role", f"{role!r} does not exist; these do: {', '.join(Role)}")
        for role in roles
        if role not in set(Role)
    ]
    if not roles:
        faults.append(Fault("role", "a person needs at least one"))
    return faults


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
