"""The checks both Python peers make, on the standard library: signature, address, time, strict parsing, amount."""

import hashlib
import hmac
import json
import re
import secrets
import time
from base64 import b64decode
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AGE_S_MAX, AHEAD_S_MAX = 1800, 120
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SIGNED = re.compile(rb"(.*)&sig=([0-9a-f]{64})", re.DOTALL)
PAIR = re.compile(rb"([a-z0-9_]{1,40})=((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}|\+){0,255})")
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)
TIMESTAMP = re.compile(r"[0-9]{10}", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class NotBelievedError(ValueError):
    """Answered with 401."""


class NotValidError(ValueError):
    """Answered with 422."""


@dataclass(frozen=True)
class Source:
    """A source as it is remembered; `networks` are parsed once."""

    id: str
    secret_id: str
    key: bytes = field(repr=False)
    networks: tuple[object, ...]

    @classmethod
    def opened(
        cls, key_encryption_key: str, source_id: str, allowlist: list[str], secret_id: str, sealed: bytes
    ) -> "Source":
        """Open the sealed secret."""
        bound_to = f"source_secret:{source_id}:{secret_id}".encode()
        value = AESGCM(b64decode(key_encryption_key)).decrypt(sealed[:12], sealed[12:], bound_to)
        key = b64decode(value.removeprefix(b"whsec_"))
        return cls(source_id, secret_id, key, tuple(ip_network(each) for each in allowlist))


@dataclass(frozen=True)
class Postback:
    """A believed and valid postback."""

    transaction_id: str
    click_id: str
    event: str
    payout_minor: int
    currency: str
    subs: dict[str, str]
    sent_at: int
    names: list[str]
    sha256: str


def believed(source: Source, peer: str, query: bytes, now: float) -> Postback:
    """Return what a signed query says; raise NotBelievedError or NotValidError."""
    found = SIGNED.fullmatch(query)
    message = b"pb1\nGET\n/postback/%b\n%b" % (source.id.encode(), found[1] if found else query)
    expected = hmac.digest(source.key, message, "sha256")
    if found is None or not hmac.compare_digest(expected, bytes.fromhex(found[2].decode())):
        raise NotBelievedError
    address = ip_address(peer)
    if source.networks and not any(address in network for network in source.networks):  # type: ignore[operator]
        raise NotBelievedError
    values = _parsed(found[1])
    sent_at = values.get("ts", "")
    if not TIMESTAMP.fullmatch(sent_at):
        raise NotValidError
    if not now - AGE_S_MAX <= int(sent_at) <= now + AHEAD_S_MAX:
        raise NotBelievedError
    return _postback(values, int(sent_at))


def _parsed(query: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in query.split(b"&"):
        match = PAIR.fullmatch(pair)
        if match is None:
            raise NotValidError
        try:
            text = unquote_to_bytes(match[2].replace(b"+", b" ")).decode()
        except UnicodeDecodeError as error:
            raise NotValidError from error
        name = match[1].decode()
        if name in values or CONTROL.search(text):
            raise NotValidError
        values[name] = text
    return values


def _postback(values: dict[str, str], sent_at: int) -> Postback:
    payout, currency = values.get("payout", ""), values.get("currency", "")
    is_whole = values.get("transaction_id") and values.get("click_id")
    if not (is_whole and AMOUNT.fullmatch(payout) and CURRENCY.fullmatch(currency)):
        raise NotValidError
    subs = {name: value for name, value in values.items() if name.startswith("sub")}
    facts = {name: value for name, value in values.items() if name != "ts"}
    return Postback(
        transaction_id=values["transaction_id"],
        click_id=values["click_id"],
        event=values.get("event") or "sale",
        payout_minor=int(Decimal(payout) * 100),
        currency=currency,
        subs=subs,
        sent_at=sent_at,
        names=sorted(values),
        sha256=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
    )


def new_id(prefix: str) -> str:
    """Return an id of the house's form: 48 bits of milliseconds, 80 random ones."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
