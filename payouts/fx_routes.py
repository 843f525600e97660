"""The HTTP door of exchange rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import marshmallow as ma
import sqlalchemy as sa
from flask_smorest.fields import Upload
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from access.roles import Role
from core import doorbell
from core.errors import Fault, Invalid
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.wire import Currency, Moment, Text, Wire, listing
from core.runtime import installed
from payouts import fx_rates
from payouts.fx_rates import Imported
from payouts.models import FxRate

STAGE = "base-amounts"
blueprint = Blueprint(
    "exchange_rates", __name__, url_prefix="/api/v1", description="Rates of exchange by day, from files."
)


@dataclass(frozen=True)
class FxQuery:
    """Which rates: of a currency, of a day; at most `limit` behind the cursor `after`."""

    limit: int = 100
    after: str | None = None
    currency: str | None = None
    on: date | None = None


class FxQuerySchema(Wire):
    """Query of exchange rates."""

    shape = FxQuery

    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))
    after = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=40))
    currency = Currency(load_default=None)
    on = ma.fields.Date(load_default=None)


class FxRateSchema(ma.Schema):
    """What one unit of the base was worth on a day."""

    date = ma.fields.Date(required=True)
    base = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    rate = ma.fields.String(required=True, metadata={"example": "1.0835"})
    source = ma.fields.String()
    imported_at = Moment()
    imported_by = ma.fields.String()


@dataclass(frozen=True)
class FxFile:
    """A file of rates."""

    file: FileStorage
    format: str


def _is_file(value: object) -> None:
    if not isinstance(value, FileStorage):
        message = "takes a file"
        raise ma.ValidationError(message)


class FxFileSchema(Wire):
    """Multipart body: the ECB's XML, or CSV with date, currency, rate and where it is another one base."""

    shape = FxFile

    file = Upload(required=True, validate=_is_file)
    format = ma.fields.String(required=True, validate=ma.validate.OneOf(["ecb", "csv"]))


class FxImportedSchema(ma.Schema):
    """What a file came to."""

    rates = ma.fields.Integer()
    new = ma.fields.Integer()
    left_out = ma.fields.Integer(
        attribute="unknown", metadata={"description": "rates of currencies that nobody is paid in any more"}
    )


@endpoint(
    blueprint, "GET", "/fx-rates",
    door=actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="payouts:read"), query=FxQuerySchema,
    answers=listing(FxRateSchema),
)  # fmt: skip
def list_rates(session: Session, query: FxQuery) -> Mapping[str, Any]:
    """List rates of exchange, the newest day first."""
    key = (FxRate.rate_date, FxRate.base, FxRate.currency)
    statement = sa.select(FxRate).order_by(*(column.desc() for column in key)).limit(query.limit + 1)
    if query.currency is not None:
        statement = statement.where(FxRate.currency == query.currency)
    if query.on is not None:
        statement = statement.where(FxRate.rate_date == query.on)
    if query.after is not None:
        day, base, currency = _cursor(query.after)
        statement = statement.where(
            sa.or_(
                FxRate.rate_date < day,
                sa.and_(FxRate.rate_date == day, FxRate.base < base),
                sa.and_(FxRate.rate_date == day, FxRate.base == base, FxRate.currency < currency),
            )
        )
    found = list(session.scalars(statement))
    items = found[: query.limit]
    last = items[-1] if len(found) > query.limit else None
    cursor = None if last is None else f"{last.rate_date}~{last.base}~{last.currency}"
    return {"items": [fx_rates.shown(rate) for rate in items], "next": cursor}


@endpoint(
    blueprint, "POST", "/fx-rates",
    door=actors(Role.FINANCE), multipart=FxFileSchema, answers=FxImportedSchema, status=201, creates=True,
)  # fmt: skip
def import_rates(session: Session, body: FxFile) -> Imported:
    """Take a file of rates; those that are there stay as they are, and a file that says other ones is refused whole."""
    found = fx_rates.imported(installed(), session, body.file.read(), format_=body.format, actor=current_actor())
    doorbell.after_commit(session, STAGE)
    return found


def _cursor(text: str) -> tuple[date, str, str]:
    try:
        day, base, currency = text.split("~")
        return date.fromisoformat(day), base, currency
    except ValueError:
        raise Invalid.of(Fault("after", "takes the `next` of the page before")) from None
