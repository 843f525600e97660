"""The audit log: what people and policies did, and whether the chain of it holds."""

import json
from collections.abc import Iterator, Sequence

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.roles import Role
from core.audit import AuditEntry
from core.http.doors import actors
from core.http.paging import narrowed
from reports.exports.report import moment, plain, text
from reports.exports.tables import Row
from web import audit
from web.pages import lists
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("audit_pages", __name__)
PLACE = "/audit"
READERS = actors(Role.AUDITOR, Role.ADMIN)


def _every(query: audit.AuditQuery) -> sa.Select[AuditEntry]:
    return narrowed(sa.select(AuditEntry), [(AuditEntry.subject_id, query.subject_id)])


def _cells(session: Session, some: Sequence[AuditEntry]) -> Iterator[Row]:
    emails = _emails(session, some)
    for row in some:
        yield (
            row.seq, row.at, row.actor_kind, row.actor_id, emails.get(row.actor_id), row.on_behalf_of,
            emails.get(row.on_behalf_of or ""), row.verb, row.subject_kind, row.subject_id, row.reason,
            *(None if each is None else json.dumps(each, sort_keys=True) for each in (row.before, row.after)),
            row.previous_hash, row.hash,
        )  # fmt: skip


LISTING = Listing(
    PLACE,
    "Audit log",
    AuditEntry.seq,
    (
        # Its order is what the chain proves: it turns round and is not sorted by anything else.
        Head("No.", (AuditEntry.seq,), Way.MOMENT, "num"),
        Head("When"),
        Head("Who"),
        Head("Did"),
        Head("What it changed"),
    ),
    asked=lists.of_query(audit.AuditQuerySchema, ("subject_id",), _every),
    columns=(
        plain("seq", "No."), moment("at", "When"), text("actor_kind", "Kind of actor"), text("actor_id", "Actor id"),
        text("actor", "Who"), text("on_behalf_of", "Id of whom it was for"), text("for", "For whom"),
        text("verb", "Did"), text("subject_kind", "About"), text("subject_id", "Id"), text("reason", "Reason"),
        text("before", "Before"), text("after", "After"), text("previous_hash", "Hash of the one before"),
        text("hash", "Hash"),
    ),
    cells=_cells,
    newest="no",
)  # fmt: skip
lists.exported(blueprint, LISTING, door=READERS)


@page(blueprint, "GET", LISTING.path, door=READERS)
def log(session: Session) -> tuple[str, int]:
    """Show the acts, newest first, of all or about one thing."""
    return lists.rendered(
        session,
        LISTING,
        "audit.html",
        place=PLACE,
        about=lambda rows: {"emails": _emails(session, rows)},
        verified=audit.verify(session) if flask.request.args.get("verify") else None,
    )


def _emails(session: Session, rows: Sequence[AuditEntry]) -> dict[str, str]:
    return people.emails(session, [id_ for row in rows for id_ in (row.actor_id, row.on_behalf_of) if id_])
