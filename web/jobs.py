"""The RQ door of web: what only the whole house can tidy."""

from access import people
from core.http import idempotency
from core.runtime import installed


def purge() -> None:
    """Forget ended sessions and idempotency keys older than two days."""
    runtime = installed()
    now = runtime.clock()
    with runtime.transaction() as session:
        people.forget_ended_sessions(session, now=now)
        idempotency.forget(session, before=now - idempotency.KEPT)
