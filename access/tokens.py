"""API tokens: 32 random bytes, shown once, kept as a hash, with scopes and an end."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import ApiToken
from access.roles import ALL_MACHINE, SCOPES
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.errors import Fault, Invalid, NotFound
from core.runtime import Runtime

DAYS_MAX = 365
SECRET_BYTES = 32
LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class NewToken:
    """A token just made: `value` is shown this once."""

    id: str
    value: str
    expires_at: datetime


def create(runtime: Runtime, session: Session, *, name: str, scopes: list[str], days: int, actor: Actor) -> NewToken:
    """Make a token for a machine; raise Invalid for a scope that does not exist or a life over a year."""
    wanted = SCOPES if ALL_MACHINE in scopes else frozenset(scopes)
    faults = [
        Fault("scope", f"{scope!r} does not exist; these do: {', '.join(sorted(SCOPES))}, {ALL_MACHINE}")
        for scope in sorted(wanted - SCOPES)
    ]
    if not wanted:
        faults.append(Fault("scope", "a token needs at least one"))
    if not 1 <= days <= DAYS_MAX:
        faults.append(Fault("days", f"takes 1 to {DAYS_MAX}"))
    if not name.strip():
        faults.append(Fault("name", "is needed"))
    if faults:
        raise Invalid.of(*faults)
    now = runtime.clock()
    token_id = runtime.new_id("tok")
    value = f"clk_{token_id.removeprefix('tok_')}_{secrets.token_urlsafe(SECRET_BYTES)}"
    token = ApiToken(
        id=token_id,
        name=name,
        token_sha256=_sha256(value),
        scopes=sorted(wanted),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    session.add(token)
    audit.record(session, Act(actor, "created", "token", token_id, now, after={"name": name, "scopes": token.scopes}))
    return NewToken(token_id, value, token.expires_at)


def live(session: Session, value: str, *, now: datetime) -> ApiToken | None:
    """Return the token whose value is `value`, None when it is unknown, over or revoked."""
    token = session.scalar(sa.select(ApiToken).where(ApiToken.token_sha256 == _sha256(value)))
    if token is None or token.revoked_at is not None or token.expires_at <= now:
        return None
    return token


def actor_of(token: ApiToken) -> Actor:
    """Return the machine that holds `token` as an actor."""
    return Actor(ActorKind.TOKEN, token.id, scopes=frozenset(token.scopes))


def is_use_worth_noting(token: ApiToken, *, now: datetime) -> bool:
    """Say whether the last noted use is a minute old: a write for every request would be too dear."""
    return token.last_used_at is None or token.last_used_at < now - LAST_USED_EVERY


def note_use(session: Session, token_id: str, *, now: datetime) -> None:
    """Keep when the token was last used."""
    session.execute(sa.update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def revoke(session: Session, token_id: str, *, actor: Actor, now: datetime) -> None:
    """End a token at once; raise NotFound for an id there is not. Revoking twice changes nothing."""
    token = session.get(ApiToken, token_id)
    if token is None:
        message = f"there is no token {token_id}"
        raise NotFound(message)
    if token.revoked_at is None:
        token.revoked_at = now
        audit.record(session, Act(actor, "revoked", "token", token_id, now))


def _sha256(value: str) -> str:
    # A plain hash is enough: 32 random bytes cannot be guessed, so there is nothing to slow a guesser down for.
    return hashlib.sha256(value.encode()).hexdigest()
