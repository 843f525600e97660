"""Recovery codes: for when every second factor is lost, good once each. Only their HMACs are kept."""

import hmac
import secrets

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import RecoveryCode
from core.runtime import Runtime

CODES = 10
_BYTES = 10


def issue(runtime: Runtime, session: Session, staff_id: str) -> list[str]:
    """Return new codes, shown this once; those before are worth nothing any more."""
    forget(session, staff_id)
    codes = [_code() for _ in range(CODES)]
    session.add_all(RecoveryCode(staff_id=staff_id, code_hmac=_kept(runtime, staff_id, code)) for code in codes)
    return codes


def accept(runtime: Runtime, session: Session, staff_id: str, code: str) -> bool:
    """Take a code for good: of two that bring the same one at once one is taken."""
    used = sa.update(RecoveryCode).where(
        RecoveryCode.staff_id == staff_id,
        RecoveryCode.code_hmac == _kept(runtime, staff_id, code),
        RecoveryCode.used_at.is_(None),
    )
    return session.connection().execute(used.values(used_at=runtime.clock())).rowcount == 1


def forget(session: Session, staff_id: str) -> None:
    """Make all of the person's codes worth nothing."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))


def _code() -> str:
    text = secrets.token_hex(_BYTES)
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def _kept(runtime: Runtime, staff_id: str, code: str) -> str:
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hmac.new(runtime.secret_key, f"recovery\0{staff_id}\0{plain}".encode(), "sha256").hexdigest()
