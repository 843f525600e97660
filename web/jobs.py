"""The RQ door of web: what only the whole house can tidy."""

import postback.jobs
import reports.exports.jobs
import reports.importing.jobs
from access import lockout, people
from core.http import idempotency
from core.runtime import installed
from web import audit_heads


def purge() -> None:
    """Forget ended sessions, idempotency keys older than two days, exports' files and receipts past their time."""
    runtime = installed()
    now = runtime.clock()
    with runtime.transaction() as session:
        people.forget_ended_sessions(session, now=now)
        lockout.purge(session, now=now)
        idempotency.forget(session, before=now - idempotency.KEPT)
    reports.exports.jobs.tidy()
    reports.importing.jobs.tidy()
    postback.jobs.tidy_receipts()


def write_audit_head() -> None:
    """Write today's signed head of the audit log and of the seals, unless it is there."""
    audit_heads.write(installed())
