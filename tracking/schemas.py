"""What tracking takes and answers on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from core.http.wire import Moment, PageQuery, PageQuerySchema, Text, Wire
from partners.placeholders import SUBS
from tracking.clicks import BATCH_MAX, NewClick

SUB_LENGTH_MAX = 255
ID_LENGTH_MAX = 40


def _id(**options: Any) -> Text:
    return Text(validate=ma.validate.Length(1, ID_LENGTH_MAX), **options)


def _sub() -> Text:
    return Text(allow_none=True, validate=ma.validate.Length(max=SUB_LENGTH_MAX))


class NewClickSchema(Wire):
    """Body of POST /clicks: one click, or a list of up to 1,000."""

    shape = NewClick

    campaign_id = _id(required=True)
    affiliate_id = _id(required=True)
    sub1 = _sub()
    sub2 = _sub()
    sub3 = _sub()
    sub4 = _sub()
    sub5 = _sub()
    click_id = ma.fields.String(
        allow_none=True,
        validate=ma.validate.Regexp(
            r"[A-Za-z0-9._~-]{1,40}\Z", error="takes 1 to 40 letters, digits and the characters . _ ~ -"
        ),
        metadata={"description": "another tracker's own id; left out, it is made here"},
    )
    clicked_at = Moment(allow_none=True, metadata={"description": "now, when left out"})

    def load(self, data: Any, **options: Any) -> Any:
        """Load one click into a NewClick, a list of them into a list."""
        if not isinstance(data, list):
            return super().load(data, **options)
        if not 1 <= len(data) <= BATCH_MAX:
            message = f"takes 1 to {BATCH_MAX} clicks at once"
            raise ma.ValidationError(message)
        return super().load(data, **{**options, "many": True})


class RecordedClickSchema(ma.Schema):
    """A click just recorded: put `click_id` into the link to the network."""

    id = ma.fields.String(required=True)
    click_id = ma.fields.String(required=True)


class RecordedSchema(ma.Schema):
    """For one click its ids, for a list `items` in the same order."""

    id = ma.fields.String()
    click_id = ma.fields.String()
    items = ma.fields.List(ma.fields.Nested(RecordedClickSchema))


class ClickSchema(ma.Schema):
    """A click."""

    id = ma.fields.String(required=True)
    click_id = ma.fields.String(required=True)
    campaign_id = ma.fields.String()
    affiliate_id = ma.fields.String()
    sub1 = ma.fields.String(allow_none=True)
    sub2 = ma.fields.String(allow_none=True)
    sub3 = ma.fields.String(allow_none=True)
    sub4 = ma.fields.String(allow_none=True)
    sub5 = ma.fields.String(allow_none=True)
    via = ma.fields.String(metadata={"description": "redirect or api"})
    clicked_at = Moment()
    recorded_at = Moment()


@dataclass(frozen=True)
class ClickQuery(PageQuery):
    """Which clicks."""

    campaign_id: str | None = None
    affiliate_id: str | None = None
    click_id: str | None = None


class ClickQuerySchema(PageQuerySchema):
    """Query of GET /clicks."""

    shape = ClickQuery

    campaign_id = _id()
    affiliate_id = _id()
    click_id = _id()


class VisitSchema(Wire):
    """Query of a tracking link."""

    sub1 = _sub()
    sub2 = _sub()
    sub3 = _sub()
    sub4 = _sub()
    sub5 = _sub()

    @ma.pre_load
    def _known(self, values: Mapping[str, Any], **_: object) -> dict[str, Any]:
        # Mail programs and social networks add parameters of their own to any link; a visitor is not at fault for them.
        return {name: values[name] for name in SUBS if name in values}
