"""Outgoing webhooks in the form of Standard Webhooks: three headers, an HMAC over id, time and body."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64  # Standard Webhooks, "Signature scheme"
_PREFIX = "whsec_"


@dataclass(frozen=True)
class Webhook:
    """Where events go, and the key that signs them. No repr: the address may hold a token of its own."""

    url: str
    key: bytes

    def __repr__(self) -> str:
        return "Webhook(..)"


def key_of(secret: str) -> bytes | None:
    """Return the key that `whsec_` and base64 stand for, None when it is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(_PREFIX) and KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX else None


def body_of(payload: Mapping[str, Any]) -> bytes:
    """Return `payload` as the bytes that are sent and signed: the same each time."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def headers_of(webhook: Webhook, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers: `webhook-id` stays the same when it is sent again, so that the receiver takes it once."""
    sent_at = str(int(now.timestamp()))
    signed = f"{message_id}.{sent_at}.".encode() + body
    signature = base64.b64encode(hmac.digest(webhook.key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "clickledger",
        "webhook-id": message_id,
        "webhook-timestamp": sent_at,
        "webhook-signature": f"v1,{signature}",
    }
