"""How reports and exports travel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import marshmallow as ma

from core.http.wire import Moment, PageQuerySchema, Text, Wire
from reports.exports.asking import ExportQuery, ExportState
from reports.exports.catalogue import REPORTS
from reports.exports.filtering import NAMES
from reports.exports.formats import FORMATS

_FORMATS = (*FORMATS, "hledger", "beancount")
_FORMAT = {"enum": list(_FORMATS), "description": "hledger and beancount are for the journal"}
_FILTERS = {
    "period": "a month, such as 2026-10",
    "currency": "an ISO 4217 code",
    "affiliate_id": "of one affiliate",
    "source_id": "of one network",
    "campaign_id": "of one campaign",
    "state": "as the report names it",
    "leg": "of a reconciliation",
    "as_of": "the day ages are counted to, today if left out",
    "since": "RFC 3339: what came after it",
    "until": "RFC 3339: what came up to it",
    "mark": "a name: what came after the last export under it",
}


def _filter(name: str) -> Text:
    # What stands in it is read by reports/exports/filtering.py, as in the body of an export.
    return Text(load_default=None, metadata={"description": _FILTERS[name]})


@dataclass(frozen=True)
class ReportQuery:
    """In which form, and which rows: the filters as they were sent, None for those that were not."""

    format: str
    given: Mapping[str, str | None]


class ReportQuerySchema(Wire):
    """Query of a report; each takes some of the filters (GET /reports says which)."""

    format = Text(load_default="json", metadata=_FORMAT)
    period = _filter("period")
    currency = _filter("currency")
    affiliate_id = _filter("affiliate_id")
    source_id = _filter("source_id")
    campaign_id = _filter("campaign_id")
    state = _filter("state")
    leg = _filter("leg")
    as_of = _filter("as_of")
    since = _filter("since")
    until = _filter("until")
    mark = _filter("mark")

    @ma.post_load
    def _shaped(self, values: dict[str, Any], **_: object) -> ReportQuery:
        form = values.pop("format")
        return ReportQuery(form, values)


@dataclass(frozen=True)
class NewExport:
    """A file to be made."""

    report: str
    format: str
    filters: Mapping[str, Any] = field(default_factory=dict)


class NewExportSchema(Wire):
    """Body of a new export."""

    shape = NewExport

    report = Text(required=True, validate=ma.validate.Length(1, 40), metadata={"enum": list(REPORTS)})
    format = Text(required=True, validate=ma.validate.Length(1, 12), metadata=_FORMAT)
    filters = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        load_default=dict,
        metadata={"description": "by name, as texts: " + "; ".join(f"{name}: {_FILTERS[name]}" for name in NAMES)},
    )


class ColumnSchema(ma.Schema):
    """One column of a report."""

    name = ma.fields.String()
    title = ma.fields.String()
    kind = ma.fields.String(metadata={"enum": ["text", "money", "date", "count", "moment", "percent"]})


class ReportSchema(ma.Schema):
    """A report there is."""

    name = ma.fields.String()
    title = ma.fields.String()
    about = ma.fields.String()
    columns = ma.fields.List(ma.fields.Nested(ColumnSchema))
    filters = ma.fields.List(ma.fields.String(), metadata={"description": "that it takes"})
    needs = ma.fields.List(ma.fields.String(), metadata={"description": "filters it cannot be made without"})
    formats = ma.fields.List(ma.fields.String())


class ExportQuerySchema(PageQuerySchema):
    """Query of the exports."""

    shape = ExportQuery

    report = Text(load_default=None, validate=ma.validate.OneOf(list(REPORTS)))
    state = Text(load_default=None, validate=ma.validate.OneOf([state.value for state in ExportState]))


class ExportSchema(ma.Schema):
    """An export: how far it is, and its file once it is finished."""

    id = ma.fields.String()
    state = ma.fields.String(metadata={"enum": [state.value for state in ExportState]})
    report = ma.fields.String()
    format = ma.fields.String()
    filters = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    asked_by = ma.fields.String()
    asked_at = Moment()
    rows_done = ma.fields.Integer()
    rows = ma.fields.Integer(allow_none=True)
    file_name = ma.fields.String(allow_none=True)
    size_bytes = ma.fields.Integer(allow_none=True)
    sha256 = ma.fields.String(allow_none=True)
    error = ma.fields.String(allow_none=True)
    finished_at = Moment(allow_none=True)
    expires_at = Moment(allow_none=True)
