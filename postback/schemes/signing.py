"""Makes the request that a generic scheme believes: for examples, never for believing anything."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from postback import canonical
from postback.schemes.base import hmac_sha256
from postback.schemes.generic import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER


@dataclass(frozen=True)
class Signed:
    """A request as it is to be sent. No repr: it is as good as the conversion it claims."""

    method: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Signed({self.method})"


def pb1(source_id: str, told: Mapping[str, str], key: bytes, *, timestamp: str, seconds: str) -> Signed:
    """Return a pb1 request; `timestamp` is the network's name for `ts`."""
    query = urlencode({**told, timestamp: seconds})
    signature = hmac_sha256(canonical.pb1_message("GET", source_id, query.encode()), key).hex()
    return Signed("GET", f"{query}&sig={signature}")


def sw1(told: Mapping[str, str], key: bytes, *, message_id: str, seconds: str) -> Signed:
    """Return a Standard Webhooks request."""
    body = _json(told)
    message = canonical.sw1_message(message_id.encode(), seconds.encode(), body.encode())
    signature = base64.b64encode(hmac_sha256(message, key)).decode()
    signed = {ID_HEADER: message_id, TIMESTAMP_HEADER: seconds, SIGNATURE_HEADER: f"v1,{signature}"}
    return Signed("POST", body=body, headers={"content-type": "application/json", **signed})


def stripe1(told: Mapping[str, str], key: bytes, *, header: str, seconds: str) -> Signed:
    """Return a request signed in Stripe's way."""
    body = _json(told)
    signature = hmac_sha256(f"{seconds}.{body}".encode(), key).hex()
    return Signed(
        "POST", body=body, headers={"content-type": "application/json", header: f"t={seconds},v1={signature}"}
    )


def body1(told: Mapping[str, str], key: bytes, *, header: str, encoding: str, prefix: str, body: str) -> Signed:
    """Return a request whose body is signed in one header."""
    text = urlencode(told) if body == "form" else _json(told)
    digest = hmac_sha256(text.encode(), key)
    signature = base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()
    kind = "application/x-www-form-urlencoded" if body == "form" else "application/json"
    return Signed("POST", body=text, headers={"content-type": kind, header: f"{prefix}{signature}"})


def token(told: Mapping[str, str], *, parameter: str, placeholder: str) -> Signed:
    """Return a request with a placeholder for the token, which nobody can show again."""
    return Signed("GET", f"{urlencode(told)}&{parameter}={placeholder}")


def _json(told: Mapping[str, str]) -> str:
    """Return `told` as JSON; a name with dots is a member of a member."""
    whole: dict[str, object] = {}
    for name, value in told.items():
        place = whole
        *above, last = name.split(".")
        for part in above:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else place
        place[last] = value
    return json.dumps(whole, separators=(",", ":"))
