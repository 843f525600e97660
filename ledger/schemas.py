"""The wire of the ledger: which journal, and what a period looks like."""

from dataclasses import dataclass

import marshmallow as ma

from core.http.wire import Moment, Wire
from ledger.exports import WRITERS

PERIOD = ma.validate.Regexp(r"^[0-9]{4}-(0[1-9]|1[0-2])$", error="takes a month, such as 2026-10")


@dataclass(frozen=True)
class JournalQuery:
    """`period` narrows the journal to one month."""

    format: str
    period: str | None = None


class JournalQuerySchema(Wire):
    """Query of the journal."""

    shape = JournalQuery

    format = ma.fields.String(required=True, validate=ma.validate.OneOf(list(WRITERS)))
    period = ma.fields.String(load_default=None, validate=PERIOD)


class PeriodSchema(ma.Schema):
    """One month; `totals` and `digest` are what closing froze."""

    period = ma.fields.String(required=True, metadata={"example": "2026-10"})
    state = ma.fields.String(required=True, metadata={"enum": ["open", "closed"]})
    closed_at = Moment(allow_none=True)
    closed_by = ma.fields.String(allow_none=True)
    totals = ma.fields.Raw(allow_none=True)
    digest = ma.fields.String(allow_none=True)
    version = ma.fields.Integer(required=True)
