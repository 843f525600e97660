"""Signing secrets of sources: made and shown once, sealed at rest, several live while they rotate."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.encryption import EncryptionKeyError
from core.errors import Conflict, NotFound
from core.rows import locked
from core.runtime import Runtime
from partners.models import Source, SourceSecret

SECRET_BYTES = 32
LIVE_MAX = 3
OVERLAP_DAYS_MAX = 30
_PREFIX = "whsec_"


@dataclass(frozen=True)
class NewSecret:
    """A secret just made: `value` is shown this once."""

    id: str
    value: str

    def __repr__(self) -> str:
        return f"NewSecret({self.id})"


@dataclass(frozen=True)
class LiveSecret:
    """A secret that may sign now: `key` is its 32 bytes."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"LiveSecret({self.id})"


@dataclass(frozen=True)
class Rotation:
    """How long the older secrets stay good."""

    overlap_days: int


@dataclass(frozen=True)
class Revoked:
    """What revoking left: without a live secret the source refuses every postback."""

    id: str
    revoked_at: datetime
    live_secrets: int


def live(runtime: Runtime, source: Source, now: datetime) -> list[LiveSecret]:
    """Return the source's secrets that are neither revoked nor past their overlap, oldest first."""
    return [LiveSecret(secret.id, _key(runtime, secret)) for secret in source.secrets if is_live(secret, now)]


def is_live(secret: SourceSecret, now: datetime) -> bool:
    """Say whether `secret` still signs at `now`; at `not_after` itself it no longer does."""
    return secret.revoked_at is None and (secret.not_after is None or secret.not_after > now)


def create(runtime: Runtime, session: Session, source: Source) -> NewSecret:
    """Give `source` a secret and return it; nobody can read it again."""
    secret_id = runtime.new_id("sec")
    value = _PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    secret = SourceSecret(
        id=secret_id,
        sealed_value=runtime.keyring.seal(value.encode(), bound_to=_binding(source.id, secret_id)),
        key_format="whsec",
        created_at=runtime.clock(),
    )
    source.secrets.append(secret)
    session.flush()
    return NewSecret(secret_id, value)


def rotate(runtime: Runtime, session: Session, source_id: str, *, overlap_days: int, actor: Actor) -> NewSecret:
    """Give the source a new secret; the older ones end after `overlap_days`, or sooner if they were to anyway.

    Raise Conflict when more than three would be live: revoke one, or let an overlap end.
    """
    source = locked(session, Source, source_id)
    now = runtime.clock()
    end = now + timedelta(days=overlap_days)
    for secret in source.secrets:
        if is_live(secret, now) and (secret.not_after is None or secret.not_after > end):
            secret.not_after = end
    if sum(is_live(secret, now) for secret in source.secrets) >= LIVE_MAX:
        message = f"{source_id} has {LIVE_MAX} live secrets already; revoke one first"
        raise Conflict(message, slug="too-many-secrets")
    new = create(runtime, session, source)
    after = {"source_secret": new.id, "older_end_at": end.isoformat()}
    audit.record(session, Act(actor, "rotated the secret", "source", source_id, now, after=after))
    return new


def revoke(runtime: Runtime, session: Session, source_id: str, secret_id: str, *, actor: Actor) -> Revoked:
    """End a secret at once; twice changes nothing. The last one too: the source then refuses every postback."""
    source = locked(session, Source, source_id)
    secret = next((each for each in source.secrets if each.id == secret_id), None)
    if secret is None:
        message = f"{source_id} has no secret {secret_id}"
        raise NotFound(message)
    now = runtime.clock()
    if secret.revoked_at is None:
        secret.revoked_at = now
        after = {"source_secret": secret_id}
        audit.record(session, Act(actor, "revoked a secret", "source", source_id, now, after=after))
    left = sum(is_live(each, now) for each in source.secrets)
    return Revoked(secret_id, secret.revoked_at, left)


def unopened(runtime: Runtime, session: Session) -> str | None:
    """Return the id of the newest secret if the key-encryption key does not open it: it is another database's key."""
    newest = session.scalar(sa.select(SourceSecret).order_by(SourceSecret.id.desc()).limit(1))
    if newest is None:
        return None
    try:
        _key(runtime, newest)
    except EncryptionKeyError:
        return newest.id
    return None


def reseal(runtime: Runtime, session: Session, *, actor: Actor) -> int:
    """Bring every secret under the present key-encryption key, revoked ones too; return how many there are."""
    rows = session.scalars(sa.select(SourceSecret).order_by(SourceSecret.id).with_for_update()).all()
    for secret in rows:
        binding = _binding(secret.source_id, secret.id)
        secret.sealed_value = runtime.keyring.resealed(secret.sealed_value, bound_to=binding)
    after = {"secrets": len(rows), "key": runtime.keyring.fingerprint}
    audit.record(session, Act(actor, "resealed", "source_secrets", "all", runtime.clock(), after=after))
    return len(rows)


def _key(runtime: Runtime, secret: SourceSecret) -> bytes:
    value = runtime.keyring.unseal(secret.sealed_value, bound_to=_binding(secret.source_id, secret.id)).decode()
    return base64.b64decode(value.removeprefix(_PREFIX), validate=True)


def _binding(source_id: str, secret_id: str) -> str:
    return f"source_secret:{source_id}:{secret_id}"
