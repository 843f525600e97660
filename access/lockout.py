"""Failed sign-ins slow down whoever makes them, and nobody else for long.

Three keys count: the account from one address, the address, the account from everywhere. The last is slow to
answer and short, so that nobody locks another out; none tells whether an account exists.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import SignInFailures
from core.database import insert_of, table_of

# After so long without a failure all is forgotten.
FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Key:
    """Under what failures count: the first `free` cost nothing, then each doubles the wait, up to `most`."""

    name: str
    free: int
    most: timedelta


def keys(email: str, address: str) -> tuple[Key, ...]:
    """Return the keys of an attempt; an account is known by the hash of what was typed."""
    account = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    both = hashlib.sha256(f"{account}\0{address}".encode()).hexdigest()[:32]
    return (
        Key(f"both:{both}", 5, timedelta(minutes=15)),
        *address_keys(address),
        Key(f"account:{account}", 50, timedelta(seconds=30)),
    )


def address_keys(address: str) -> tuple[Key, ...]:
    """Return the key of an attempt that names no account."""
    return (Key(f"address:{address[:45]}", 30, timedelta(minutes=15)),)


def wait_after(failures: int, key: Key) -> timedelta:
    """Return how long after the last of so many failures the next attempt is heard."""
    over = failures - key.free
    if over < 0:
        return timedelta(0)
    seconds = min(2 ** min(over, 20), key.most.total_seconds())
    return timedelta(seconds=seconds)


def blocked_until(session: Session, found: Sequence[Key], *, now: datetime) -> datetime | None:
    """Return the moment from which an attempt is heard again, None when it is now."""
    by_name = {key.name: key for key in found}
    rows = session.scalars(sa.select(SignInFailures).where(SignInFailures.key.in_(by_name)))
    ends = [row.last_at + wait_after(row.failures, by_name[row.key]) for row in rows if not _is_forgotten(row, now)]
    latest = max(ends, default=None)
    return latest if latest is not None and latest > now else None


def note_failure(session: Session, found: Sequence[Key], *, now: datetime) -> None:
    """Count one more under every key."""
    table = table_of(SignInFailures)
    for key in found:
        insert = insert_of(session, table).values(key=key.name, failures=1, last_at=now)
        again = sa.case((table.c.last_at < now - FORGOTTEN_AFTER, 1), else_=table.c.failures + 1)
        session.connection().execute(
            insert.on_conflict_do_update(index_elements=["key"], set_={"failures": again, "last_at": now})
        )


def forget(session: Session, found: Sequence[Key]) -> None:
    """Forget what failed of this account from this address: it has signed in."""
    session.execute(sa.delete(SignInFailures).where(SignInFailures.key == found[0].name))


def purge(session: Session, *, now: datetime) -> None:
    """Delete what is forgotten."""
    session.execute(sa.delete(SignInFailures).where(SignInFailures.last_at < now - FORGOTTEN_AFTER))


def _is_forgotten(row: SignInFailures, now: datetime) -> bool:
    return row.last_at < now - FORGOTTEN_AFTER
