"""The wire of payouts: accruals, payouts, batches."""

from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from flask_smorest.fields import Upload

from core.http.wire import Currency, Moment, MoneySchema, PageQuery, PageQuerySchema, Text, Wire
from ledger.schemas import PERIOD
from payouts.batches import ITEMS_MAX, NewBatch
from payouts.formats.methods import FILE_FORMATS, METHODS, RESULT_FORMATS
from payouts.formats.values import PayeeKind, Payer
from payouts.states import BatchState, ItemState, PayoutState


@dataclass(frozen=True)
class AccrualQuery(PageQuery):
    """Which accruals; `state` is paid (its payout is settled) or unpaid, `uncategorised` those that no rule fitted."""

    affiliate_id: str | None = None
    source_id: str | None = None
    campaign_id: str | None = None
    currency: str | None = None
    category: str | None = None
    uncategorised: bool = False
    period: str | None = None
    state: str | None = None
    conversion_id: str | None = None


class AccrualQuerySchema(PageQuerySchema):
    """Query of accruals."""

    shape = AccrualQuery

    affiliate_id = ma.fields.String(load_default=None)
    source_id = ma.fields.String(load_default=None)
    campaign_id = ma.fields.String(load_default=None)
    currency = Currency(load_default=None)
    category = ma.fields.String(load_default=None, metadata={"description": "the code of an expense category"})
    uncategorised = ma.fields.Boolean(
        load_default=False, metadata={"description": "the inbox: what no rule fitted and nobody has categorised"}
    )
    period = ma.fields.String(load_default=None, validate=PERIOD)
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(["paid", "unpaid"]))
    conversion_id = ma.fields.String(load_default=None)


class CategorySchema(ma.Schema):
    """An expense category; department and cost centre where it has them."""

    code = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    account = ma.fields.String(required=True)
    department = ma.fields.String()
    cost_centre = ma.fields.String()

    @ma.post_dump
    def _only_what_it_has(self, shown: dict[str, Any], **_: object) -> dict[str, Any]:
        return {name: value for name, value in shown.items() if value is not None}


class AccrualSchema(ma.Schema):
    """What one conversion makes us owe, under the terms and rule of its moment."""

    id = ma.fields.String(required=True)
    conversion_id = ma.fields.String()
    kind = ma.fields.String()
    affiliate_id = ma.fields.String()
    source_id = ma.fields.String()
    campaign_id = ma.fields.String()
    money = ma.fields.Nested(MoneySchema)
    base = ma.fields.Nested(
        MoneySchema,
        allow_none=True,
        metadata={"description": "in BASE_CURRENCY; null until the rate of its day is known"},
    )
    fx_rate = ma.fields.String(
        allow_none=True, metadata={"description": "units of the currency for one of the base", "example": "1.0835"}
    )
    fx_date = ma.fields.Date(allow_none=True)
    fx_source = ma.fields.String(allow_none=True)
    unrounded = ma.fields.String()
    terms = ma.fields.Dict()
    category = ma.fields.Nested(CategorySchema)
    ruleset_version = ma.fields.Integer()
    rule_id = ma.fields.String(allow_none=True)
    assurance = ma.fields.String()
    covered_fields = ma.fields.List(
        ma.fields.String(), metadata={"description": "our fields that the network's proof covers"}
    )
    amount_is_covered = ma.fields.Boolean(attribute="is_amount_covered")
    occurred_on = ma.fields.Date()
    payable_on = ma.fields.Date()
    period = ma.fields.String()
    created_at = Moment()
    payout_id = ma.fields.String(allow_none=True)
    categorised_by = ma.fields.String(allow_none=True)
    version = ma.fields.Integer(required=True)


@dataclass(frozen=True)
class PayoutQuery(PageQuery):
    """Which payouts."""

    state: str | None = None
    affiliate_id: str | None = None
    period: str | None = None


class PayoutQuerySchema(PageQuerySchema):
    """Query of payouts."""

    shape = PayoutQuery

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(list(PayoutState)))
    affiliate_id = ma.fields.String(load_default=None)
    period = ma.fields.String(load_default=None, validate=PERIOD)


@dataclass(frozen=True)
class BatchQuery(PageQuery):
    """Which batches."""

    state: str | None = None
    method: str | None = None
    currency: str | None = None


class BatchQuerySchema(PageQuerySchema):
    """Query of batches."""

    shape = BatchQuery

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(list(BatchState)))
    method = ma.fields.String(load_default=None, validate=ma.validate.OneOf(list(METHODS)))
    currency = Currency(load_default=None)


class PayoutPayeeSchema(ma.Schema):
    """Whose account is paid; of its number only the ends are shown."""

    name = ma.fields.String()
    iban = ma.fields.String(allow_none=True, metadata={"example": "DE89…13000"})
    bic = ma.fields.String(allow_none=True)
    kind = ma.fields.String(metadata={"enum": list(PayeeKind)})
    account = ma.fields.String(allow_none=True, metadata={"example": "021000021 …6789"})


class PayoutSchema(ma.Schema):
    """What one affiliate is to be paid."""

    id = ma.fields.String(required=True)
    affiliate_id = ma.fields.String()
    state = ma.fields.String(metadata={"enum": list(PayoutState)})
    money = ma.fields.Nested(MoneySchema)
    category_codes = ma.fields.List(ma.fields.String())
    period = ma.fields.String()
    approval_id = ma.fields.String(allow_none=True)
    reason = ma.fields.String(allow_none=True, metadata={"description": "why it waits, failed or came back"})
    created_at = Moment()
    created_by = ma.fields.String()
    version = ma.fields.Integer()


class PayoutDetailSchema(PayoutSchema):
    """A payout with what it is made of."""

    payee = ma.fields.Nested(PayoutPayeeSchema)
    content_hash = ma.fields.String()
    accrual_ids = ma.fields.List(ma.fields.String())
    batch_ids = ma.fields.List(ma.fields.String())


class PayerSchema(Wire):
    """Who pays: an IBAN for SEPA; for NACHA our bank's routing number and name, and who we are there."""

    shape = Payer

    name = Text(required=True, validate=ma.validate.Length(1, 70))
    iban = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=42))
    bic = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=11))
    routing_number = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=9))
    company_id = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=10))
    bank_name = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=40))


class NewBatchSchema(Wire):
    """Body of a new batch. Without `debtor` the account of the settings pays."""

    shape = NewBatch

    method = ma.fields.String(required=True, validate=ma.validate.OneOf(list(METHODS)))
    format = ma.fields.String(
        load_default=None, allow_none=True, validate=ma.validate.OneOf(FILE_FORMATS),
        metadata={"description": "the method's usual one, when left out"},
    )  # fmt: skip
    currency = Currency(required=True)
    payout_ids = ma.fields.List(
        ma.fields.String(), load_default=None, allow_none=True, validate=ma.validate.Length(1, ITEMS_MAX)
    )
    debtor = ma.fields.Nested(PayerSchema, load_default=None, allow_none=True)


@dataclass(frozen=True)
class Seen:
    """The version of a row as the person saw it who acts on it."""

    version: int


class SeenSchema(Wire):
    """Body of an act on a batch."""

    shape = Seen

    version = ma.fields.Integer(required=True)


@dataclass(frozen=True)
class SeenWithReason(Seen):
    """The same, and why."""

    reason: str = ""


class SeenWithReasonSchema(Wire):
    """Body of an act on a payout."""

    shape = SeenWithReason

    version = ma.fields.Integer(required=True)
    reason = Text(required=True, validate=ma.validate.Length(1, 300))


@dataclass(frozen=True)
class ResultUpload:
    """The parts of the form."""

    file: Any
    format: str | None = None


class ResultUploadSchema(Wire):
    """Form of a result file; without `format` it is read as the batch's method usually answers."""

    shape = ResultUpload

    file = Upload(required=True)
    format = ma.fields.String(load_default=None, validate=ma.validate.OneOf(RESULT_FORMATS))


class BatchResultSchema(ma.Schema):
    """A file that came back, and what it did."""

    id = ma.fields.String(required=True)
    batch_id = ma.fields.String()
    format = ma.fields.String()
    file_name = ma.fields.String(allow_none=True)
    sha256 = ma.fields.String()
    counts = ma.fields.Dict(metadata={"example": {"settled": 12, "failed": 1, "unchanged": 3}})
    received_at = Moment()
    received_by = ma.fields.String()


@dataclass(frozen=True)
class Resubmission:
    """Why a rejected payout is asked about again, and the version of it as it was seen."""

    version: int
    reason: str


class ResubmissionSchema(Wire):
    """Body of a resubmission."""

    shape = Resubmission

    version = ma.fields.Integer(required=True, strict=True)
    reason = Text(required=True, validate=ma.validate.Length(1, 300))


class BatchSchema(ma.Schema):
    """Payouts that leave together."""

    id = ma.fields.String(required=True)
    method = ma.fields.String()
    format = ma.fields.String(allow_none=True)
    state = ma.fields.String(metadata={"enum": list(BatchState)})
    count = ma.fields.Integer()
    sum = ma.fields.Nested(MoneySchema)
    debtor = ma.fields.Nested(PayoutPayeeSchema)
    created_at = Moment()
    created_by = ma.fields.String()
    released_at = Moment(allow_none=True)
    released_by = ma.fields.String(allow_none=True)
    file_name = ma.fields.String(allow_none=True)
    file_sha256 = ma.fields.String(allow_none=True)
    version = ma.fields.Integer()


class ExchangeSchema(ma.Schema):
    """What a settled payout came to in the base currency; a positive difference is what it cost more."""

    accrued = ma.fields.Nested(MoneySchema)
    settled = ma.fields.Nested(MoneySchema)
    difference = ma.fields.Nested(MoneySchema)
    rate = ma.fields.String()
    rate_date = ma.fields.Date()
    rate_source = ma.fields.String()


class ItemSchema(ma.Schema):
    """One payout of a batch; the bank hands its end-to-end id back."""

    payout_id = ma.fields.String()
    end_to_end_id = ma.fields.String()
    money = ma.fields.Nested(MoneySchema)
    state = ma.fields.String(metadata={"enum": list(ItemState)})
    reason = ma.fields.String(allow_none=True)
    settled_on = ma.fields.Date(allow_none=True)
    bank_line_id = ma.fields.String(allow_none=True)
    exchange = ma.fields.Nested(
        ExchangeSchema, allow_none=True, metadata={"description": "of a payout in another currency than the base"}
    )


class BatchDetailSchema(BatchSchema):
    """A batch with its items."""

    items = ma.fields.List(ma.fields.Nested(ItemSchema))
