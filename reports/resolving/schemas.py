"""How notes, owners, resolutions, adjustments and claims travel."""

from dataclasses import dataclass

import marshmallow as ma

from core.http.wire import Amount, Moment, PageQuerySchema, Text, Wire
from ledger.schemas import PERIOD
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution
from reports.resolving.acts import IDS_MAX, TOGETHER, Said, SaidOfMany
from reports.resolving.claiming import Answered, Outcome
from reports.resolving.queries import EveryQuery
from reports.schemas import DiscrepancySchema
from reports.taxonomy import Severity

NOTE_LENGTH_MAX = 2000
_ID = ma.validate.Length(1, 40)
_AGE = ma.validate.Range(0, 36_500)


def _said() -> Text:
    return Text(
        required=True,
        validate=[ma.validate.Length(1, NOTE_LENGTH_MAX), ma.validate.Regexp(r".*\S", error="is needed")],
    )


def _version() -> ma.fields.Integer:
    return ma.fields.Integer(required=True, strict=True, validate=ma.validate.Range(min=1))


def _one_of(values: type[DiscrepancyClass | DiscrepancyState | Leg | Severity]) -> ma.validate.OneOf:
    return ma.validate.OneOf([each.value for each in values])


class EveryQuerySchema(PageQuerySchema):
    """Query of the discrepancies of all months."""

    shape = EveryQuery

    period = ma.fields.String(load_default=None, validate=PERIOD)
    leg = ma.fields.String(load_default=None, validate=_one_of(Leg))
    source_id = Text(load_default=None, validate=_ID)
    klass = ma.fields.String(load_default=None, data_key="class", validate=_one_of(DiscrepancyClass))
    severity = ma.fields.String(load_default=None, validate=_one_of(Severity))
    owner = Text(
        load_default=None, validate=_ID, metadata={"description": "a staff id, `me`, or `nobody` for those without one"}
    )
    state = ma.fields.String(load_default=None, validate=_one_of(DiscrepancyState))
    age_days_min = ma.fields.Integer(load_default=None, validate=_AGE)
    age_days_max = ma.fields.Integer(load_default=None, validate=_AGE)


@dataclass(frozen=True)
class Assigned:
    """Who is to look after a discrepancy, as it was seen at `version`."""

    owner: str | None
    version: int


class AssignedSchema(Wire):
    """Body of an assignment."""

    shape = Assigned

    owner = Text(required=True, allow_none=True, validate=_ID)
    version = _version()


@dataclass(frozen=True)
class NewNote:
    """What somebody says."""

    text: str


class NewNoteSchema(Wire):
    """Body of a note."""

    shape = NewNote

    text = _said()


class NoteSchema(ma.Schema):
    """A note; it never changes."""

    id = ma.fields.String()
    author_id = ma.fields.String()
    text = ma.fields.String()
    created_at = Moment()


class SaidSchema(Wire):
    """Body of a resolution; `click_id` and `event` are for a conversion that is created."""

    shape = Said

    resolution = ma.fields.Enum(Resolution, by_value=True, required=True)
    note = _said()
    version = _version()
    click_id = Text(load_default=None, validate=ma.validate.Length(1, 40))
    event = Text(load_default=None, validate=ma.validate.Length(1, 40))


class SaidOfManySchema(Wire):
    """Body of one resolution of many; `sums` are the differences (theirs minus ours) that the person saw."""

    shape = SaidOfMany

    ids = ma.fields.List(Text(validate=_ID), required=True, validate=ma.validate.Length(1, IDS_MAX))
    resolution = ma.fields.Enum(Resolution, by_value=True, required=True, validate=ma.validate.OneOf(TOGETHER))
    note = _said()
    count = ma.fields.Integer(required=True, strict=True, validate=ma.validate.Range(1, IDS_MAX))
    sums = ma.fields.List(Amount(), required=True)


class ResolvedSchema(ma.Schema):
    """What became of many, in their order."""

    items = ma.fields.List(ma.fields.Nested(DiscrepancySchema))


class AnsweredSchema(Wire):
    """Body of a network's answer to a claim; `amount` with partial alone."""

    shape = Answered

    answer = ma.fields.Enum(Outcome, by_value=True, required=True)
    note = _said()
    version = _version()
    amount = Amount(load_default=None)


class AdjustmentSchema(ma.Schema):
    """An adjustment: what `account` gains and `counter_account` loses once it is approved."""

    id = ma.fields.String()
    kind = ma.fields.String(metadata={"enum": ["accept", "write_off"]})
    state = ma.fields.String(metadata={"enum": ["pending", "posted", "rejected", "lapsed"]})
    money = Amount()
    account = ma.fields.String()
    counter_account = ma.fields.String()
    approval_id = ma.fields.String(allow_none=True)
    created_by = ma.fields.String()
    created_at = Moment()
    ended_at = Moment(allow_none=True)
    occurred_on = ma.fields.Date(allow_none=True)


class ClaimSchema(ma.Schema):
    """A claim and its answer; its pack is at /dispute-pack."""

    id = ma.fields.String()
    state = ma.fields.String(metadata={"enum": ["open", "won", "lost", "partial"]})
    money = Amount(allow_none=True)
    awarded = Amount(allow_none=True)
    pack_sha256 = ma.fields.String()
    claimed_by = ma.fields.String()
    claimed_at = Moment()
    answered_by = ma.fields.String(allow_none=True)
    answered_at = Moment(allow_none=True)
    answer_note = ma.fields.String(allow_none=True)


class DiscrepancyInFullSchema(DiscrepancySchema):
    """A discrepancy with everything that was said about it; `left` is what is still to be explained or posted."""

    left = Amount(allow_none=True)
    allowed = ma.fields.List(ma.fields.String(), metadata={"description": "the resolutions it takes now"})
    notes = ma.fields.List(ma.fields.Nested(NoteSchema))
    adjustments = ma.fields.List(ma.fields.Nested(AdjustmentSchema))
    claims = ma.fields.List(ma.fields.Nested(ClaimSchema))
