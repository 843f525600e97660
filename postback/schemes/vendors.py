"""The networks that prove themselves in a way of their own, by the kind their presets name."""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from typing import Any

from postback.schemes import reading, signing, vendors_joined, vendors_whole
from postback.schemes.base import Presented, Request, Scheme, Static, Told
from postback.schemes.clickbank import clickbank


def hotmart(table: Mapping[str, Any]) -> Scheme:
    """Return Hotmart's scheme: a static text, the account's hottok, in a header. Nothing is signed."""
    header = str(table.get("header", "X-HOTMART-HOTTOK")).lower()

    def present(request: Request) -> Presented:
        claimed = request.header(header)
        # Hashed on both sides, so that comparing them says nothing about the token's length.
        return Presented(b"", (hashlib.sha256(claimed).digest(),)) if claimed else Presented(b"", is_missing=True)

    def read(request: Request, key: bytes, wanted: Collection[str]) -> Told:
        del key
        return Told(reading.json_at(request.body, wanted))

    return Scheme(
        name="hotmart",
        methods=("POST",),
        present=present,
        read=read,
        sign=signing.as_header(header),
        mac=lambda _message, key: hashlib.sha256(key).digest(),
        headers=(header,),
        assurance="C",
        covered=(),
        static=Static(hmac.compare_digest, (header,)),
    )


# These sign the address as the world calls it, scheme and host included.
SIGNED_ADDRESSES = frozenset({"adgem", "bitlabs"})
# Each takes the [verifier] table of a preset.
VERIFIERS: Mapping[str, Callable[[Mapping[str, Any]], Scheme]] = {
    "adgem": vendors_whole.adgem,
    "ayet": vendors_whole.ayet,
    "bitlabs": vendors_whole.bitlabs,
    "clickbank": clickbank,
    "cpx": vendors_joined.cpx,
    "digistore24": vendors_whole.digistore24,
    "hotmart": hotmart,
    "levelplay": vendors_joined.levelplay,
    "lootably": vendors_joined.lootably,
    "pollfish": vendors_joined.pollfish,
    "pubscale": vendors_joined.pubscale,
    "sub_id_reward": vendors_joined.sub_id_reward,
    "tapjoy": vendors_joined.tapjoy,
    "torox": vendors_joined.torox,
}
