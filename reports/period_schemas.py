"""How snapshots, reopenings and differences of closed months travel."""

from dataclasses import dataclass

import marshmallow as ma

from core.http.wire import INTEGER_MAX, Moment, MoneySchema, PageQuery, PageQuerySchema, Text, Wire

REASON_LENGTH_MAX = 2000


@dataclass(frozen=True)
class Asked:
    """Why a month should be opened again."""

    reason: str


class AskedSchema(Wire):
    """Body of a request to open a month again."""

    shape = Asked

    reason = Text(
        required=True,
        validate=[ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S", error="is needed")],
    )


@dataclass(frozen=True)
class Confirmed:
    """Which request is confirmed; None: the one that waits."""

    id: str | None = None


class ConfirmedSchema(Wire):
    """Body of a confirmation."""

    shape = Confirmed

    id = Text(
        load_default=None,
        validate=ma.validate.Length(1, 40),
        metadata={"description": "the request that was looked at: 409 when another waits by now"},
    )


class ReopeningSchema(ma.Schema):
    """A request to open a month again, and what became of it."""

    id = ma.fields.String(required=True)
    period = ma.fields.String(required=True)
    snapshot_number = ma.fields.Integer(metadata={"description": "the close that it takes back"})
    reason = ma.fields.String()
    state = ma.fields.String(metadata={"enum": ["asked", "confirmed", "withdrawn"]})
    asked_at = Moment()
    asked_by = ma.fields.String()
    decided_at = Moment(allow_none=True)
    decided_by = ma.fields.String(allow_none=True)


class KindDigestSchema(ma.Schema):
    """How many rows of a kind were kept, and their digest."""

    rows = ma.fields.Integer()
    digest = ma.fields.String()


class SnapshotSchema(ma.Schema):
    """A month as a close found it; without kinds for one from before rows were kept."""

    period = ma.fields.String(required=True)
    number = ma.fields.Integer(required=True)
    closed_at = Moment()
    closed_by = ma.fields.String()
    digest = ma.fields.String()
    kinds = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Nested(KindDigestSchema))
    totals = ma.fields.Raw()


class RowChangeSchema(ma.Schema):
    """One row that differs: a changed one with the fields that do, one that came or went with all of them."""

    kind = ma.fields.String()
    change = ma.fields.String(metadata={"enum": ["added", "gone", "changed"]})
    key = ma.fields.String()
    before = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)
    after = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)


class VerifiedCloseSchema(ma.Schema):
    """What a check of a snapshot found: it holds when nothing differs but what happened in later months."""

    period = ma.fields.String(required=True)
    number = ma.fields.Integer(required=True)
    holds = ma.fields.Boolean(required=True)
    digest = ma.fields.String()
    rebuilt = ma.fields.String(
        allow_none=True, metadata={"description": "null for a snapshot that the month is not closed under any more"}
    )
    is_kept = ma.fields.Boolean(metadata={"description": "the rows as they were kept still make the digest"})
    moved_on = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Integer(),
        metadata={"description": "rows of a kind that later months have changed: a refund, a payment, a late arrival"},
    )
    differences = ma.fields.Integer()
    items = ma.fields.List(ma.fields.Nested(RowChangeSchema))


@dataclass(frozen=True)
class DifferenceQuery(PageQuery):
    """Between which two snapshots, in which form."""

    first: int = 1
    second: int = 2
    format: str = "json"


class DifferenceQuerySchema(PageQuerySchema):
    """Query of the difference report."""

    shape = DifferenceQuery

    first = ma.fields.Integer(data_key="from", required=True, validate=ma.validate.Range(1, INTEGER_MAX))
    second = ma.fields.Integer(data_key="to", required=True, validate=ma.validate.Range(1, INTEGER_MAX))
    format = ma.fields.String(load_default="json", validate=ma.validate.OneOf(["json", "csv"]))


class TallySchema(ma.Schema):
    """Rows, and what they sum to; of changed ones after less before. The journal's are sums of debits."""

    count = ma.fields.Integer()
    sums = ma.fields.List(ma.fields.Nested(MoneySchema))


class KindTallySchema(ma.Schema):
    """What changed of one kind."""

    kind = ma.fields.String()
    added = ma.fields.Nested(TallySchema)
    gone = ma.fields.Nested(TallySchema)
    changed = ma.fields.Nested(TallySchema)


class DifferencesSchema(ma.Schema):
    """What changed from one close to another: every kind in full, rows a page at a time."""

    period = ma.fields.String()
    first = ma.fields.Integer(attribute="from", data_key="from")
    second = ma.fields.Integer(attribute="to", data_key="to")
    kinds = ma.fields.List(ma.fields.Nested(KindTallySchema))
    items = ma.fields.List(ma.fields.Nested(RowChangeSchema), required=True)
    next = ma.fields.String(allow_none=True)
