"""How statements, reconciliations, discrepancies and months travel."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from core.errors import Invalid
from core.http.wire import Moment, MoneySchema, PageQuerySchema, Text, Wire, listing
from ledger.schemas import PERIOD
from postback.schemas import ConversionSchema
from reports import mapping_text
from reports.bills import LAYOUTS, Dates, Lines, Wanted
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg
from reports.queries import DiscrepancyQuery, RunQuery
from reports.report_mappings import NAME

_ID = ma.validate.Length(1, 40)
MAPPING_METADATA = {
    "type": "string",
    "description": "YAML or JSON: transaction_id, amount, currency (a column or =EUR), occurred_on {column, format, "
    "timezone}; optional status, click_id, group_key, line_id, decimal, thousands, negate, format, delimiter, skip, "
    "sheet, path. Or the name of a mapping that is kept or built in; without one the only one that fits is taken",
}


def is_file(value: object) -> None:
    """Raise ValidationError for a form's field that is no file."""
    if not isinstance(value, FileStorage):
        message = "takes a file"
        raise ma.ValidationError(message)


class JsonText(ma.fields.Field[Any]):
    """JSON in a form field."""

    def _deserialize(self, value: object, *_: object, **__: object) -> Any:
        try:
            return json.loads(value if isinstance(value, str) else "")
        except (ValueError, RecursionError):
            message = "is not JSON"
            raise ma.ValidationError(message) from None


class MappingText(ma.fields.Field[Any]):
    """A mapping in a form field: YAML or JSON, or the name of one that is kept or built in."""

    def _deserialize(self, value: object, *_: object, **__: object) -> Any:
        text = value.strip() if isinstance(value, str) else ""
        if NAME.fullmatch(text):
            return text
        try:
            return mapping_text.read(text)
        except Invalid as problem:
            raise ma.ValidationError([fault.reason for fault in problem.faults]) from None


@dataclass(frozen=True)
class NetworkReport:
    """A network's report to import; `mapping` says which column is what, or names a mapping."""

    file: FileStorage
    source_id: str
    period: str
    mapping: Mapping[str, Any] | str | None = None


class NetworkReportSchema(Wire):
    """Form of a network's report."""

    shape = NetworkReport

    file = Upload(required=True, validate=is_file)
    source_id = Text(required=True, validate=_ID)
    period = ma.fields.String(required=True, validate=PERIOD)
    mapping = MappingText(load_default=None, metadata=MAPPING_METADATA)


class RejectedSchema(ma.Schema):
    """One line that was not loaded, and why."""

    line = ma.fields.Integer()
    reason = ma.fields.String()


class ImportedSchema(ma.Schema):
    """What an import did."""

    id = ma.fields.String(required=True)
    statement_ids = ma.fields.List(ma.fields.String(), metadata={"description": "more than one for a file of several"})
    lines = ma.fields.Integer(required=True)
    new = ma.fields.Integer(required=True)
    repeated = ma.fields.Integer(required=True)
    restated = ma.fields.Integer(
        required=True, metadata={"description": "repeated lines that say something else by now, such as their status"}
    )
    rejected = ma.fields.List(ma.fields.Nested(RejectedSchema), required=True)


@dataclass(frozen=True)
class NewRun:
    """A reconciliation to be done."""

    period: str
    leg: Leg
    source_id: str | None = None


class NewRunSchema(Wire):
    """Body of a new reconciliation."""

    shape = NewRun

    period = ma.fields.String(required=True, validate=PERIOD)
    leg = ma.fields.Enum(Leg, by_value=True, required=True)
    source_id = Text(load_default=None, allow_none=True, validate=_ID)


class RunIdSchema(ma.Schema):
    """A reconciliation in line."""

    id = ma.fields.String(required=True)


class RunQuerySchema(PageQuerySchema):
    """Query of the reconciliations."""

    shape = RunQuery

    period = ma.fields.String(load_default=None, validate=PERIOD)
    leg = ma.fields.String(load_default=None, validate=ma.validate.OneOf([leg.value for leg in Leg]))


class RunSchema(ma.Schema):
    """One reconciliation: what it compared and what it found, at its own moment."""

    id = ma.fields.String()
    state = ma.fields.String(metadata={"enum": ["waiting", "finished", "failed"]})
    period = ma.fields.String()
    leg = ma.fields.String()
    source_id = ma.fields.String(allow_none=True)
    ruleset_version = ma.fields.Integer(allow_none=True, metadata={"description": "of the match rules it followed"})
    repeats_id = ma.fields.String(
        allow_none=True, metadata={"description": "the run before over the same inputs, whose result stands"}
    )
    counts = ma.fields.Dict(
        keys=ma.fields.String(),
        metadata={"description": "ours, theirs, matched; by_pass: edges confirmed and suggested by each pass"},
    )
    discrepancies = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    input_sha256 = ma.fields.String(allow_none=True)
    digest = ma.fields.String(allow_none=True)
    started_by = ma.fields.String()
    created_at = Moment()
    finished_at = Moment(allow_none=True)
    error = ma.fields.String(allow_none=True)


class DiscrepancyQuerySchema(PageQuerySchema):
    """Query of a reconciliation's discrepancies."""

    shape = DiscrepancyQuery

    klass = ma.fields.String(
        load_default=None, data_key="class", validate=ma.validate.OneOf([each.value for each in DiscrepancyClass])
    )
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf([state.value for state in DiscrepancyState]))


class DiscrepancySchema(ma.Schema):
    """One discrepancy; `difference` is theirs minus ours, null between two currencies."""

    id = ma.fields.String()
    klass = ma.fields.String(attribute="class", data_key="class")
    means = ma.fields.String(metadata={"description": "the class in a sentence"})
    severity = ma.fields.String(metadata={"enum": ["info", "low", "medium", "high"]})
    owner = ma.fields.String(allow_none=True, metadata={"description": "who looks after it"})
    leg = ma.fields.String()
    period = ma.fields.String()
    source_id = ma.fields.String(allow_none=True)
    conversion_id = ma.fields.String(allow_none=True)
    payout_id = ma.fields.String(allow_none=True)
    remittance_id = ma.fields.String(allow_none=True)
    line = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)
    ours = ma.fields.Nested(MoneySchema, allow_none=True)
    theirs = ma.fields.Nested(MoneySchema, allow_none=True)
    difference = ma.fields.Nested(MoneySchema, allow_none=True)
    state = ma.fields.String()
    resolution = ma.fields.String(allow_none=True)
    note = ma.fields.String(allow_none=True)
    resolved_by = ma.fields.String(allow_none=True)
    resolved_at = Moment(allow_none=True)
    created_at = Moment()
    first_seen_at = Moment()
    age_days = ma.fields.Integer(metadata={"description": "whole days since it was first seen"})
    version = ma.fields.Integer()


# One schema for both lists: two of one name would be two in the OpenAPI document.
DiscrepancyListSchema = listing(DiscrepancySchema)


@dataclass(frozen=True)
class FormatQuery:
    """In which form."""

    format: str = "json"


class FormatQuerySchema(Wire):
    """Query of an export."""

    shape = FormatQuery

    format = ma.fields.String(load_default="json", validate=ma.validate.OneOf(["json", "csv", "xlsx", "pdf"]))


class BillsQuerySchema(Wire):
    """Query of the bills: the layout of which program, a line for what, and how days and tax are written."""

    shape = Wanted

    layout = ma.fields.String(required=True, validate=ma.validate.OneOf(list(LAYOUTS)))
    lines = ma.fields.Enum(Lines, by_value=True, load_default=Lines.PAYOUT)
    dates = ma.fields.Enum(Dates, by_value=True, load_default=Dates.ISO)
    period = ma.fields.String(load_default=None, validate=PERIOD)
    tax = ma.fields.String(
        load_default=None,
        validate=ma.validate.Length(1, 100),
        metadata={"description": "the tax rate or code, by the name it has there; without it no tax column"},
    )


class CheckSchema(ma.Schema):
    """One condition of closing a month."""

    id = ma.fields.String()
    sentence = ma.fields.String()
    is_green = ma.fields.Boolean()
    missing = ma.fields.List(ma.fields.String())


class ChecksSchema(ma.Schema):
    """A month's check list."""

    period = ma.fields.String()
    is_green = ma.fields.Boolean(metadata={"description": "every check is"})
    checks = ma.fields.List(ma.fields.Nested(CheckSchema))


class ClosedPeriodSchema(ma.Schema):
    """A month that was just closed."""

    period = ma.fields.String(attribute="id")
    state = ma.fields.String()
    closed_at = Moment()
    closed_by = ma.fields.String()
    totals = ma.fields.Raw()
    digest = ma.fields.String()
    version = ma.fields.Integer()


class CustodySchema(ConversionSchema):
    """A conversion with its custody: every step has `at`, `kind`, `id`, `sentence` and the facts of its kind."""

    custody = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()))
