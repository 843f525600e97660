"""A person's second factor: a TOTP seed sealed in the database, or a passkey; and recovery codes that are good once.

Whoever has one shows it when he signs in, and again before money leaves or a month closes (`is_fresh`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import recovery, totp
from access.models import Passkey, SecondFactor, StaffSession
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.runtime import Runtime

# How long one showing of it holds for acts that move money.
FRESH_FOR = timedelta(minutes=10)


@dataclass(frozen=True)
class Kinds:
    """Which second factors a person has: a confirmed seed, a passkey."""

    totp: bool
    passkey: bool


def kinds(session: Session, staff_id: str) -> Kinds:
    """Return which the person has."""
    totp = _confirmed(SecondFactor.staff_id == staff_id).exists()
    passkey = sa.exists().where(Passkey.staff_id == staff_id)
    return Kinds(*session.execute(sa.select(totp, passkey)).one())


def is_on(session: Session, staff_id: str) -> bool:
    """Say whether the person has any."""
    found = kinds(session, staff_id)
    return found.totp or found.passkey


def holders(session: Session, among: Sequence[str]) -> set[str]:
    """Return those of the people `among` who have a second factor."""
    confirmed = sa.select(SecondFactor.staff_id).where(SecondFactor.confirmed_at.is_not(None))
    either = sa.union(
        confirmed.where(SecondFactor.staff_id.in_(among)),
        sa.select(Passkey.staff_id).where(Passkey.staff_id.in_(among)),
    )
    return set(session.scalars(either))


def begin(runtime: Runtime, session: Session, staff_id: str) -> str:
    """Make a new seed, base32, which counts once `confirm` was told a code of it; raise Conflict when one is on."""
    if kinds(session, staff_id).totp:
        message = "a second factor is on already: remove it first"
        raise Conflict(message, slug="second-factor-on")
    seed = pyotp.random_base32()
    session.execute(sa.delete(SecondFactor).where(SecondFactor.staff_id == staff_id))
    session.add(
        SecondFactor(
            staff_id=staff_id,
            sealed_seed=runtime.keyring.seal(seed.encode(), bound_to=_binding(staff_id)),
            created_at=runtime.clock(),
            last_step=0,
        )
    )
    session.flush()
    return seed


def seed_of(runtime: Runtime, session: Session, staff_id: str) -> str | None:
    """Return the seed that waits to be confirmed; None when none does, for a confirmed one is shown no more."""
    found = session.get(SecondFactor, staff_id)
    if found is None or found.confirmed_at is not None:
        return None
    return _seed(runtime, found)


def confirm(runtime: Runtime, session: Session, staff_id: str, code: str, *, actor: Actor) -> list[str]:
    """Turn it on by a code of it; return the recovery codes, shown this once. Raise Invalid for a wrong code."""
    found = session.get(SecondFactor, staff_id)
    if found is None or found.confirmed_at is not None:
        message = "no second factor waits to be confirmed"
        raise Conflict(message, slug="no-second-factor")
    step = totp.matched_step(_seed(runtime, found), code, now=runtime.clock(), after=found.last_step)
    if step is None:
        raise Invalid.of(Fault("code", "is not the code of now: is the clock of the device right?"))
    found.confirmed_at, found.last_step = runtime.clock(), step
    audit.record(session, Act(actor, "turned on a second factor of", "staff", staff_id, runtime.clock()))
    return recovery.issue(runtime, session, staff_id)


def accept(runtime: Runtime, session: Session, staff_id: str, code: str) -> bool:
    """Take a code of now, or a recovery code, for good: of two that bring the same one at once one is taken."""
    found = session.get(SecondFactor, staff_id)
    if found is not None and found.confirmed_at is not None:
        step = totp.matched_step(_seed(runtime, found), code, now=runtime.clock(), after=found.last_step)
        if step is not None:
            taken = sa.update(SecondFactor).where(SecondFactor.staff_id == staff_id, SecondFactor.last_step < step)
            return session.connection().execute(taken.values(last_step=step)).rowcount == 1
    return recovery.accept(runtime, session, staff_id, code)


def remove(session: Session, staff_id: str, *, actor: Actor, now: datetime) -> None:
    """Forget the seed; the recovery codes too where it was the only second factor."""
    session.flush()
    gone = session.connection().execute(sa.delete(SecondFactor).where(SecondFactor.staff_id == staff_id))
    settle(session, staff_id)
    if gone.rowcount:
        audit.record(session, Act(actor, "removed a second factor of", "staff", staff_id, now))


def remove_all(session: Session, staff_id: str, *, actor: Actor, now: datetime) -> None:
    """Forget the seed, every passkey and the recovery codes of somebody who has lost them."""
    gone = session.connection().execute(sa.delete(Passkey).where(Passkey.staff_id == staff_id))
    if gone.rowcount:
        audit.record(session, Act(actor, "removed the passkeys of", "staff", staff_id, now))
    remove(session, staff_id, actor=actor, now=now)


def settle(session: Session, staff_id: str) -> None:
    """Forget the recovery codes of a person who has no second factor any more."""
    if not is_on(session, staff_id):
        recovery.forget(session, staff_id)


def needed(session: Session, staff_session: StaffSession, *, now: datetime) -> Kinds | None:
    """Return what acts that move money take now, None for nothing: none is set up, or one was shown a moment ago."""
    shown = staff_session.stepped_up_at
    if shown is not None and now - shown <= FRESH_FOR:
        return None
    found = kinds(session, staff_session.staff_id)
    return found if found.totp or found.passkey else None


def is_fresh(session: Session, staff_session: StaffSession, *, now: datetime) -> bool:
    """Say whether acts that move money need nothing now."""
    return needed(session, staff_session, now=now) is None


def step_up(runtime: Runtime, session: Session, staff_session: StaffSession, code: str) -> None:
    """Show the second factor again; raise Invalid for a code that is not taken."""
    if not accept(runtime, session, staff_session.staff_id, code):
        raise Invalid.of(Fault("code", "is not a code of now, or was taken already"))
    freshen(session, staff_session, now=runtime.clock())


def freshen(session: Session, staff_session: StaffSession, *, now: datetime) -> None:
    """Note that the session has just shown its second factor."""
    same = StaffSession.token_sha256 == staff_session.token_sha256
    session.execute(sa.update(StaffSession).where(same).values(stepped_up_at=now))


def demand(session: Session, staff_session: StaffSession | None, *, now: datetime) -> None:
    """Raise Forbidden for a person who has a second factor and has not shown it of late."""
    if staff_session is not None and not is_fresh(session, staff_session, now=now):
        message = "show your second factor first: POST /session/step-up with its code, then send this again"
        raise Forbidden(message, slug="step-up-needed")


def reseal(runtime: Runtime, session: Session) -> int:
    """Bring every seed under the present key-encryption key; return how many there are."""
    rows = session.scalars(sa.select(SecondFactor).order_by(SecondFactor.staff_id).with_for_update()).all()
    for row in rows:
        row.sealed_seed = runtime.keyring.resealed(row.sealed_seed, bound_to=_binding(row.staff_id))
    return len(rows)


def _confirmed(whose: sa.ColumnElement[bool]) -> sa.Select[str]:
    return sa.select(SecondFactor.staff_id).where(whose, SecondFactor.confirmed_at.is_not(None))


def _seed(runtime: Runtime, found: SecondFactor) -> str:
    return runtime.keyring.unseal(found.sealed_seed, bound_to=_binding(found.staff_id)).decode()


def _binding(staff_id: str) -> str:
    return f"second factor of {staff_id}"
