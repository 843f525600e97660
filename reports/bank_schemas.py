"""How bank statements and the statements of both kinds travel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from core.http.wire import Moment, MoneySchema, PageQuery, PageQuerySchema, Text, Wire
from ledger.schemas import PERIOD
from reports.bank_formats.reading import AUTO, FORMATS
from reports.schemas import JsonText, RejectedSchema, is_file

_ID = ma.validate.Length(1, 40)


@dataclass(frozen=True)
class BankStatementFile:
    """A bank's statement to import or to preview."""

    file: FileStorage
    format: str = AUTO
    account: str | None = None
    mapping: Mapping[str, Any] | None = None


class BankStatementSchema(Wire):
    """Form of a bank statement."""

    shape = BankStatementFile

    file = Upload(required=True, validate=is_file)
    format = ma.fields.String(
        load_default=AUTO,
        validate=ma.validate.OneOf([AUTO, *FORMATS]),
        metadata={"description": "auto tells it from the file's beginning; what comes with a mapping is CSV"},
    )
    account = Text(
        load_default=None,
        validate=ma.validate.Length(1, 42),
        metadata={"description": "the account's IBAN; without it each statement goes to the account that it names"},
    )
    mapping = JsonText(
        load_default=None,
        metadata={
            "type": "string",
            "description": "JSON, for CSV: booked_on, currency (a column or =EUR), amount or debit and credit; "
            "optional date_format, decimal, thousands, positive, direction, text, value_on, counterparty, "
            "counterparty_iban, end_to_end_id, bank_reference, delimiter, encoding, skip, opening and closing "
            "{amount, on}",
        },
    )


class FaultSchema(ma.Schema):
    """One thing wrong with a file: a line of it, a field of the form, or the file."""

    field = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)


class PreviewRowSchema(ma.Schema):
    """One line of a bank statement as it is understood; money out is negative."""

    line = ma.fields.Integer()
    booked_on = ma.fields.Date()
    value_on = ma.fields.Date(allow_none=True)
    money = ma.fields.Nested(MoneySchema)
    text = ma.fields.String()
    end_to_end_id = ma.fields.String(allow_none=True)
    counterparty = ma.fields.String(allow_none=True)
    counterparty_iban = ma.fields.String(allow_none=True)
    bank_reference = ma.fields.String(allow_none=True)


class PreviewStatementSchema(ma.Schema):
    """One statement of a file: what it says of itself, and what its lines come to."""

    reference = ma.fields.String(allow_none=True)
    account = ma.fields.String(allow_none=True)
    currency = ma.fields.String(allow_none=True)
    opened_on = ma.fields.Date(allow_none=True)
    opening = ma.fields.Nested(MoneySchema, allow_none=True)
    closed_on = ma.fields.Date(allow_none=True)
    closing = ma.fields.Nested(MoneySchema, allow_none=True)
    lines = ma.fields.Integer()
    sum = ma.fields.Nested(MoneySchema, allow_none=True)
    rejected = ma.fields.Integer()


class PreviewSchema(ma.Schema):
    """A bank's file as it is understood; nothing of it is stored."""

    format = ma.fields.String(required=True, allow_none=True)
    is_loadable = ma.fields.Boolean(required=True)
    statements = ma.fields.List(ma.fields.Nested(PreviewStatementSchema), required=True)
    rows = ma.fields.List(ma.fields.Nested(PreviewRowSchema), metadata={"description": "the first 20"})
    rejected = ma.fields.List(ma.fields.Nested(RejectedSchema), metadata={"description": "the first 1,000"})
    faults = ma.fields.List(ma.fields.Nested(FaultSchema), required=True)


@dataclass(frozen=True)
class StatementQuery(PageQuery):
    """Which statements."""

    kind: str | None = None
    source_id: str | None = None
    account: str | None = None
    period: str | None = None


class StatementQuerySchema(PageQuerySchema):
    """Query of the statements."""

    shape = StatementQuery

    kind = ma.fields.String(load_default=None, validate=ma.validate.OneOf(["network", "bank"]))
    source_id = Text(load_default=None, validate=_ID)
    account = Text(load_default=None, validate=ma.validate.Length(1, 42))
    period = ma.fields.String(load_default=None, validate=PERIOD, metadata={"description": "of a network's report"})


class ImportedStatementSchema(ma.Schema):
    """One imported file, or one statement of a bank's file that holds several."""

    id = ma.fields.String(required=True)
    kind = ma.fields.String(metadata={"enum": ["network", "bank"]})
    format = ma.fields.String()
    source_id = ma.fields.String(allow_none=True)
    account = ma.fields.String(allow_none=True)
    period = ma.fields.String(allow_none=True)
    reference = ma.fields.String(allow_none=True)
    currency = ma.fields.String(allow_none=True)
    opened_on = ma.fields.Date(allow_none=True)
    opening = ma.fields.Nested(MoneySchema, allow_none=True)
    closed_on = ma.fields.Date(allow_none=True)
    closing = ma.fields.Nested(MoneySchema, allow_none=True)
    lines = ma.fields.Integer()
    new = ma.fields.Integer()
    repeated = ma.fields.Integer()
    rejected_count = ma.fields.Integer()
    file_name = ma.fields.String()
    file_sha256 = ma.fields.String()
    imported_at = Moment()
    imported_by = ma.fields.String()


class WholeStatementSchema(ImportedStatementSchema):
    """One statement with its mapping and every line that was not loaded."""

    mapping = ma.fields.Raw(allow_none=True)
    rejected = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()))
