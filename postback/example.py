"""A signed, ready postback for whoever sets up a network, under every scheme and preset."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from core.errors import Conflict
from core.runtime import Runtime
from partners import secrets, sources
from partners.models import Source
from partners.secrets import KeyFormat
from partners.source_rules import PRESET
from postback import example_values, known, schemes_of_sources
from postback.content import TIMESTAMP
from postback.presets.catalogue import CATALOGUE, TOKEN_PLACEHOLDER, Preset
from postback.schemes.base import Request, Scheme
from postback.schemes.generic import ID_HEADER, TIMESTAMP_HEADER

_TEMPLATE_FIELDS = ("click_id", "transaction_id", "payout", "currency")
_KINDS = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_TOKEN_NOTE = (
    f"put the token that was shown once in place of {TOKEN_PLACEHOLDER}: only its HMAC is kept, so it cannot be shown "
    "again; a token that is lost is rotated"
)


@dataclass(frozen=True)
class Example:
    """`curl` can be run as it is, unless `note` says what to put in; `url_template` is for the network's dashboard."""

    curl: str
    url_template: str
    note: str | None = None

    def __repr__(self) -> str:
        # A signed request is as good as the conversion it claims.
        return "Example()"


def build(runtime: Runtime, source: Source) -> Example:
    """Return an example signed for this moment under a transaction id never used; its click is unknown to us.

    Raise Conflict when the source has no live secret to sign with, or lacks a setting that its preset leaves open.
    """
    signed = signed_request(runtime, source)
    is_token = source.secrets[0].key_format == KeyFormat.TOKEN
    template = url_template(source, sources.postback_url(runtime, source.id))
    return Example(_curl(signed, body_kind(source)), template, _TOKEN_NOTE if is_token else None)


def body_kind(source: Source) -> str:
    """Return how a source's body is written: json, form or query."""
    return _body_of(source, CATALOGUE[source.preset or ""] if source.scheme == PRESET else None)


def signed_request(runtime: Runtime, source: Source) -> Request:
    """Return the request of such an example; a static token, of which only the HMAC is kept, is a placeholder in it."""
    now = runtime.clock()
    live = secrets.live(runtime, source, now)
    if not live:
        message = f"{source.id} has no live secret: rotate first"
        raise Conflict(message, slug="no-live-secret")
    preset = CATALOGUE[source.preset or ""] if source.scheme == PRESET else None
    missing = None if preset is None else _missing(source)
    if missing is not None:
        message = f"{source.id} takes no postback yet: {missing}"
        raise Conflict(message, slug="no-example")
    scheme = schemes_of_sources.of(source)
    url = sources.postback_url(runtime, source.id)
    is_token = source.secrets[0].key_format == KeyFormat.TOKEN
    key = TOKEN_PLACEHOLDER.encode() if is_token else live[-1].key
    unsigned = _unsigned(runtime, source, scheme, Request(scheme.methods[0], source.id, url), preset=preset, now=now)
    return scheme.sign(unsigned, key)


def url_template(source: Source, url: str) -> str:
    """Return what to enter at the network; `{..}` is where its own macros go, unless a preset knows them."""
    if source.scheme == PRESET:
        return replace(CATALOGUE[source.preset or ""], parameters=source.parameters).url_template(url)
    reading = known.reading_of(source)
    pairs = [f"{reading.name(ours)}={{{ours}}}" for ours in _TEMPLATE_FIELDS]
    match source.scheme:
        case "pb1":
            pairs += [f"{reading.name(TIMESTAMP)}={{{TIMESTAMP}}}", "sig={sig}"]
        case "token" if source.options.get("in") == "path":
            url = f"{url}/{TOKEN_PLACEHOLDER}"
        case "token":
            pairs.append(f"{source.options['parameter']}={TOKEN_PLACEHOLDER}")
        case _:
            return url
    return f"{url}?{'&'.join(pairs)}"


def _missing(source: Source) -> str | None:
    if source.default_currency is None and "currency" not in source.parameters:
        return "its network sends no currency, so set a default_currency"
    if "click_id" not in source.parameters:
        return "where its network sends the click id is not known, so map parameters.click_id"
    return None


def _unsigned(
    runtime: Runtime, source: Source, scheme: Scheme, request: Request, *, preset: Preset | None, now: datetime
) -> Request:
    reading = known.reading_of(source)
    seconds = str(int(now.timestamp()))
    told = example_values.told(
        reading,
        transaction_id=runtime.new_id("example"),
        currency=source.default_currency or "EUR",
        now=now,
        only=None if preset is None else source.parameters.keys(),
    )
    told |= {name: value for name, value in example_values.unread(now).items() if name in (scheme.covered or ())}
    if source.scheme == "pb1":
        told[reading.name(TIMESTAMP)] = seconds
    headers = _headers(runtime, source, scheme, seconds)
    match _body_of(source, preset) if request.method == "POST" else "query":
        case "json":
            return replace(request, body=example_values.nested(told).encode(), headers=headers)
        case "form":
            return replace(request, body=_encoded(told), headers=headers)
        case _:
            return replace(request, query=_encoded(told), headers=headers)


def _headers(runtime: Runtime, source: Source, scheme: Scheme, seconds: str) -> dict[str, str]:
    match source.scheme:
        case "sw1":
            return {ID_HEADER: runtime.new_id("msg"), TIMESTAMP_HEADER: seconds}
        case "stripe1":
            return {scheme.headers[0]: f"t={seconds}"}
        case _:
            return {}


def _body_of(source: Source, preset: Preset | None) -> str:
    return preset.body if preset is not None else source.options.get("body", "json")


def _encoded(told: Mapping[str, str]) -> bytes:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in told.items()).encode()


def _curl(request: Request, body: str) -> str:
    url = request.url
    if request.path_token:
        url += f"/{request.path_token.decode()}"
    if request.query:
        url += f"?{request.query.decode()}"
    if request.method == "GET":
        words = ["curl", url]
        return shlex.join([*words, *_header_words(request.headers)])
    kind = {"content-type": _KINDS[body]} if body in _KINDS else {}
    words = ["curl", "-X", "POST", url, *_header_words({**kind, **request.headers})]
    return shlex.join([*words, "--data-raw", request.body.decode()])


def _header_words(headers: Mapping[str, str]) -> list[str]:
    return [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
