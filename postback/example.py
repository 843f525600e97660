"""A signed, ready postback for whoever sets up a network."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core import money
from core.errors import Conflict
from core.runtime import Runtime
from partners import secrets, sources
from partners.models import Source
from partners.secrets import LiveSecret
from partners.source_rules import PRESET
from postback import content, known
from postback.content import Reading
from postback.presets.catalogue import CATALOGUE, TOKEN_PLACEHOLDER
from postback.schemes import signing
from postback.schemes.signing import Signed

_MINOR_UNITS = 50
_TEMPLATE_FIELDS = ("click_id", "transaction_id", "payout", "currency")


@dataclass(frozen=True)
class Example:
    """`curl` can be run as it is, but for a token's placeholder; `url_template` shows where the network's values go."""

    curl: str
    url_template: str

    def __repr__(self) -> str:
        # A signed request is as good as the conversion it claims.
        return "Example()"


def build(runtime: Runtime, source: Source) -> Example:
    """Return an example signed for this moment under a transaction id never used; its click is unknown to us.

    Raise Conflict when the source has no live secret to sign with, or its network signs in a way that only it can do.
    """
    now = runtime.clock()
    live = secrets.live(runtime, source, now)
    if not live:
        message = f"{source.id} has no live secret: rotate first"
        raise Conflict(message, slug="no-live-secret")
    reading = known.reading_of(source)
    signed = _signed(runtime, source, reading, live[-1], now)
    url = sources.postback_url(runtime, source.id)
    return Example(_curl(url, signed), _template(source, reading, url))


def _signed(runtime: Runtime, source: Source, reading: Reading, secret: LiveSecret, now: datetime) -> Signed:
    told, seconds, key = _told(runtime, source, reading), str(int(now.timestamp())), secret.key
    kind, options = _kind(source)
    match kind:
        case "pb1":
            return signing.pb1(source.id, told, key, timestamp=reading.name(content.TIMESTAMP), seconds=seconds)
        case "sw1":
            return signing.sw1(told, key, message_id=runtime.new_id("msg"), seconds=seconds)
        case "stripe1":
            return signing.stripe1(told, key, header=options["header"], seconds=seconds)
        case "body1":
            return signing.body1(
                told, key, header=options["header"].lower(), encoding=options["encoding"], prefix=options["prefix"],
                body=options["body"],
            )  # fmt: skip
        case "token":
            # One of ours cannot be shown again: only its HMAC is kept.
            placeholder = key.decode() if options.get("secret") == "text" else TOKEN_PLACEHOLDER
            return signing.token(told, parameter=options["parameter"], placeholder=placeholder)
        case _:
            message = f"{source.preset} signs in a way of its own, which this does not imitate: send a test from there"
            raise Conflict(message, slug="no-example")


def _kind(source: Source) -> tuple[str, Mapping[str, str]]:
    """Return the generic scheme a source's requests are made by, and its options."""
    if source.scheme != PRESET:
        return source.scheme, source.options
    preset = CATALOGUE[source.preset or ""]
    return preset.kind, {**preset.verifier, "body": preset.body}


def _told(runtime: Runtime, source: Source, reading: Reading) -> dict[str, str]:
    currency = source.default_currency or "EUR"
    minor = reading.amounts_in_minor
    told = {
        reading.name("click_id"): "example-click",
        reading.name("transaction_id"): runtime.new_id("example"),
        reading.name("payout"): str(_MINOR_UNITS) if minor else money.to_text(_MINOR_UNITS, currency),
        reading.name("currency"): currency,
    }
    approved = next((word for word, meaning in source.status_words.items() if meaning == "approved"), None)
    if approved is not None:
        told[reading.name("status")] = approved
    return told


def _template(source: Source, reading: Reading, url: str) -> str:
    if source.scheme == PRESET:
        return CATALOGUE[source.preset or ""].url_template(url)
    if source.scheme not in {"pb1", "token"}:
        return url
    macros = "&".join(f"{reading.name(ours)}={{{ours}}}" for ours in _TEMPLATE_FIELDS)
    if source.scheme == "token":
        return f"{url}?{macros}&{source.options['parameter']}={TOKEN_PLACEHOLDER}"
    return f"{url}?{macros}&{reading.name(content.TIMESTAMP)}={{{content.TIMESTAMP}}}&sig={{sig}}"


def _curl(url: str, signed: Signed) -> str:
    if signed.method == "GET":
        return f"curl {shlex.quote(f'{url}?{signed.query}')}"
    words = ["curl", "-X", "POST", url]
    for name, value in signed.headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-raw", signed.body])
