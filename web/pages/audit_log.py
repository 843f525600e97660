"""The audit log: what people and policies did, and whether the chain of it holds."""

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.roles import Role
from core.audit import AuditEntry
from core.http.doors import actors
from core.http.paging import page as page_of
from web import audit
from web.pages import forms, frame
from web.pages.frame import page

blueprint = flask.Blueprint("audit_pages", __name__)
PLACE = "/audit"
READERS = actors(Role.AUDITOR, Role.ADMIN)
ROWS_MAX = 100


@page(blueprint, "GET", "/audit", door=READERS)
def log(session: Session) -> str | tuple[str, int]:
    """Show the acts, newest first, of all or about one thing."""
    query, wanted, refusal = forms.narrowed(audit.AuditQuerySchema, ("subject_id",), limit=ROWS_MAX)
    statement = sa.select(AuditEntry)
    if query.subject_id is not None:
        statement = statement.where(AuditEntry.subject_id == query.subject_id)
    after = flask.request.args.get("after", type=int)
    rows = page_of(session, statement, AuditEntry.seq, limit=ROWS_MAX, after=after)
    ids = [row.actor_id for row in rows.items] + [row.on_behalf_of for row in rows.items if row.on_behalf_of]
    verified = audit.verify(session) if flask.request.args.get("verify") else None
    body = frame.rendered(
        session,
        "audit.html",
        place=PLACE,
        rows=rows.items,
        emails=people.emails(session, ids),
        wanted=wanted,
        verified=verified,
        refusal=refusal,
        older=frame.link(".log", {**wanted, "after": str(rows.next)}) if rows.next else None,
        newest=frame.link(".log", wanted) if after else None,
    )
    return (body, 422) if refusal else body
