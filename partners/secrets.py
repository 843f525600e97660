"""Signing secrets of sources: made and shown once, sealed at rest, several live while they rotate."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.encryption import EncryptionKeyError
from core.errors import Conflict, Fault, Invalid, NotFound
from core.rows import locked
from core.runtime import Runtime
from partners.models import Source, SourceSecret

SECRET_BYTES = 32
LIVE_MAX = 3
OVERLAP_DAYS_MAX = 30
TEXT_LENGTH_MAX = 200
_PREFIX = "whsec_"
_GIVEN_BYTES_MIN, _GIVEN_BYTES_MAX = 24, 64  # Standard Webhooks, "Signature scheme"
_TEXT_LENGTH_MIN = 8


class KeyFormat(StrEnum):
    """What a secret's value says.

    WHSEC: base64 behind whsec_, decoded it is the key. TEXT: the whole text is the key, as most networks have it.
    TOKEN: the value is sent as it is, and only its HMAC under a pepper is kept.
    """

    WHSEC = "whsec"
    TEXT = "text"
    TOKEN = "token"  # noqa: S105 - the name of a format


@dataclass(frozen=True)
class NewSecret:
    """A secret just made: `value` is shown this once."""

    id: str
    value: str

    def __repr__(self) -> str:
        return f"NewSecret({self.id})"


@dataclass(frozen=True)
class LiveSecret:
    """A secret that may sign until `not_after`; `key` is what the scheme takes."""

    id: str
    key: bytes
    not_after: datetime | None = None

    def __repr__(self) -> str:
        return f"LiveSecret({self.id})"


@dataclass(frozen=True)
class HeldSecret:
    """A secret of whatever state, to tell somebody why his signature fails; never to believe by.

    `state` is live, revoked or past its overlap; `text` the value as it was shown, None for a token: nobody keeps it.
    """

    id: str
    key: bytes
    text: str | None
    state: str

    def __repr__(self) -> str:
        return f"HeldSecret({self.id}, {self.state})"


@dataclass(frozen=True)
class Rotation:
    """How long the older secrets stay good; `value` is one that the network gave, else one is made."""

    overlap_days: int
    value: str | None = None

    def __repr__(self) -> str:
        return f"Rotation({self.overlap_days})"


@dataclass(frozen=True)
class Revoked:
    """What revoking left: without a live secret the source refuses every postback."""

    id: str
    revoked_at: datetime
    live_secrets: int


def live(runtime: Runtime, source: Source, now: datetime) -> list[LiveSecret]:
    """Return the source's secrets that are neither revoked nor past their overlap, oldest first."""
    return [
        LiveSecret(secret.id, _key(runtime, secret), secret.not_after)
        for secret in source.secrets
        if is_live(secret, now)
    ]


def held(runtime: Runtime, source: Source, now: datetime) -> list[HeldSecret]:
    """Return every secret that the source ever had, oldest first."""
    found: list[HeldSecret] = []
    for secret in source.secrets:
        text: str | None
        key = _key(runtime, secret)
        match KeyFormat(secret.key_format):
            case KeyFormat.WHSEC:
                text = _PREFIX + base64.b64encode(key).decode()
            case KeyFormat.TEXT:
                text = key.decode()
            case KeyFormat.TOKEN:
                text = None
        ended = "revoked" if secret.revoked_at is not None else "past its overlap"
        found.append(HeldSecret(secret.id, key, text, "live" if is_live(secret, now) else ended))
    return found


def keys(runtime: Runtime, source: Source) -> dict[str, bytes]:
    """Return the keys of all the source's secrets by their ids, also of those that end nothing but old receipts."""
    return {secret.id: _key(runtime, secret) for secret in source.secrets}


def is_live(secret: SourceSecret, now: datetime) -> bool:
    """Say whether `secret` still signs at `now`; at `not_after` itself it no longer does."""
    return secret.revoked_at is None and (secret.not_after is None or secret.not_after > now)


def faults(key_format: KeyFormat, value: str | None, *, field: str = "secret") -> list[Fault]:
    """Return what is wrong with a secret that somebody brings; empty when `create` takes it."""
    if value is None:
        return []
    match key_format:
        case KeyFormat.TOKEN:
            return [Fault(field, "is made here and shown once: a token is never brought")]
        case KeyFormat.TEXT:
            if _TEXT_LENGTH_MIN <= len(value) <= TEXT_LENGTH_MAX and value.isascii() and value.isprintable():
                return []
            return [Fault(field, f"takes {_TEXT_LENGTH_MIN} to {TEXT_LENGTH_MAX} printable ASCII characters")]
        case KeyFormat.WHSEC:
            try:
                length = len(base64.b64decode(value.removeprefix(_PREFIX), validate=True))
            except (binascii.Error, ValueError):
                length = 0
            if value.startswith(_PREFIX) and _GIVEN_BYTES_MIN <= length <= _GIVEN_BYTES_MAX:
                return []
            return [Fault(field, f"takes whsec_ and base64 of {_GIVEN_BYTES_MIN} to {_GIVEN_BYTES_MAX} bytes")]


def create(
    runtime: Runtime, session: Session, source: Source, key_format: KeyFormat, value: str | None = None
) -> NewSecret:
    """Give `source` a secret, `value` or one made now, and return it; nobody can read it again."""
    secret_id = runtime.new_id("sec")
    value = value or _made(key_format)
    kept = _token_digest(runtime, value) if key_format is KeyFormat.TOKEN else value.encode()
    secret = SourceSecret(
        id=secret_id,
        sealed_value=runtime.keyring.seal(kept, bound_to=_binding(source.id, secret_id)),
        key_format=key_format.value,
        created_at=runtime.clock(),
    )
    source.secrets.append(secret)
    source.revision = (source.revision or 0) + 1
    session.flush()
    return NewSecret(secret_id, value)


def rotate(
    runtime: Runtime, session: Session, source_id: str, *, overlap_days: int, actor: Actor, value: str | None = None
) -> NewSecret:
    """Give the source a new secret; the older ones end after `overlap_days`, or sooner if they were to anyway.

    Raise Conflict when more than three would be live: revoke one, or let an overlap end; Invalid for a `value` that
    cannot be one.
    """
    source = locked(session, Source, source_id)
    key_format = KeyFormat(source.secrets[0].key_format)
    found = faults(key_format, value, field="value")
    if found:
        raise Invalid.of(*found)
    now = runtime.clock()
    end = now + timedelta(days=overlap_days)
    for secret in source.secrets:
        if is_live(secret, now) and (secret.not_after is None or secret.not_after > end):
            secret.not_after = end
    if sum(is_live(secret, now) for secret in source.secrets) >= LIVE_MAX:
        message = f"{source_id} has {LIVE_MAX} live secrets already; revoke one first"
        raise Conflict(message, slug="too-many-secrets")
    new = create(runtime, session, source, key_format, value)
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
        source.revision += 1
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
    value = runtime.keyring.unseal(secret.sealed_value, bound_to=_binding(secret.source_id, secret.id))
    match KeyFormat(secret.key_format):
        case KeyFormat.WHSEC:
            return base64.b64decode(value.decode().removeprefix(_PREFIX), validate=True)
        case KeyFormat.TEXT:
            return value
        case KeyFormat.TOKEN:
            return _pepper(runtime) + value


def _made(key_format: KeyFormat) -> str:
    if key_format is KeyFormat.TOKEN:
        return secrets.token_urlsafe(SECRET_BYTES)
    return _PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _token_digest(runtime: Runtime, token: str) -> bytes:
    return hmac.digest(_pepper(runtime), token.encode(), "sha256")


def _pepper(runtime: Runtime) -> bytes:
    return hmac.digest(runtime.secret_key, b"tokens of sources", "sha256")


def _binding(source_id: str, secret_id: str) -> str:
    return f"source_secret:{source_id}:{secret_id}"
