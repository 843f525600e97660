"""The wire of remittances."""

from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from core.http.wire import Amount, Moment, MoneySchema, PageQuery, PageQuerySchema, Text, Wire
from core.money import Money
from ledger.schemas import PERIOD
from reports.remittances import ANNOUNCED_AT_ONCE_MAX, Change, NewRemittance
from reports.remitting import Origin, RemittanceState

REASON_LENGTH_MAX = 2000
_REASON = [ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S", error="is needed")]
_VERSION = ma.validate.Range(min=1)
_REFERENCE = [ma.validate.Length(1, 140), ma.validate.Regexp(r"\S(.*\S)?\Z", error="takes no blank at its ends")]


def _more_than_nothing(money: Money) -> None:
    if money.amount_minor <= 0:
        message = "takes more than nothing"
        raise ma.ValidationError(message)


class NewRemittanceSchema(Wire):
    """Body of POST /remittances: one that a network has announced, or a list of up to 1,000."""

    shape = NewRemittance

    source_id = Text(required=True, validate=ma.validate.Length(1, 40))
    period = ma.fields.String(required=True, validate=PERIOD)
    money = Amount(required=True)
    reference = Text(
        load_default=None,
        allow_none=True,
        validate=_REFERENCE,
        metadata={"description": "number of the invoice or of the remittance advice, as the bank's text will carry it"},
    )
    due_on = ma.fields.Date(load_default=None, allow_none=True)

    def load(self, data: Any, **options: Any) -> Any:
        """Load one into a NewRemittance, a list of them into a list."""
        if not isinstance(data, list):
            return super().load(data, **options)
        if not 1 <= len(data) <= ANNOUNCED_AT_ONCE_MAX:
            message = f"takes 1 to {ANNOUNCED_AT_ONCE_MAX} remittances at once"
            raise ma.ValidationError(message)
        return super().load(data, **{**options, "many": True})


class RemittanceChangeSchema(Wire):
    """Body of PATCH /remittances/ID."""

    shape = Change

    version = ma.fields.Integer(required=True, strict=True, validate=_VERSION)
    reason = Text(required=True, validate=_REASON)
    state = ma.fields.Enum(
        RemittanceState,
        by_value=True,
        load_default=None,
        validate=ma.validate.OneOf(
            [RemittanceState.OPEN, RemittanceState.WRITTEN_OFF],
            error="takes written_off, or open for what was written off: the rest follows from the bank",
        ),
    )
    money = Amount(load_default=None, validate=_more_than_nothing)
    due_on = ma.fields.Date(load_default=None)


@dataclass(frozen=True)
class Accepted:
    """A bank's charge that a person accepts."""

    reason: str
    version: int


class AcceptedSchema(Wire):
    """Body of a charge."""

    shape = Accepted

    reason = Text(required=True, validate=_REASON)
    version = ma.fields.Integer(required=True, strict=True, validate=_VERSION)


@dataclass(frozen=True)
class DerivedPeriod:
    """The month to derive remittances of."""

    period: str


class DerivedPeriodSchema(Wire):
    """Body of POST /remittances/derive."""

    shape = DerivedPeriod

    period = ma.fields.String(required=True, validate=PERIOD)


class PaymentSchema(ma.Schema):
    """One credit that paid a part of it."""

    bank_line_id = ma.fields.String()
    money = ma.fields.Nested(MoneySchema)
    booked_on = ma.fields.Date()
    account = ma.fields.String()
    matched_by = ma.fields.String()


class RemittanceSchema(ma.Schema):
    """A remittance: money = paid + charged + written_off + left."""

    id = ma.fields.String(required=True)
    source_id = ma.fields.String()
    period = ma.fields.String()
    reference = ma.fields.String(allow_none=True)
    money = ma.fields.Nested(MoneySchema)
    paid = ma.fields.Nested(MoneySchema)
    charged = ma.fields.Nested(MoneySchema)
    written_off = ma.fields.Nested(MoneySchema)
    left = ma.fields.Nested(MoneySchema, metadata={"description": "negative when more came than was owed"})
    due_on = ma.fields.Date(allow_none=True)
    state = ma.fields.String(metadata={"enum": [state.value for state in RemittanceState]})
    origin = ma.fields.String(metadata={"enum": [origin.value for origin in Origin]})
    payments = ma.fields.List(ma.fields.Nested(PaymentSchema))
    created_by = ma.fields.String()
    created_at = Moment()
    changed_at = Moment()
    version = ma.fields.Integer()


class AnnouncedSchema(RemittanceSchema):
    """For one remittance itself, for a list `items` in the same order."""

    # Every dict has a method called items: one remittance has none of its own.
    items = ma.fields.List(ma.fields.Nested(RemittanceSchema), attribute="listed")


class DerivedSchema(ma.Schema):
    """What deriving came to; `kept` stand as announced, or because something is matched with them."""

    items = ma.fields.List(ma.fields.Nested(RemittanceSchema))
    made = ma.fields.Integer()
    changed = ma.fields.Integer()
    dropped = ma.fields.Integer()
    kept = ma.fields.Integer()


@dataclass(frozen=True)
class RemittanceQuery(PageQuery):
    """Which remittances."""

    source_id: str | None = None
    period: str | None = None
    state: str | None = None
    origin: str | None = None


class RemittanceQuerySchema(PageQuerySchema):
    """Query of the remittances."""

    shape = RemittanceQuery

    source_id = Text(load_default=None)
    period = ma.fields.String(load_default=None, validate=PERIOD)
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf([state.value for state in RemittanceState]))
    origin = ma.fields.String(load_default=None, validate=ma.validate.OneOf([origin.value for origin in Origin]))
