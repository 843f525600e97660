"""How a network signs: each scheme's own proof, put where the network puts it. Examples are made of this, no belief."""

import base64
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote, quote_from_bytes

from postback.schemes.base import Mac, Present, Request, Sign, hmac_sha256

# Puts a digest into a request.
_Place = Callable[[Request, bytes], Request]


def in_query(
    present: Present, parameter: str, mac: Mac = hmac_sha256, *, digest_bytes: int = 32, encoding: str = "hex"
) -> Sign:
    """Return a signer that appends the signature to the query as `parameter`."""

    def place(request: Request, digest: bytes) -> Request:
        return replace(request, query=_with_pair(request.query, parameter, quote(_text(digest, encoding), safe="")))

    return _signer(present, mac, place, digest_bytes)


def in_form(present: Present, parameter: str, mac: Mac, *, digest_bytes: int) -> Sign:
    """Return a signer that appends the signature to a form, in upper-case hexadecimal digits."""

    def place(request: Request, digest: bytes) -> Request:
        return replace(request, body=_with_pair(request.body, parameter, digest.hex().upper()))

    return _signer(present, mac, place, digest_bytes)


def in_header(
    present: Present, header: str, *, encoding: str = "hex", prefix: str = "", is_appended: bool = False
) -> Sign:
    """Return a signer that puts HMAC-SHA256 into `header` behind `prefix`, or `is_appended` to what stands there."""

    def place(request: Request, digest: bytes) -> Request:
        start = request.headers.get(header, "") if is_appended else ""
        return replace(request, headers={**request.headers, header: f"{start}{prefix}{_text(digest, encoding)}"})

    return _signer(present, hmac_sha256, place, 32)


def as_header(header: str) -> Sign:
    """Return a signer that sends the secret itself in `header`."""

    def sign(request: Request, key: bytes) -> Request:
        return replace(request, headers={**request.headers, header: key.decode("latin-1")})

    return sign


def token(parameter: str | None) -> Sign:
    """Return a signer that sends the token, its key, in the query's `parameter`, or in the path when that is None."""

    def sign(request: Request, key: bytes) -> Request:
        if parameter is None:
            return replace(request, path_token=key)
        # Braces as they are: a placeholder is to be found and replaced.
        return replace(request, query=_with_pair(request.query, parameter, quote_from_bytes(key, safe="{}")))

    return sign


def _signer(present: Present, mac: Mac, place: _Place, digest_bytes: int) -> Sign:
    def sign(request: Request, key: bytes) -> Request:
        # Under a signature that says nothing: what is signed never holds the signature itself.
        return place(request, mac(present(place(request, bytes(digest_bytes))).message, key))

    return sign


def _with_pair(pairs: bytes, name: str, value: str) -> bytes:
    joint = b"&" if pairs else b""
    return b"%b%b%b=%b" % (pairs, joint, name.encode(), value.encode())


def _text(digest: bytes, encoding: str) -> str:
    return base64.b64encode(digest).decode() if encoding == "base64" else digest.hex()
