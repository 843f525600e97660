"""The wire of postback."""

import marshmallow as ma

from core.http.wire import Amount, Moment, PageQuerySchema, Text, Wire
from postback.answers import STORED, Status
from postback.checking import Pasted
from postback.event_rules import Act, State
from postback.events import Decision
from postback.queries import ConversionQuery, ReceiptQuery, ReprocessingQuery
from postback.receipts import BELIEVED, REFUSED
from postback.replaying import Finding
from postback.replays import Window
from postback.verification import Refusal

_STORED = (*sorted(STORED), Status.UNAUTHORISED)
_ID = ma.validate.Length(max=40)


class PostbackFaultSchema(ma.Schema):
    """One thing wrong with a postback."""

    field = ma.fields.String()
    reason = ma.fields.String()


class PostbackAnswerSchema(ma.Schema):
    """What the sender of a postback hears. Every refusal is `{"status": "unauthorised"}` and nothing else."""

    status = ma.fields.String(required=True, validate=ma.validate.OneOf([status.value for status in Status]))
    receipt_id = ma.fields.String()
    conversion_id = ma.fields.String()
    reason = ma.fields.String()
    errors = ma.fields.List(ma.fields.Nested(PostbackFaultSchema))


class ReceiptSchema(ma.Schema):
    """One postback as it came in, and what was made of it."""

    id = ma.fields.String()
    received_at = Moment()
    source_id = ma.fields.String()
    peer = ma.fields.String()
    method = ma.fields.String()
    verdict = ma.fields.String()
    reason = ma.fields.String(allow_none=True)
    faults = ma.fields.List(ma.fields.Nested(PostbackFaultSchema))
    secret_id = ma.fields.String(allow_none=True)
    assurance = ma.fields.String()
    covered_fields = ma.fields.List(ma.fields.String())
    dedupe_key = ma.fields.String(allow_none=True)
    outcome = ma.fields.String()
    conversion_id = ma.fields.String(allow_none=True)
    latency_us = ma.fields.Integer()


class RawRequestSchema(ma.Schema):
    """The request itself; a byte that is no text is written as its hexadecimal escape."""

    query = ma.fields.String()
    body = ma.fields.String()
    signature_headers = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())


class RevealedReceiptSchema(ReceiptSchema):
    """A receipt with the raw request, for people who may see it; null for everybody else."""

    raw = ma.fields.Nested(RawRequestSchema, allow_none=True)


class ReceiptQuerySchema(PageQuerySchema):
    """Query of the receipts."""

    shape = ReceiptQuery

    source_id = ma.fields.String(load_default=None, validate=_ID)
    verdict = ma.fields.String(load_default=None, validate=ma.validate.OneOf([BELIEVED, REFUSED]))
    reason = ma.fields.String(load_default=None, validate=ma.validate.OneOf([reason.value for reason in Refusal]))
    outcome = ma.fields.String(load_default=None, validate=ma.validate.OneOf([status.value for status in _STORED]))
    conversion_id = ma.fields.String(load_default=None, validate=_ID)
    since = Moment(load_default=None, data_key="from")
    until = Moment(load_default=None, metadata={"description": "this moment excluded"})


class ConversionSchema(ma.Schema):
    """One conversion."""

    id = ma.fields.String()
    source_id = ma.fields.String()
    transaction_id = ma.fields.String()
    dedupe_key = ma.fields.String()
    claimed_click_id = ma.fields.String(metadata={"description": "the click id as the network sent it"})
    click_id = ma.fields.String(allow_none=True)
    campaign_id = ma.fields.String(allow_none=True)
    affiliate_id = ma.fields.String(allow_none=True)
    event = ma.fields.String()
    status_word = ma.fields.String(allow_none=True, metadata={"description": "the network's own word"})
    payout = Amount(allow_none=True)
    amount = Amount(allow_none=True)
    currency = ma.fields.String()
    occurred_at = Moment()
    recorded_at = Moment()
    subs = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    assurance = ma.fields.String()
    covered_fields = ma.fields.List(
        ma.fields.String(), attribute="covered", metadata={"description": "our fields that the network's proof covers"}
    )
    state = ma.fields.String()
    hold_reason = ma.fields.String(allow_none=True)
    receipt_id = ma.fields.String()
    version = ma.fields.Integer()


class ConversionQuerySchema(PageQuerySchema):
    """Query of the conversions."""

    shape = ConversionQuery

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf([state.value for state in State]))
    held = ma.fields.Boolean(load_default=None)
    source_id = ma.fields.String(load_default=None, validate=_ID)
    affiliate_id = ma.fields.String(load_default=None, validate=_ID)
    transaction_id = Text(load_default=None, validate=ma.validate.Length(max=255))
    period = ma.fields.String(load_default=None, metadata={"example": "2026-10"})


class ConversionDecisionSchema(Wire):
    """Body of an event: what a person decides, why, and which version of the conversion he saw."""

    shape = Decision

    kind = ma.fields.String(required=True, validate=ma.validate.OneOf([act.value for act in Act]))
    reason = Text(required=True, validate=[ma.validate.Length(1, 2000), ma.validate.Regexp(r".*\S", error="is needed")])
    version = ma.fields.Integer(required=True, strict=True, validate=ma.validate.Range(min=1))
    payout = Amount(load_default=None, metadata={"description": "what it is adjusted to"})
    amount = Amount(load_default=None, metadata={"description": "the sale it is adjusted to"})


class NeedSchema(ma.Schema):
    """A setting that a source takes no useful postback without."""

    setting = ma.fields.String(metadata={"description": "of POST /api/v1/sources, or of this installation"})
    why = ma.fields.String()


class PresetSchema(ma.Schema):
    """A network that is known here: make a source with the scheme `preset:NAME`."""

    name = ma.fields.String()
    scheme = ma.fields.String(metadata={"description": "for POST /api/v1/sources", "example": "preset:digistore24"})
    title = ma.fields.String()
    docs = ma.fields.String(allow_none=True)
    is_confirmed = ma.fields.Boolean(metadata={"description": "whether a page of the vendor says so"})
    note = ma.fields.String()
    method = ma.fields.String()
    assurance = ma.fields.String(metadata={"description": "A: all is signed, B: part, C: a static secret"})
    covered_fields = ma.fields.List(
        ma.fields.String(),
        allow_none=True,
        metadata={"description": "what is signed, in the network's names; null: everything"},
    )
    secret_from = ma.fields.String(metadata={"description": "network: bring its text; us: made and shown once"})
    addresses = ma.fields.List(ma.fields.String())
    parameters = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    status_words = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    amount_unit = ma.fields.String()
    dedupe_by = ma.fields.String()
    duplicates = ma.fields.String()
    reversal = ma.fields.String(metadata={"description": "how it takes a conversion back"})
    answers = ma.fields.String()
    url_template = ma.fields.String(metadata={"example": "https://clicks.example/postback/{source_id}?tid={id}"})
    needs = ma.fields.List(ma.fields.Nested(NeedSchema))


class PresetListSchema(ma.Schema):
    """All presets, by name."""

    items = ma.fields.List(ma.fields.Nested(PresetSchema), required=True)


class PastedSchema(Wire):
    """Body of a validation: a request as somebody has it."""

    shape = Pasted

    method = ma.fields.String(required=True, validate=ma.validate.OneOf(["GET", "POST"]))
    url = Text(
        required=True, validate=ma.validate.Length(1, 10_000), metadata={"description": "whole, or from its path on"}
    )
    body = ma.fields.String(load_default="", validate=ma.validate.Length(max=65_536))
    headers = ma.fields.Dict(
        keys=Text(validate=ma.validate.Length(1, 100)),
        values=Text(validate=ma.validate.Length(max=4000)),
        load_default=dict,
        validate=ma.validate.Length(max=100),
    )
    peer = Text(load_default=None, validate=ma.validate.Length(max=45), metadata={"example": "203.0.113.7"})


class ValidationCheckSchema(ma.Schema):
    """One check, in the door's order."""

    name = ma.fields.String(metadata={"description": "the reason a refusal would carry"})
    ok = ma.fields.Boolean(attribute="is_ok", allow_none=True, metadata={"description": "null: it could not be made"})
    says = ma.fields.String()


class ValidationSchema(ma.Schema):
    """What would become of a request. No secret and no right signature is in it."""

    verdict = ma.fields.String(metadata={"description": "believed, invalid or refused"})
    reason = ma.fields.String(allow_none=True)
    checks = ma.fields.List(ma.fields.Nested(ValidationCheckSchema))
    assurance = ma.fields.String(allow_none=True, metadata={"description": "null: nothing is proven"})
    covered_fields = ma.fields.List(ma.fields.String())
    parameters = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    faults = ma.fields.List(ma.fields.Nested(PostbackFaultSchema))
    claim = ma.fields.Dict(allow_none=True)
    repeats = ma.fields.String(allow_none=True, metadata={"description": "the conversion that has its key already"})
    answer = ma.fields.Dict(metadata={"example": {"code": 200, "status": "accepted"}})


class NewReprocessingSchema(Wire):
    """Body of a dry run: whose receipts of which time to read again under today's mapping."""

    shape = Window

    source_id = Text(required=True, validate=_ID)
    since = Moment(required=True, data_key="from")
    until = Moment(required=True, metadata={"description": "this moment excluded"})


_REPROCESSING_STATES = ("planning", "planned", "applying", "applied", "stopped")


class ReprocessingQuerySchema(PageQuerySchema):
    """Query of the reprocessings."""

    shape = ReprocessingQuery

    source_id = ma.fields.String(load_default=None, validate=_ID)
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(_REPROCESSING_STATES))


class PayoutsSchema(ma.Schema):
    """What the payouts of one currency come to, before and after."""

    before = Amount()
    after = Amount()
    difference = Amount()


class FactsSchema(ma.Schema):
    """What of a conversion a mapping decides."""

    payout = ma.fields.String(allow_none=True, metadata={"example": "12.34 EUR"})
    amount = ma.fields.String(allow_none=True)
    status = ma.fields.String(allow_none=True)
    click_id = ma.fields.String()


class ReplayedReceiptSchema(ma.Schema):
    """One receipt that reads otherwise today, or not at all."""

    receipt_id = ma.fields.String()
    conversion_id = ma.fields.String(allow_none=True)
    finding = ma.fields.String(validate=ma.validate.OneOf([finding.value for finding in Finding]))
    before = ma.fields.Nested(FactsSchema, allow_none=True)
    after = ma.fields.Nested(FactsSchema, allow_none=True)


class AppliedSchema(ma.Schema):
    """What applying it did."""

    recorded = ma.fields.Integer()
    adjusted = ma.fields.Integer()


class ProgressSchema(ma.Schema):
    """How far a long one has come: of `receipts`, how many are read, found again as they were, and applied."""

    receipts = ma.fields.Integer()
    read = ma.fields.Integer()
    checked = ma.fields.Integer(metadata={"description": "of a long one, before any of it is applied"})
    applied = ma.fields.Integer()


class ReprocessingSchema(ma.Schema):
    """A window of receipts read again: what would change, and whether somebody has applied it."""

    id = ma.fields.String()
    source_id = ma.fields.String()
    since = Moment(data_key="from")
    until = Moment()
    state = ma.fields.String(validate=ma.validate.OneOf(_REPROCESSING_STATES))
    reason = ma.fields.String(
        allow_none=True, metadata={"description": "why it was stopped: source-moved-on or window-moved-on"}
    )
    progress = ma.fields.Nested(ProgressSchema)
    receipts = ma.fields.Integer(
        metadata={"description": "how many are compared: without those whose conversion is another receipt's"}
    )
    findings = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Integer(),
        metadata={"description": "receipts by what they come to; applying does `record` and `adjust`, nothing else"},
    )  # fmt: skip
    changes = ma.fields.Dict(
        keys=ma.fields.String(), values=ma.fields.Integer(),
        metadata={"description": "conversions by what reads otherwise; status and click_id are shown, not applied"},
    )  # fmt: skip
    payouts = ma.fields.List(ma.fields.Nested(PayoutsSchema))
    examples = ma.fields.List(ma.fields.Nested(ReplayedReceiptSchema))
    created_at = Moment()
    created_by = ma.fields.String()
    applied_at = Moment(allow_none=True)
    applied_by = ma.fields.String(allow_none=True)
    result = ma.fields.Nested(AppliedSchema, allow_none=True)


class PostbackExampleSchema(ma.Schema):
    """How to fire a postback at a source."""

    curl = ma.fields.String(metadata={"description": "signed for this moment, with a fresh transaction id"})
    url_template = ma.fields.String(metadata={"description": "to paste into the network's dashboard"})
    note = ma.fields.String(allow_none=True, metadata={"description": "what to put in before it can be run"})
