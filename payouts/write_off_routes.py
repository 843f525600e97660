"""The HTTP door of write-offs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import Amount, Moment, PageQuery, PageQuerySchema, Text, Wire, listing
from core.money import Money
from core.rows import existing
from core.runtime import installed
from payouts import write_offs
from payouts.models import WriteOff
from payouts.routes import READERS
from payouts.write_offs import NewWriteOff, WriteOffState

REASON_LENGTH_MAX = 500
blueprint = Blueprint(
    "write-offs", __name__, url_prefix="/api/v1", description="Negative balances that are given up, under approval."
)


@dataclass(frozen=True)
class WriteOffQuery(PageQuery):
    """Which write-offs."""

    affiliate_id: str | None = None
    state: str | None = None


class WriteOffQuerySchema(PageQuerySchema):
    """Query of write-offs."""

    shape = WriteOffQuery

    affiliate_id = Text(load_default=None, validate=ma.validate.Length(1, 40))
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf([state.value for state in WriteOffState]))


class NewWriteOffSchema(Wire):
    """Body of a write-off: a positive amount, by which the balance rises."""

    shape = NewWriteOff

    money = Amount(required=True)
    reason = Text(required=True, validate=[ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S")])


class WriteOffSchema(ma.Schema):
    """One write-off and the request about it."""

    id = ma.fields.String(required=True)
    affiliate_id = ma.fields.String()
    money = Amount()
    reason = ma.fields.String()
    state = ma.fields.String(metadata={"enum": list(WriteOffState)})
    approval_id = ma.fields.String(allow_none=True)
    created_at = Moment()
    created_by = ma.fields.String()
    ended_at = Moment(allow_none=True)


@endpoint(
    blueprint, "POST", "/affiliates/<affiliate_id>/write-offs",
    door=actors(Role.FINANCE), body=NewWriteOffSchema, answers=WriteOffSchema, status=201, creates=True,
)  # fmt: skip
def ask_for_write_off(session: Session, affiliate_id: str, body: NewWriteOff) -> Mapping[str, Any]:
    """Ask to write off what an affiliate owes us, or a part of it; it is posted once somebody else approves."""
    return _shown(write_offs.ask(installed(), session, affiliate_id, body, actor=current_actor()))


@endpoint(
    blueprint, "GET", "/write-offs", door=READERS, query=WriteOffQuerySchema, answers=listing(WriteOffSchema)
)  # fmt: skip
def list_write_offs(session: Session, query: WriteOffQuery) -> Page[Mapping[str, Any]]:
    """List write-offs, newest first."""
    wanted = [(WriteOff.affiliate_id, query.affiliate_id), (WriteOff.state, query.state)]
    statement = sa.select(WriteOff).where(*(column == value for column, value in wanted if value is not None))
    found = page(session, statement, WriteOff.id, limit=query.limit, after=query.after)
    return Page([_shown(made) for made in found.items], found.next)


@endpoint(blueprint, "GET", "/write-offs/<write_off_id>", door=READERS, answers=WriteOffSchema)
def show_write_off(session: Session, write_off_id: str) -> Mapping[str, Any]:
    """Show one write-off."""
    return _shown(existing(session, WriteOff, write_off_id))


def _shown(made: WriteOff) -> Mapping[str, Any]:
    names = ("id", "affiliate_id", "reason", "state", "approval_id", "created_at", "created_by", "ended_at")
    return {name: getattr(made, name) for name in names} | {"money": Money(made.amount_minor, made.currency)}
