"""A signed, ready postback for whoever sets up a network."""

import base64
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from core import money
from core.errors import Conflict
from core.runtime import Runtime
from partners import secrets, sources
from partners.models import Source
from postback import canonical, content, verification
from postback.content import DedupeBy, Reading

_MINOR_UNITS = 50
_TEMPLATE_FIELDS = ("click_id", "transaction_id", "payout", "currency")


@dataclass(frozen=True)
class Example:
    """`curl` can be run as it is; `url_template` shows where the network puts its own values."""

    curl: str
    url_template: str

    def __repr__(self) -> str:
        # A signed request is as good as the conversion it claims.
        return "Example()"


def build(runtime: Runtime, source: Source) -> Example:
    """Return an example signed for this moment under a transaction id never used; its click is unknown to us.

    Raise Conflict when the source has no live secret to sign with.
    """
    now = runtime.clock()
    live = secrets.live(runtime, source, now)
    if not live:
        message = f"{source.id} has no live secret: rotate first"
        raise Conflict(message, slug="no-live-secret")
    key = live[-1].key
    reading = Reading(DedupeBy(source.dedupe_by), source.default_currency, source.parameters)
    currency = source.default_currency or "EUR"
    told = {
        reading.name("click_id"): "example-click",
        reading.name("transaction_id"): runtime.new_id("example"),
        reading.name("payout"): money.to_text(_MINOR_UNITS, currency),
        reading.name("currency"): currency,
    }
    url = sources.postback_url(runtime, source.id)
    seconds = str(int(now.timestamp()))
    if source.scheme == "sw1":
        return Example(_sw1(url, told, key, message_id=runtime.new_id("msg"), seconds=seconds), url)
    timestamp = reading.name(content.TIMESTAMP)
    query = urlencode({**told, timestamp: seconds})
    signature = verification.signed(canonical.pb1_message("GET", source.id, query.encode()), key).hex()
    macros = "&".join(f"{reading.name(ours)}={{{ours}}}" for ours in _TEMPLATE_FIELDS)
    template = f"{url}?{macros}&{timestamp}={{{content.TIMESTAMP}}}&sig={{sig}}"
    return Example(f"curl {shlex.quote(f'{url}?{query}&sig={signature}')}", template)


def _sw1(url: str, told: Mapping[str, str], key: bytes, *, message_id: str, seconds: str) -> str:
    body = json.dumps(told, separators=(",", ":"))
    message = canonical.sw1_message(message_id.encode(), seconds.encode(), body.encode())
    signature = base64.b64encode(verification.signed(message, key)).decode()
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{signature}",
    }
    words = ["curl", "-X", "POST", url]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "--data-raw", body])
