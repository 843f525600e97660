"""What sources and their secrets take and answer on the wire."""

from collections.abc import Iterable
from typing import Any

import marshmallow as ma

from core.http.wire import Currency, Moment, Text, Wire
from core.runtime import installed
from partners.models import Source
from partners.secrets import OVERLAP_DAYS_MAX, NewSecret, Rotation
from partners.source_rules import AMOUNT_UNITS, ANSWERS, DUPLICATES, PARAMETERS, SCHEMES
from partners.sources import DEDUPE_BY, PAYOUT_MEANS, STALE, NewSource, RateLimit, asked_for, postback_url, scheme_name
from partners.sources import STATES as SOURCE_STATES
from partners.wire_fields import ChangeSchema, columns, name, one_of, whole

RATE_MAX = 1_000_000
SECRET_LENGTH_MAX = 200


class RateLimitSchema(Wire):
    """A token bucket."""

    shape = RateLimit

    per_second = whole(1, RATE_MAX)
    burst = whole(1, RATE_MAX)


class SourceFieldsSchema(Wire):
    """What of a source may change; what is left out when it is made takes the defaults of NewSource."""

    name = name(100)
    allowlist = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(max=80)),
        metadata={"description": "networks; empty, the default: every address", "example": ["192.0.2.0/24"]},
    )
    stale = one_of(STALE, metadata={"default": "hold"})
    default_currency = Currency(allow_none=True)
    options = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        metadata={"description": "what body1, stripe1 and token need", "example": {"header": "x-signature"}},
    )
    parameters = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        validate=ma.validate.Length(max=len(PARAMETERS)),
        metadata={"description": "our name for a parameter, and the network's", "example": {"payout": "commission"}},
    )
    status_words = ma.fields.Dict(
        keys=Text(),
        values=ma.fields.String(),
        metadata={"description": "the network's word, and what it means", "example": {"declined": "rejected"}},
    )
    amount_unit = one_of(AMOUNT_UNITS, metadata={"default": "major"})
    duplicates = one_of(DUPLICATES, metadata={"default": "ignore"})
    reversal = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        metadata={"description": "how a reversal is known", "example": {"kind": "prefix", "prefix": "r-"}},
    )
    answers = one_of(ANSWERS, metadata={"default": "json"})
    is_test = ma.fields.Boolean(metadata={"description": "recorded, never paid", "default": False})
    rate_limit = ma.fields.Nested(RateLimitSchema)


class NewSourceSchema(SourceFieldsSchema):
    """Body of POST /sources."""

    name = name(100, required=True)
    scheme = ma.fields.String(
        required=True,
        validate=ma.validate.Regexp(
            rf"^(?:{'|'.join(SCHEMES)}|preset:[a-z0-9_-]{{1,30}})$",
            error=f"takes one of {', '.join(SCHEMES)}, or preset: and the name of one (GET /api/v1/presets)",
        ),
        metadata={"example": "pb1"},
    )
    payout_means = one_of(PAYOUT_MEANS, metadata={"default": "owed_to_affiliate"})
    dedupe_by = one_of(DEDUPE_BY, metadata={"default": "transaction_event"})
    secret = Text(
        validate=ma.validate.Length(1, SECRET_LENGTH_MAX),
        metadata={"description": "one that the network gave; without it one is made"},
    )

    @ma.post_load
    def _shaped(self, values: dict[str, Any], **_: object) -> NewSource:
        return asked_for(values)


class SourceChangeSchema(ChangeSchema, SourceFieldsSchema):
    """Body of PATCH /sources/<id>; scheme, payout_means and dedupe_by never change."""

    state = one_of(SOURCE_STATES)


class SecretSchema(ma.Schema):
    """A secret without its value."""

    id = ma.fields.String(required=True)
    key_format = ma.fields.String(required=True)
    created_at = Moment(required=True)
    not_after = Moment(allow_none=True, metadata={"description": "the end of its overlap, once it was rotated"})
    last_used_at = Moment(allow_none=True)
    revoked_at = Moment(allow_none=True)


class NewSecretSchema(ma.Schema):
    """A secret just made; its value is shown this once."""

    id = ma.fields.String(required=True)
    value = ma.fields.String(required=True, metadata={"example": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})


class RevokedSchema(ma.Schema):
    """A revoked secret; without a live one left the source refuses every postback."""

    id = ma.fields.String(required=True)
    revoked_at = Moment(required=True)
    live_secrets = ma.fields.Integer(required=True)


class RotationSchema(Wire):
    """Body of POST /sources/<id>/secrets."""

    shape = Rotation

    overlap_days = whole(0, OVERLAP_DAYS_MAX, load_default=7)
    value = Text(
        load_default=None,
        validate=ma.validate.Length(1, SECRET_LENGTH_MAX),
        metadata={"description": "one that the network gave; without it one is made"},
    )


class SourceSchema(ma.Schema):
    """A source."""

    id = ma.fields.String(required=True)
    postback_url = ma.fields.String(required=True)
    name = ma.fields.String()
    scheme = ma.fields.String()
    allowlist = ma.fields.List(ma.fields.String())
    stale = ma.fields.String()
    default_currency = ma.fields.String(allow_none=True)
    payout_means = ma.fields.String()
    dedupe_by = ma.fields.String()
    options = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    parameters = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    status_words = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    amount_unit = ma.fields.String()
    duplicates = ma.fields.String()
    reversal = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    answers = ma.fields.String()
    is_test = ma.fields.Boolean()
    rate_limit = ma.fields.Nested(RateLimitSchema)
    state = ma.fields.String()
    created_at = Moment()
    version = ma.fields.Integer(required=True)

    @ma.pre_dump
    def _seen(self, source: Source, **_: object) -> dict[str, Any]:
        return _source(source, self.fields)


class CreatedSourceSchema(SourceSchema):
    """A source just made, with its first secret."""

    secret = ma.fields.Nested(NewSecretSchema, required=True)

    @ma.pre_dump
    def _seen(self, created: tuple[Source, NewSecret], **_: object) -> dict[str, Any]:
        source, secret = created
        return {**_source(source, self.fields), "secret": secret}


class SourceDetailSchema(SourceSchema):
    """A source and its secrets, without their values."""

    secrets = ma.fields.List(ma.fields.Nested(SecretSchema))


def _source(source: Source, names: Iterable[str]) -> dict[str, Any]:
    return {
        **columns(source, names),
        "scheme": scheme_name(source),
        "postback_url": postback_url(installed(), source.id),
        "rate_limit": RateLimit(source.rate_per_second, source.rate_burst),
    }
