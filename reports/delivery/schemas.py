"""How schedules and deliveries travel."""

from dataclasses import dataclass

import marshmallow as ma

from core.http.wire import Moment, PageQuery, PageQuerySchema, Text, Wire
from partners.wire_fields import ChangeSchema
from reports.delivery.schedules import NewSchedule
from reports.delivery.timing import DAYS_MAX
from reports.producing import OFFERED

_REPORTS = f"any of {', '.join(OFFERED)}"
_FORMATS = "; ".join(f"{name} comes as {', '.join(forms)}" for name, forms in OFFERED.items())


def _name(*, required: bool = False) -> Text:
    return Text(
        required=required, validate=[ma.validate.Length(1, 100), ma.validate.Regexp(r".*\S", error="is needed")]
    )


def _day(*, required: bool = False) -> ma.fields.Integer:
    said = {"description": "of the month; its last day where it has no such day"}
    return ma.fields.Integer(required=required, strict=True, validate=ma.validate.Range(1, DAYS_MAX), metadata=said)


def _hour(*, required: bool = False) -> ma.fields.Integer:
    return ma.fields.Integer(
        required=required, strict=True, validate=ma.validate.Range(0, 23), metadata={"description": "UTC"}
    )


def _names(said: str, *, required: bool = False) -> ma.fields.List[str]:
    return ma.fields.List(Text(), required=required, metadata={"description": said})


class _WishesSchema(Wire):
    recipients = _names("e-mail addresses")
    folder = Text(metadata={"description": "below VAR_DIR/deliveries; each month has a folder of its own in it"})
    waits_for_close = ma.fields.Boolean(metadata={"description": "deliver only once the month is closed"})


class NewScheduleSchema(_WishesSchema):
    """Body of a new schedule; without a folder it gets one of its own."""

    shape = NewSchedule

    name = _name(required=True)
    day = _day(required=True)
    hour = _hour(required=True)
    reports = _names(_REPORTS, required=True)
    formats = _names(_FORMATS, required=True)


class ScheduleChangeSchema(ChangeSchema, _WishesSchema):
    """Body of a change of a schedule."""

    name = _name()
    day = _day()
    hour = _hour()
    reports = _names(_REPORTS)
    formats = _names(_FORMATS)
    state = ma.fields.String(validate=ma.validate.OneOf(["active", "paused"]))


class ScheduleSchema(ma.Schema):
    """One schedule."""

    id = ma.fields.String(required=True)
    name = ma.fields.String()
    day = ma.fields.Integer()
    hour = ma.fields.Integer()
    reports = ma.fields.List(ma.fields.String())
    formats = ma.fields.List(ma.fields.String())
    recipients = ma.fields.List(ma.fields.String())
    folder = ma.fields.String()
    waits_for_close = ma.fields.Boolean()
    state = ma.fields.String(metadata={"enum": ["active", "paused", "removed"]})
    next_at = Moment(metadata={"description": "the schedule's next moment, whatever its state"})
    failed_at = Moment(allow_none=True)
    error = ma.fields.String(allow_none=True)
    created_at = Moment()
    created_by = ma.fields.String()
    version = ma.fields.Integer()


class DeliveredFileSchema(ma.Schema):
    """One file of a delivery."""

    name = ma.fields.String()
    report = ma.fields.String()
    format = ma.fields.String()
    mimetype = ma.fields.String()
    bytes = ma.fields.Integer()
    sha256 = ma.fields.String()
    url = ma.fields.String()


class DeliverySchema(ma.Schema):
    """What was delivered about one month."""

    id = ma.fields.String(required=True)
    schedule_id = ma.fields.String()
    period = ma.fields.String()
    delivered_at = Moment()
    folder = ma.fields.String()
    files = ma.fields.List(ma.fields.Nested(DeliveredFileSchema))
    letters = ma.fields.Integer()


@dataclass(frozen=True)
class ScheduleQuery(PageQuery):
    """Which schedules."""

    state: str | None = None


class ScheduleQuerySchema(PageQuerySchema):
    """Query of the schedules; without a state those that were not removed."""

    shape = ScheduleQuery

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(["active", "paused", "removed"]))
