"""Networks that hash a few values of the query in a row: what they leave out, nobody has signed."""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postback.schemes import reading, signing
from postback.schemes.base import Mac, Presented, Request, Scheme, Told, unbase64, unhex

_WHOLE_PART = re.compile(rb"(-?[0-9]{1,15})(?:\.[0-9]{1,15})?")


@dataclass(frozen=True)
class _Joined:
    """Which values are hashed in which order. `roomy` alone may hold the separator: else its parts could be moved."""

    fields: Sequence[str]
    separator: bytes
    signature: str
    digest_bytes: int
    roomy: str | None = None
    is_base64: bool = False
    patterns: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)

    def present(self, request: Request) -> Presented:
        """Return the values in a row and the signature; a name that comes twice or not at all is malformed."""
        found = reading.pairs(request.query) or []
        claimed = [value for name, value in found if name == self.signature.encode()]
        if not claimed:
            return Presented(b"", is_missing=True)
        parts = [self._part(name, found) for name in self.fields]
        signature = self._decoded(claimed[0]) if len(claimed) == 1 else None
        whole = [part for part in parts if part is not None]
        if signature is None or len(whole) < len(parts):
            return Presented(b"")
        return Presented(self.separator.join(whole), (signature,))

    def _part(self, name: str, found: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        values = [value for given, value in found if given == name.encode()]
        if len(values) != 1:
            return None
        if self.separator and self.separator in values[0] and name != self.roomy and name not in self.patterns:
            return None
        if name not in self.patterns:
            return values[0]
        shape = self.patterns[name].fullmatch(values[0])
        return shape[1] if shape else None

    def _decoded(self, claimed: bytes) -> bytes | None:
        decode = unbase64 if self.is_base64 else unhex
        return decode(claimed, length=self.digest_bytes)


def _scheme(name: str, joined: _Joined, mac: Mac, covered: Sequence[str] | None = None) -> Scheme:
    return Scheme(
        name=name,
        methods=("GET",),
        present=joined.present,
        read=_read,
        sign=signing.in_query(
            joined.present,
            joined.signature,
            mac,
            digest_bytes=joined.digest_bytes,
            encoding="base64" if joined.is_base64 else "hex",
        ),
        mac=mac,
        assurance="B",
        has_seams=bool(joined.separator),
        covered=tuple(joined.fields if covered is None else covered),
    )


def _read(request: Request, key: bytes, wanted: Collection[str]) -> Told:
    del key
    return Told(reading.form(request.query, wanted))


def _md5(raw: bytes) -> bytes:
    return hashlib.md5(raw, usedforsecurity=False).digest()


def cpx(table: Mapping[str, Any]) -> Scheme:
    """Return CPX Research's scheme: md5(trans_id-secret). Neither the amount nor the status is signed."""
    del table
    joined = _Joined(("trans_id",), b"-", "hash", 16, roomy="trans_id")
    return _scheme("cpx", joined, lambda message, key: _md5(message + b"-" + key))


def torox(table: Mapping[str, Any]) -> Scheme:
    """Return Torox's (OfferToro's) scheme: md5(oid-user_id-secret). Neither the amount nor the id is signed."""
    del table
    joined = _Joined(("oid", "user_id"), b"-", "sig", 16, roomy="user_id")
    return _scheme("torox", joined, lambda message, key: _md5(message + b"-" + key))


def tapjoy(table: Mapping[str, Any]) -> Scheme:
    """Return Tapjoy's scheme: md5(id:snuid:currency:secret)."""
    del table
    joined = _Joined(("id", "snuid", "currency"), b":", "verifier", 16, roomy="snuid")
    return _scheme("tapjoy", joined, lambda message, key: _md5(message + b":" + key))


def pubscale(table: Mapping[str, Any]) -> Scheme:
    """Return PubScale's scheme: md5(secret.user_id.whole-part-of-value.token). The fraction is not signed."""
    del table
    joined = _Joined(
        ("user_id", "value", "token"), b".", "signature", 16, roomy="user_id", patterns={"value": _WHOLE_PART}
    )
    return _scheme("pubscale", joined, lambda message, key: _md5(key + b"." + message), ("user_id", "token"))


def lootably(table: Mapping[str, Any]) -> Scheme:
    """Return Lootably's scheme: sha256(user_id ip payout reward secret), nothing between. The id is not signed."""
    del table
    joined = _Joined(("user_id", "ip", "payout", "reward"), b"", "hash", 32)
    return _scheme("lootably", joined, lambda message, key: hashlib.sha256(message + key).digest())


def levelplay(table: Mapping[str, Any]) -> Scheme:
    """Return LevelPlay's (ironSource's) scheme: md5(timestamp eventId appUserId rewards secret), nothing between."""
    del table
    joined = _Joined(
        ("timestamp", "eventId", "appUserId", "rewards"), b"", "signature", 16,
        patterns={"timestamp": re.compile(rb"([0-9]{12})")},
    )  # fmt: skip
    return _scheme("levelplay", joined, lambda message, key: _md5(message + key))


def sub_id_reward(table: Mapping[str, Any]) -> Scheme:
    """Return the scheme of Wannads' former postback, Revtoo and kin: md5(subId transId reward secret)."""
    del table
    joined = _Joined(("subId", "transId", "reward"), b"", "signature", 16)
    return _scheme("sub_id_reward", joined, lambda message, key: _md5(message + key))


def pollfish(table: Mapping[str, Any]) -> Scheme:
    """Return Pollfish's scheme: base64 of HMAC-SHA1 over the values in their names' order, joined by colons.

    Pollfish signs whatever its URL template asks for without saying which: ours asks for these four, and no other
    set is taken, or one value could be passed off as another. `debug=true`, the mark of a test, is not signed.
    """
    del table
    joined = _Joined(
        ("cpa", "request_uuid", "timestamp", "tx_id"), b":", "signature", 20, roomy="request_uuid", is_base64=True
    )
    return _scheme("pollfish", joined, lambda message, key: hmac.digest(key, message, "sha1"))
