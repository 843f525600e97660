"""The wire of advertisers' lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from core.http.wire import INTEGER_MAX, Moment, PageQuery, PageQuerySchema, Text, Wire
from ledger.schemas import PERIOD
from reports.schemas import DiscrepancySchema, JsonText, RejectedSchema

_ID = ma.validate.Length(1, 40)


def _is_file(value: object) -> None:
    if not isinstance(value, FileStorage):
        message = "takes a file"
        raise ma.ValidationError(message)


@dataclass(frozen=True)
class NewList:
    """An advertiser's list to load."""

    file: FileStorage
    mapping: Mapping[str, Any]
    statuses: Mapping[str, Any] = field(default_factory=dict)
    source_id: str | None = None
    campaign_id: str | None = None
    period: str | None = None
    day: date | None = None
    compares: str = "sale"
    seed: int = 0
    sample_percent: int = 100


class NewAdvertiserListSchema(Wire):
    """Form of an advertiser's list."""

    shape = NewList

    file = Upload(required=True, validate=_is_file)
    mapping = JsonText(
        required=True,
        metadata={
            "type": "string",
            "description": "JSON: transaction_id, amount, currency (a column or =EUR), occurred_on {column, format, "
            "timezone}; optional status, decimal, delimiter",
        },
    )
    statuses = JsonText(
        metadata={
            "type": "string",
            "description": 'JSON: words of its own, as {"valid": ["paid"], "void": ["storno"], "open": ["new"]}',
        }
    )
    source_id = Text(validate=_ID)
    campaign_id = Text(validate=_ID)
    period = ma.fields.String(validate=PERIOD)
    day = ma.fields.Date()
    compares = ma.fields.String(
        validate=ma.validate.OneOf(["sale", "payout"]),
        metadata={"description": "which of our amounts its amounts are; the sale, when left out"},
    )
    seed = ma.fields.Integer(validate=ma.validate.Range(0, INTEGER_MAX))
    sample_percent = ma.fields.Integer(validate=ma.validate.Range(1, 100))


class AdvertiserListSchema(ma.Schema):
    """A list, and what its last comparison came to: differences by class, as many as there were then."""

    id = ma.fields.String(required=True)
    source_id = ma.fields.String(allow_none=True)
    campaign_id = ma.fields.String(allow_none=True)
    period = ma.fields.String()
    day = ma.fields.Date(allow_none=True)
    compares = ma.fields.String()
    seed = ma.fields.Integer()
    sample_percent = ma.fields.Integer()
    state = ma.fields.String(metadata={"enum": ["waiting", "done", "replaced"]})
    lines = ma.fields.Integer()
    rejected = ma.fields.List(ma.fields.Nested(RejectedSchema))
    counts = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    discrepancies = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    reconciliation_id = ma.fields.String(allow_none=True)
    file_name = ma.fields.String()
    file_sha256 = ma.fields.String()
    imported_at = Moment()
    imported_by = ma.fields.String()
    checked_at = Moment(allow_none=True)
    next_check_at = Moment(allow_none=True)
    error = ma.fields.String(allow_none=True)


class AdvertiserDiscrepancySchema(DiscrepancySchema):
    """A difference between a list and our conversions; `line` is the list's."""


@dataclass(frozen=True)
class ListQuery(PageQuery):
    """Which lists."""

    source_id: str | None = None
    campaign_id: str | None = None
    period: str | None = None
    state: str | None = None


class AdvertiserListQuerySchema(PageQuerySchema):
    """Query of the lists."""

    shape = ListQuery

    source_id = Text(load_default=None)
    campaign_id = Text(load_default=None)
    period = ma.fields.String(load_default=None, validate=PERIOD)
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(["waiting", "done", "replaced"]))
