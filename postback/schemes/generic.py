"""The schemes that belong to no network: pb1, sw1, stripe1, body1 and the static token."""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from postback import canonical
from postback.schemes import reading, signing
from postback.schemes.base import PROVEN, Presented, Request, Scheme, Static, Told, unbase64, unhex

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
STRIPE_HEADER = "stripe-signature"
PEPPER_BYTES = 32
_DIGEST_BYTES = canonical.DIGEST_BYTES
_SIGNATURES_MAX = canonical.SIGNATURES_MAX
_STRIPE_TIME = re.compile(rb"[0-9]{1,12}")
_TOKEN = re.compile(rb"[A-Za-z0-9._~-]{16,128}")


def pb1(timestamp: str = "ts") -> Scheme:
    """Return pb1: HMAC-SHA256 over method, path and the raw query; `timestamp` is the network's name for `ts`."""

    def present(request: Request) -> Presented:
        return canonical.pb1_presented(request.method, request.source_id, request.query)

    def read(request: Request, _key: bytes, _wanted: Collection[str]) -> Told:
        parameters = canonical.pairs(request.query)
        return Told(parameters, parameters.values.get(timestamp))

    return Scheme("pb1", ("GET",), present, read, signing.in_query(present, "sig"), timestamp=timestamp)


def sw1() -> Scheme:
    """Return Standard Webhooks: HMAC-SHA256 over id, timestamp and body, in three headers."""

    def present(request: Request) -> Presented:
        message_id, timestamp, signatures = (
            request.header(name) for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        )
        return canonical.sw1_presented(message_id, timestamp, signatures, request.body)

    def read(request: Request, _key: bytes, wanted: Collection[str]) -> Told:
        return Told(reading.json_at(request.body, wanted), request.headers.get(TIMESTAMP_HEADER))

    headers = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
    sign = signing.in_header(present, SIGNATURE_HEADER, encoding="base64", prefix="v1,")
    return Scheme("sw1", ("POST",), present, read, sign, headers=headers, timestamp=TIMESTAMP_HEADER)


def stripe1(header: str = STRIPE_HEADER) -> Scheme:
    """Return Stripe's scheme: `t=..,v1=<hex>[,v1=..]` over `t.body`; exactly one `t`, v0 ignored.

    Source: docs.stripe.com/webhooks, "Verify webhook signatures manually". The key is the whole secret text.
    """

    def parts(request: Request) -> tuple[bytes | None, list[bytes]]:
        elements = [element.partition(b"=") for element in request.header(header).split(b",")]
        times = [value for name, _, value in elements if name == b"t"]
        claimed = [value for name, _, value in elements if name == b"v1"]
        time = times[0] if len(times) == 1 and _STRIPE_TIME.fullmatch(times[0]) else None
        return time, claimed

    def present(request: Request) -> Presented:
        time, claimed = parts(request)
        message = b"%b.%b" % (time or b"", request.body)
        if not request.header(header):
            return Presented(message, is_missing=True)
        if time is None or len(claimed) > _SIGNATURES_MAX:
            return Presented(message)
        digests = (_lower_hex(each) for each in claimed)
        return Presented(message, tuple(digest for digest in digests if digest is not None))

    def read(request: Request, _key: bytes, wanted: Collection[str]) -> Told:
        time, _ = parts(request)
        return Told(reading.json_at(request.body, wanted), time.decode() if time else None)

    sign = signing.in_header(present, header, prefix=",v1=", is_appended=True)
    return Scheme("stripe1", ("POST",), present, read, sign, headers=(header,), timestamp=header)


def body1(name: str, header: str, encoding: str = "hex", prefix: str = "", body: str = "json") -> Scheme:
    """Return HMAC-SHA256 over the body in `header`: hexadecimal or base64 behind `prefix`; the body is json or form."""
    start = prefix.encode()

    def present(request: Request) -> Presented:
        claimed = request.header(header)
        if not claimed:
            return Presented(request.body, is_missing=True)
        if not claimed.startswith(start):
            return Presented(request.body)
        rest = claimed[len(start) :]
        digest = unbase64(rest, length=_DIGEST_BYTES) if encoding == "base64" else _lower_hex(rest)
        return Presented(request.body, () if digest is None else (digest,))

    def read(request: Request, _key: bytes, wanted: Collection[str]) -> Told:
        reader = reading.form if body == "form" else reading.json_at
        return Told(reader(request.body, wanted))

    sign = signing.in_header(present, header, encoding=encoding, prefix=prefix)
    return Scheme(name, ("POST",), present, read, sign, headers=(header,))


def token(name: str, parameter: str | None, body: str = "query", *, is_given: bool = False) -> Scheme:
    """Return the static token: in the query's `parameter`, or behind the source in the path when that is None.

    It proves who holds it and nothing about what was sent: assurance C, nothing covered. The key is the pepper and
    the stored HMAC of the token; the token itself is kept nowhere, and cut out of what a receipt keeps. One that the
    network made (`is_given`) is any text: it is kept sealed, as the network's other secrets are, and is the key itself.
    `sign` takes the token itself.
    """
    field = None if parameter is None else parameter.encode()

    def could_be(value: bytes) -> bool:
        # A network's own text may have any form.
        return is_given or _TOKEN.fullmatch(value) is not None

    def present(request: Request) -> Presented:
        found = [request.path_token] if field is None else _values(request.query, field)
        if not found or not found[0]:
            return Presented(b"", is_missing=True)
        if len(found) > 1 or not could_be(found[0]):
            return Presented(b"")
        return Presented(found[0], (PROVEN,))

    def mac(message: bytes, key: bytes) -> bytes:
        if is_given:
            return PROVEN if _says(message, key) else b""
        digest = hmac.digest(key[:PEPPER_BYTES], message, "sha256")
        return PROVEN if hmac.compare_digest(digest, key[PEPPER_BYTES:]) else b""

    def read(request: Request, _key: bytes, wanted: Collection[str]) -> Told:
        if request.method == "GET" or body == "query":
            return Told(reading.form(request.query, wanted))
        reader = reading.form if body == "form" else reading.json_at
        return Told(reader(request.body, wanted))

    def is_shown(value: bytes, key: bytes) -> bool:
        # Most values cannot be a token of ours, and cost no digest.
        return could_be(value) and mac(value, key) == PROVEN

    static = Static(is_shown, () if parameter is None else (parameter,))
    return Scheme(
        name, ("GET", "POST"), present, read, signing.token(parameter), mac, assurance="C", covered=(), static=static
    )


def of(scheme: str, options: Mapping[str, Any], *, timestamp: str = "ts") -> Scheme:
    """Return the generic scheme a source names; `options` are the source's own, checked when it was made."""
    match scheme:
        case "pb1":
            return pb1(timestamp)
        case "sw1":
            return sw1()
        case "stripe1":
            return stripe1(options.get("header", STRIPE_HEADER))
        case "body1":
            return body1("body1", options["header"], options["encoding"], options["prefix"], options["body"])
        case "token":
            parameter = None if options.get("in") == "path" else options["parameter"]
            return token("token", parameter, options.get("body", "query"))
        case _:
            message = f"there is no scheme {scheme}"
            raise ValueError(message)


def _lower_hex(text: bytes) -> bytes | None:
    # One spelling: a signature that could be written in two ways could be counted as two.
    return unhex(text, length=_DIGEST_BYTES) if text == text.lower() else None


def _says(sent: bytes, known: bytes) -> bool:
    """Say whether `sent` is the text `known`: as it is, percent-encoded, or encoded as a form.

    Networks differ in how they put a text into a URL, and nothing is signed that could be read in two ways.
    """
    # Hashed on both sides, so that comparing them says nothing about the text's length.
    digest = hashlib.sha256(known).digest()
    spellings = (sent, unquote_to_bytes(sent), unquote_to_bytes(sent.replace(b"+", b" ")))
    found = [hmac.compare_digest(hashlib.sha256(each).digest(), digest) for each in spellings]
    return any(found)


def _values(query: bytes, field: bytes) -> list[bytes]:
    pairs = (pair.partition(b"=") for pair in query.split(b"&"))
    return [value for name, _, value in pairs if name == field]
