"""Challenges that prove themselves: what a browser's authenticator signs, good for minutes, for one purpose, once.

Nothing is stored when one is made, so whoever only opens the sign-in page writes nothing; what was taken is remembered
for as long as it would still be good.
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import TakenChallenge
from core.database import insert_new
from core.runtime import Runtime

GOOD_FOR = timedelta(minutes=10)
_NONCE_BYTES = 16
_UNTIL_BYTES = 8
_LENGTH = _NONCE_BYTES + _UNTIL_BYTES + hashlib.sha256().digest_size


def made(runtime: Runtime, purpose: str) -> bytes:
    """Return a challenge for `purpose`, which also says whose it is."""
    until = int((runtime.clock() + GOOD_FOR).timestamp())
    said = secrets.token_bytes(_NONCE_BYTES) + until.to_bytes(_UNTIL_BYTES, "big")
    return said + _mac(runtime, purpose, said)


def is_good(runtime: Runtime, purpose: str, challenge: bytes) -> bool:
    """Say whether it is one of ours, made for `purpose` and not over."""
    said, mac = challenge[: _NONCE_BYTES + _UNTIL_BYTES], challenge[_NONCE_BYTES + _UNTIL_BYTES :]
    if len(challenge) != _LENGTH or not hmac.compare_digest(mac, _mac(runtime, purpose, said)):
        return False
    return _until(challenge) >= runtime.clock()


def take(session: Session, challenge: bytes, *, now: datetime) -> bool:
    """Take a good challenge for good: of two that bring the same one, at once or later, one is told True."""
    session.execute(sa.delete(TakenChallenge).where(TakenChallenge.until < now))
    row = {"sha256": hashlib.sha256(challenge).hexdigest(), "until": _until(challenge)}
    return len(insert_new(session, TakenChallenge, [row], key=["sha256"])) == 1


def _until(challenge: bytes) -> datetime:
    seconds = int.from_bytes(challenge[_NONCE_BYTES : _NONCE_BYTES + _UNTIL_BYTES], "big")
    return datetime.fromtimestamp(seconds, UTC)


def _mac(runtime: Runtime, purpose: str, said: bytes) -> bytes:
    return hmac.new(runtime.secret_key, b"challenge\0" + purpose.encode() + b"\0" + said, "sha256").digest()
