"""The door to the audit log."""

from dataclasses import dataclass

import marshmallow as ma
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core.audit import AuditEntry, first_break
from core.http.doors import actors
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import Moment, NumberedPageQuery, NumberedPageQuerySchema, listing
from core.runtime import installed
from web import audit_heads

blueprint = Blueprint(
    "audit", __name__, url_prefix="/api/v1", description="What people and policies did, in a chain of hashes."
)


class AuditEntrySchema(ma.Schema):
    """One act."""

    seq = ma.fields.Integer()
    at = Moment()
    actor_kind = ma.fields.String()
    actor_id = ma.fields.String()
    on_behalf_of = ma.fields.String(allow_none=True)
    verb = ma.fields.String()
    subject_kind = ma.fields.String()
    subject_id = ma.fields.String()
    before = ma.fields.Raw(allow_none=True)
    after = ma.fields.Raw(allow_none=True)
    reason = ma.fields.String(allow_none=True)
    previous_hash = ma.fields.String()
    hash = ma.fields.String()


@dataclass(frozen=True)
class AuditQuery(NumberedPageQuery):
    """Which acts."""

    subject_id: str | None = None


class AuditQuerySchema(NumberedPageQuerySchema):
    """Query of the audit log; its cursor is a row number."""

    shape = AuditQuery

    subject_id = ma.fields.String(load_default=None)


class VerifiedSchema(ma.Schema):
    """Whether the chain holds."""

    rows = ma.fields.Integer(metadata={"description": "rows that hold, from the first on"})
    holds = ma.fields.Boolean()
    broken_at = ma.fields.Integer(allow_none=True)
    reason = ma.fields.String(allow_none=True)
    heads = ma.fields.Integer(metadata={"description": "signed heads on file that hold, from the first on"})
    broken_head = ma.fields.String(allow_none=True, metadata={"description": "the day of the first that does not"})


@endpoint(
    blueprint, "GET", "/audit",
    door=actors(Role.AUDITOR, Role.ADMIN, Role.FINANCE), query=AuditQuerySchema, answers=listing(AuditEntrySchema),
)  # fmt: skip
def list_acts(session: Session, query: AuditQuery) -> Page[AuditEntry]:
    """List acts, newest first."""
    statement = sa.select(AuditEntry)
    if query.subject_id is not None:
        statement = statement.where(AuditEntry.subject_id == query.subject_id)
    return page(session, statement, AuditEntry.seq, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "GET", "/audit/verification", door=actors(Role.AUDITOR, Role.ADMIN), answers=VerifiedSchema
)  # fmt: skip
def verify(session: Session) -> dict[str, object]:
    """Walk the chain, hold it against the signed heads on file, and say where it breaks first, if it does."""
    rows, broken = first_break(session)
    heads, broken_head = audit_heads.first_break(installed(), session)
    first = broken or broken_head
    return {
        "rows": rows,
        "holds": first is None,
        "broken_at": broken.seq if broken else None,
        "reason": first.reason if first else None,
        "heads": heads,
        "broken_head": broken_head.day if broken_head else None,
    }
