"""The wire of what we owe an affiliate: balances, the statement of its account, its self-billing documents."""

from dataclasses import dataclass

import marshmallow as ma

from core.http.wire import Currency, Moment, MoneySchema, PageQuery, PageQuerySchema
from ledger.schemas import PERIOD
from payouts.balances import StatementQuery


class BalanceSchema(ma.Schema):
    """One currency: accrued is held + payable + in_payout + paid. What is negative is carried to the next payout."""

    currency = ma.fields.String(required=True)
    accrued = ma.fields.Nested(MoneySchema)
    held = ma.fields.Nested(MoneySchema)
    payable = ma.fields.Nested(MoneySchema)
    in_payout = ma.fields.Nested(MoneySchema)
    paid = ma.fields.Nested(MoneySchema)
    negative_carried = ma.fields.Nested(MoneySchema)


class BalancesSchema(ma.Schema):
    """An affiliate's balances, its own currency first."""

    affiliate_id = ma.fields.String(required=True)
    balances = ma.fields.List(ma.fields.Nested(BalanceSchema), required=True)


class StatementQuerySchema(PageQuerySchema):
    """Query of a statement: the months from `since` to `until`, both part of it."""

    shape = StatementQuery

    currency = Currency(load_default=None)
    since = ma.fields.String(load_default=None, validate=PERIOD)
    until = ma.fields.String(load_default=None, validate=PERIOD)


class StatementLineSchema(ma.Schema):
    """One entry of the journal, from the affiliate's side: what it is owed is positive."""

    on = ma.fields.Date()
    kind = ma.fields.String()
    description = ma.fields.String()
    reference = ma.fields.String()
    money = ma.fields.Nested(MoneySchema)
    balance = ma.fields.Nested(MoneySchema)


class StatementSchema(ma.Schema):
    """An affiliate's account: opening and all its lines make closing."""

    affiliate_id = ma.fields.String(required=True)
    currency = ma.fields.String()
    since = ma.fields.Date(allow_none=True)
    until = ma.fields.Date(allow_none=True)
    opening = ma.fields.Nested(MoneySchema)
    closing = ma.fields.Nested(MoneySchema)
    items = ma.fields.List(ma.fields.Nested(StatementLineSchema), required=True)
    next = ma.fields.String(allow_none=True)


@dataclass(frozen=True)
class SelfBillQuery(PageQuery):
    """Which documents."""

    affiliate_id: str | None = None
    year: int | None = None


class SelfBillQuerySchema(PageQuerySchema):
    """Query of self-billing documents."""

    shape = SelfBillQuery

    affiliate_id = ma.fields.String(load_default=None)
    year = ma.fields.Integer(load_default=None, validate=ma.validate.Range(2000, 9999))


class SelfBillSchema(ma.Schema):
    """A self-billing document."""

    id = ma.fields.String(required=True)
    payout_id = ma.fields.String()
    affiliate_id = ma.fields.String()
    number = ma.fields.String(metadata={"example": "SB-2026-000001"})
    title = ma.fields.String()
    corrects = ma.fields.String(allow_none=True)
    total = ma.fields.Nested(MoneySchema)
    sha256 = ma.fields.String()
    issued_at = Moment()
