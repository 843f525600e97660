"""How imports that a worker does, previews of reports and kept mappings travel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from core import leasing
from core.http.wire import Moment, MoneySchema, PageQuery, PageQuerySchema, Wire
from reports.bank_schemas import FaultSchema
from reports.schemas import MAPPING_METADATA, MappingText, RejectedSchema, is_file


@dataclass(frozen=True)
class ReportFile:
    """A network's report to look at."""

    file: FileStorage
    mapping: Mapping[str, Any] | str | None = None


class ReportFileSchema(Wire):
    """Form of a report to look at."""

    shape = ReportFile

    file = Upload(required=True, validate=is_file)
    mapping = MappingText(load_default=None, metadata=MAPPING_METADATA)


class ReportRowSchema(ma.Schema):
    """One line of a network's report as it is understood."""

    line = ma.fields.Integer()
    transaction_id = ma.fields.String(allow_none=True)
    click_id = ma.fields.String(allow_none=True)
    money = ma.fields.Nested(MoneySchema, allow_none=True)
    status = ma.fields.String(allow_none=True)
    occurred_on = ma.fields.Date()
    group_key = ma.fields.String(allow_none=True)
    line_id = ma.fields.String(allow_none=True)


class StatusWordSchema(ma.Schema):
    """How many lines say a word."""

    word = ma.fields.String()
    lines = ma.fields.Integer()


class ReportPreviewSchema(ma.Schema):
    """A network's report as it is understood; nothing of it is stored."""

    format = ma.fields.String(required=True)
    header = ma.fields.List(ma.fields.String(), required=True)
    mapping = ma.fields.Raw(allow_none=True, metadata={"type": "object", "description": "what it was read by"})
    suggested = ma.fields.Raw(
        allow_none=True,
        metadata={"type": "object", "description": "where none fits: what the columns' names suggest, to be completed"},
    )
    is_loadable = ma.fields.Boolean(required=True)
    is_whole = ma.fields.Boolean(metadata={"description": "false when only the first 100,000 rows were looked at"})
    lines = ma.fields.Integer(required=True)
    rows = ma.fields.List(ma.fields.Nested(ReportRowSchema), metadata={"description": "the first 20"})
    sums = ma.fields.List(ma.fields.Nested(MoneySchema))
    statuses = ma.fields.List(ma.fields.Nested(StatusWordSchema))
    first_on = ma.fields.Date(allow_none=True)
    last_on = ma.fields.Date(allow_none=True)
    rejected = ma.fields.List(ma.fields.Nested(RejectedSchema), metadata={"description": "the first 1,000"})
    rejected_count = ma.fields.Integer()
    faults = ma.fields.List(ma.fields.Nested(FaultSchema), required=True)


class ImportResultSchema(ma.Schema):
    """What an import did; `rejected` counts the rows that the statement lists."""

    statement_id = ma.fields.String()
    lines = ma.fields.Integer()
    new = ma.fields.Integer()
    repeated = ma.fields.Integer()
    restated = ma.fields.Integer()
    rejected = ma.fields.Integer()


class ReportImportSchema(ma.Schema):
    """A report that a worker imports."""

    id = ma.fields.String(required=True)
    source_id = ma.fields.String(required=True)
    period = ma.fields.String(required=True)
    mapping = ma.fields.Raw(metadata={"type": "object"})
    file_name = ma.fields.String()
    file_sha256 = ma.fields.String()
    size_bytes = ma.fields.Integer()
    state = ma.fields.String(required=True, metadata={"description": "waiting, running, finished or failed"})
    lines_done = ma.fields.Integer(metadata={"description": "lines that are read"})
    result = ma.fields.Nested(ImportResultSchema, allow_none=True)
    error = ma.fields.String(allow_none=True)
    faults = ma.fields.List(ma.fields.Nested(FaultSchema), allow_none=True)
    asked_by = ma.fields.String()
    asked_at = Moment()
    finished_at = Moment(allow_none=True)


@dataclass(frozen=True)
class ImportQuery(PageQuery):
    """Which imports."""

    state: str | None = None


class ImportQuerySchema(PageQuerySchema):
    """Query of imports."""

    shape = ImportQuery

    state = ma.fields.String(
        load_default=None,
        validate=ma.validate.OneOf([leasing.WAITING, leasing.RUNNING, leasing.FINISHED, leasing.FAILED]),
    )


@dataclass(frozen=True)
class KeptMapping:
    """A mapping to keep."""

    mapping: Mapping[str, Any] | str


class KeptMappingSchema(Wire):
    """Body of a mapping to keep."""

    shape = KeptMapping

    mapping = ma.fields.Raw(required=True, metadata={"description": "an object, or the same as YAML in a text"})


class ReportMappingSchema(ma.Schema):
    """A mapping by its name."""

    name = ma.fields.String(required=True)
    is_built_in = ma.fields.Boolean(required=True)
    title = ma.fields.String(allow_none=True)
    docs = ma.fields.String(allow_none=True)
    is_confirmed = ma.fields.Boolean(
        allow_none=True, metadata={"description": "of a built-in one: its names were read with the vendor"}
    )
    note = ma.fields.String(allow_none=True)
    mapping = ma.fields.Raw(required=True, metadata={"type": "object"})
    yaml = ma.fields.String(required=True)
    kept_at = Moment(allow_none=True)
    kept_by = ma.fields.String(allow_none=True)
