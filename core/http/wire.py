"""How values travel: base schema, money, moments; marshmallow lives at this edge alone."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import marshmallow as ma

from core import money
from core.money import Money, MoneyError

# Both databases' largest integer; beyond it one of them raises.
INTEGER_MAX = 2**63 - 1
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


class Wire(ma.Schema):
    """A schema that refuses unknown fields and, when `shape` is set, loads into that frozen dataclass."""

    shape: ClassVar[type[Any] | None] = None

    class Meta:
        """Marshmallow's settings."""

        unknown = ma.RAISE

    @ma.post_load
    def _shaped(self, values: dict[str, Any], **_: object) -> Any:
        return self.shape(**values) if self.shape else values


class Text(ma.fields.String):
    """Text that both databases keep: without control characters (PostgreSQL refuses NUL) and lone surrogates."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
            message = "takes text without control characters"
            raise ma.ValidationError(message)
        return text


class Moment(ma.fields.Field[datetime]):
    """An RFC 3339 moment; written in UTC with a Z."""

    def _serialize(self, value: datetime | None, *_: object, **__: object) -> str | None:
        return None if value is None else moment_text(value)

    def _deserialize(self, value: object, *_: object, **__: object) -> datetime:
        if not isinstance(value, str) or not _RFC3339.fullmatch(value):
            message = "takes an RFC 3339 time with its offset, such as 2026-10-03T10:00:00Z"
            raise ma.ValidationError(message)
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            message = "is no moment of the calendar"
            raise ma.ValidationError(message) from error


class Amount(ma.fields.Field[Money]):
    """Money as `{"amount": "12.34", "currency": "EUR"}`."""

    def _serialize(self, value: Money | None, *_: object, **__: object) -> dict[str, str] | None:
        return None if value is None else money_dict(value)

    def _deserialize(self, value: object, *_: object, **__: object) -> Money:
        if not isinstance(value, dict) or set(value) != {"amount", "currency"}:
            message = 'takes {"amount": "12.34", "currency": "EUR"}'
            raise ma.ValidationError(message)
        if not isinstance(value["amount"], str) or not isinstance(value["currency"], str):
            message = "takes amount and currency as text, so that no digit is lost"
            raise ma.ValidationError(message)
        try:
            return money.parse(value["amount"], value["currency"])
        except MoneyError as error:
            raise ma.ValidationError(str(error)) from error


class Currency(ma.fields.String):
    """An ISO 4217 code."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, *args, **kwargs)
        try:
            money.exponent(code)
        except MoneyError as error:
            raise ma.ValidationError(str(error)) from error
        return code


class MoneySchema(ma.Schema):
    """How money looks in the OpenAPI document."""

    amount = ma.fields.String(required=True, metadata={"example": "12.34"})
    currency = ma.fields.String(required=True, metadata={"example": "EUR"})


def money_dict(value: Money) -> dict[str, str]:
    """Return the wire form of `value`."""
    return {"amount": money.to_text(value.amount_minor, value.currency), "currency": value.currency}


def moment_text(value: datetime) -> str:
    """Return `value` in RFC 3339, in UTC, with microseconds only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class PageQuery:
    """Which part of a list: at most `limit` items after the item `after`."""

    limit: int = 100
    after: str | None = None


class PageQuerySchema(Wire):
    """Query of every list; lists with filters add their fields by inheriting."""

    shape = PageQuery

    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))
    after = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=80))


@dataclass(frozen=True)
class NumberedPageQuery:
    """Which part of a list whose rows are numbered: at most `limit` items below the number `after`."""

    limit: int = 100
    after: int | None = None


class NumberedPageQuerySchema(Wire):
    """Query of such a list."""

    shape = NumberedPageQuery

    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))
    after = ma.fields.Integer(load_default=None, validate=ma.validate.Range(0, INTEGER_MAX))


def listing(item: type[ma.Schema]) -> type[ma.Schema]:
    """Return the schema of a page of `item`s: `{"items": [..], "next": cursor or null}`."""
    return type(
        f"{item.__name__.removesuffix('Schema')}ListSchema",
        (ma.Schema,),
        {
            "items": ma.fields.List(ma.fields.Nested(item), required=True),
            "next": ma.fields.String(allow_none=True),
        },
    )
