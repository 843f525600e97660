"""Networks that sign everything they send: the complete address, or every parameter in a fixed order."""

import hashlib
import hmac
import html.entities
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from postback.schemes import reading, signing
from postback.schemes.base import Presented, Request, Scheme, Told, unhex

_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));", re.ASCII)
# No control character and no half of a surrogate pair comes out of an entity.
_PRINTABLE = (range(0x20, 0x7F), range(0xA0, 0xD800), range(0xE000, 0x110000))
_DIGISTORE_SIGNATURES = (b"sha_sign", b"SHASIGN")


def bitlabs(table: Mapping[str, Any]) -> Scheme:
    """Return the scheme of BitLabs and MakeMoney: HMAC-SHA1 over the address as it was called before `&hash=`."""
    del table

    def present(request: Request) -> Presented:
        before, mark, claimed = request.query.rpartition(b"&hash=")
        address = request.url.encode("utf-8", "replace") + b"?" + before
        if not mark:
            return Presented(address, is_missing=True)
        signature = unhex(claimed, length=20)
        # A second `hash` before the last one would be a parameter of ours that nobody asked for.
        if signature is None or b"&hash=" in before or before.startswith(b"hash="):
            return Presented(address)
        return Presented(address, (signature,))

    def mac(message: bytes, key: bytes) -> bytes:
        return hmac.digest(key, message, "sha1")

    sign = signing.in_query(present, "hash", mac, digest_bytes=20)
    return Scheme(name="bitlabs", methods=("GET",), present=present, read=_read_query, sign=sign, mac=mac)


def adgem(table: Mapping[str, Any]) -> Scheme:
    """Return AdGem's version 2: HMAC-SHA256 over the address as it was called, without the pair `verifier`."""
    del table

    def present(request: Request) -> Presented:
        pairs = request.query.split(b"&")
        claimed = [pair.removeprefix(b"verifier=") for pair in pairs if pair.startswith(b"verifier=")]
        rest = b"&".join(pair for pair in pairs if not pair.startswith(b"verifier="))
        address = request.url.encode("utf-8", "replace") + b"?" + rest
        if not claimed:
            return Presented(address, is_missing=True)
        signature = unhex(claimed[0], length=32) if len(claimed) == 1 else None
        return Presented(address) if signature is None else Presented(address, (signature,))

    sign = signing.in_query(present, "verifier")
    return Scheme(name="adgem", methods=("GET",), present=present, read=_read_query, sign=sign)


def ayet(table: Mapping[str, Any]) -> Scheme:
    """Return ayeT-Studios': HMAC-SHA256 over all parameters, sorted by name and encoded again as PHP does."""
    del table
    header = "x-ayetstudios-security-hash"

    def present(request: Request) -> Presented:
        claimed = request.header(header).strip()
        pairs = _sorted_pairs(request.query)
        message = b"&".join(_php_encoded(name) + b"=" + _php_encoded(value) for name, value in pairs or ())
        if not claimed:
            return Presented(message, is_missing=True)
        signature = unhex(claimed, length=32)
        if signature is None or pairs is None:
            return Presented(message)
        return Presented(message, (signature,))

    return Scheme(
        name="ayet", methods=("GET",), present=present, read=_read_query, sign=signing.in_header(present, header),
        headers=(header,),
    )  # fmt: skip


def digistore24(table: Mapping[str, Any]) -> Scheme:
    """Return Digistore24's: SHA-512 over `name=value` and the passphrase for each parameter, sorted by name.

    Empty values are not signed, which is as good as absent. With `is_html_decoded = true` in the table, entities in
    the values are decoded first, as in the vendor's older sample.
    """
    decode: Callable[[bytes], bytes] = _html_decoded if table.get("is_html_decoded") else bytes

    def present(request: Request) -> Presented:
        pairs = _sorted_pairs(request.body)
        claimed = [value for name, value in pairs or () if name == b"sha_sign"]
        # Encoded, because the passphrase that goes behind each pair is not known yet.
        message = b"&".join(
            quote_from_bytes(name + b"=" + decode(value), safe="").encode()
            for name, value in pairs or ()
            if value and name not in _DIGISTORE_SIGNATURES
        )
        if not claimed and pairs is not None:
            return Presented(message, is_missing=True)
        signature = unhex(claimed[0], length=64) if claimed else None
        # A `=` in a name could be moved over from a value without changing what is hashed.
        if signature is None or any(b"=" in name for name, _ in pairs or ()):
            return Presented(message)
        return Presented(message, (signature,))

    def mac(message: bytes, key: bytes) -> bytes:
        return hashlib.sha512(b"".join(unquote_to_bytes(pair) + key for pair in message.split(b"&") if pair)).digest()

    def read(request: Request, key: bytes, wanted: Collection[str]) -> Told:
        del key
        found = reading.form(request.body, wanted)
        # What is told is what was signed: else `&amp;` could be swapped for `&` under the same signature.
        values = {name: decode(value.encode()).decode() for name, value in found.values.items()}
        return Told(found._replace(values=values))

    sign = signing.in_form(present, "sha_sign", mac, digest_bytes=64)
    return Scheme(name="digistore24", methods=("POST",), present=present, read=read, sign=sign, mac=mac)


def _read_query(request: Request, key: bytes, wanted: Collection[str]) -> Told:
    del key
    return Told(reading.form(request.query, wanted))


def _sorted_pairs(raw: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return the pairs by their names' bytes, None when one comes twice: PHP would take the last of them."""
    pairs = reading.pairs(raw)
    if pairs is None or len({name for name, _ in pairs}) < len(pairs):
        return None
    return sorted(pairs)


def _php_encoded(raw: bytes) -> bytes:
    # http_build_query: a space becomes `+`, and unlike RFC 3986 it encodes `~`.
    return quote_from_bytes(raw, safe="").replace("%20", "+").replace("~", "%7E").encode()


def _html_decoded(raw: bytes) -> bytes:
    # html.unescape also takes entities without a semicolon, which PHP's html_entity_decode leaves alone.
    return _ENTITY.sub(_character, raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    code = html.entities.name2codepoint.get(name, 0) if name else int(decimal or hexadecimal, 10 if decimal else 16)
    return chr(code) if any(code in span for span in _PRINTABLE) else found[0]
