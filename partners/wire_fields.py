"""Fields that the wire of partners shares."""

from collections.abc import Iterable
from typing import Any

import marshmallow as ma

from core.http.wire import Text, Wire
from partners.changes import Change


def name(length_max: int, **options: Any) -> Text:
    """Return the field of a name that is not blank."""
    not_blank = ma.validate.Regexp(r"[\s\S]*\S", error="is blank")
    return Text(validate=[ma.validate.Length(1, length_max), not_blank], **options)


def whole(lowest: int, highest: int, **options: Any) -> ma.fields.Integer:
    """Return the field of a whole number within its bounds."""
    return ma.fields.Integer(strict=True, validate=ma.validate.Range(lowest, highest), **options)


def one_of(words: tuple[str, ...], **options: Any) -> ma.fields.String:
    """Return the field of one word among `words`."""
    return ma.fields.String(validate=ma.validate.OneOf(words), **options)


def columns(row: object, names: Iterable[str]) -> dict[str, Any]:
    """Return those of `names` that `row` has, with their values."""
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


class ChangeSchema(Wire):
    """Body of a PATCH: the version it was decided on, and the fields to change."""

    version = ma.fields.Integer(strict=True, required=True, metadata={"description": "the version this was decided on"})

    @ma.post_load
    def _shaped(self, values: dict[str, Any], **_: object) -> Change:
        return Change(values.pop("version"), values)
