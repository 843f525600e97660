"""Idempotency-Key: a POST that creates answers a repeat with the first answer, kept in the commit of the first act."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Request
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.database import Base, insert_new
from core.encryption import Keyring
from core.errors import Conflict, Fault, Invalid

KEY_LENGTH_MAX = 200
KEPT = timedelta(days=2)
_CHUNK = 1 << 20


class IdempotencyKey(Base):
    """One used key of one actor. The answer is encrypted: a created secret is shown in it, once."""

    __tablename__ = "idempotency_keys"

    actor_id: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(KEY_LENGTH_MAX), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None] = mapped_column(sa.Integer)
    sealed_body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)


@dataclass(frozen=True)
class StoredAnswer:
    """The answer the first request got."""

    status: int
    body: bytes


def key_of(request: Request) -> str | None:
    """Return the request's Idempotency-Key, None without one; raise Invalid for one that cannot be kept."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
        raise Invalid.of(Fault("Idempotency-Key", f"takes 1 to {KEY_LENGTH_MAX} printable ASCII characters"))
    return key


def fingerprint(request: Request) -> str:
    """Return the SHA-256 of method, path, query and body; for a form its fields and files, as boundaries differ."""
    digest = hashlib.sha256(f"{request.method}\n{request.full_path}\n".encode())
    if request.mimetype != "multipart/form-data":
        digest.update(request.get_data(cache=True))
        return digest.hexdigest()
    for name, value in sorted(request.form.items(multi=True)):
        digest.update(f"{name}\0{value}\0".encode())
    for name, file in sorted(request.files.items(multi=True)):
        digest.update(f"{name}\0{file.filename}\0".encode())
        while chunk := file.stream.read(_CHUNK):
            digest.update(chunk)
        file.stream.seek(0)
    return digest.hexdigest()


def claim(
    session: Session, keyring: Keyring, *, actor_id: str, key: str, fingerprint: str, now: datetime
) -> StoredAnswer | None:
    """Take `key` for this request, or return the answer it had; raise Conflict when it was used for another request.

    Of two requests at once with the same key the second waits here until the first has committed.
    """
    row = {"actor_id": actor_id, "key": key, "fingerprint": fingerprint, "created_at": now}
    if insert_new(session, IdempotencyKey, [row], key=["actor_id", "key"]):
        return None
    used = session.get_one(IdempotencyKey, (actor_id, key), populate_existing=True)
    if used.fingerprint != fingerprint:
        message = "this Idempotency-Key was used for another request"
        raise Conflict(message, slug="idempotency-key-reused")
    if used.status is None or used.sealed_body is None:
        message = "this Idempotency-Key's first request has left no answer"
        raise Conflict(message, slug="idempotency-key-reused")
    return StoredAnswer(used.status, keyring.unseal(used.sealed_body, bound_to=_binding(actor_id, key)))


def keep(session: Session, keyring: Keyring, *, actor_id: str, key: str, answer: StoredAnswer) -> None:
    """Store the answer beside the claimed key, in the same transaction."""
    used = session.get_one(IdempotencyKey, (actor_id, key))
    used.status = answer.status
    used.sealed_body = keyring.seal(answer.body, bound_to=_binding(actor_id, key))


def reseal(session: Session, keyring: Keyring) -> int:
    """Bring every kept answer under the present key-encryption key; return how many there are."""
    rows = session.scalars(sa.select(IdempotencyKey).where(IdempotencyKey.sealed_body.is_not(None))).all()
    for row in rows:
        if row.sealed_body is not None:
            row.sealed_body = keyring.resealed(row.sealed_body, bound_to=_binding(row.actor_id, row.key))
    return len(rows)


def forget(session: Session, *, before: datetime) -> None:
    """Delete the keys first used before a moment: later than that nobody repeats a request, but means a new one."""
    session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < before))


def _binding(actor_id: str, key: str) -> str:
    return f"idempotency:{actor_id}:{key}"
