"""The canonical forms pb1 and sw1: what their signatures are over, and how a pb1 query is read."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from core.errors import Fault
from postback.schemes import reading
from postback.schemes.base import Parameters, Presented, unbase64

SIGNATURES_MAX = 10
DIGEST_BYTES = 32

_SIGNED_QUERY = re.compile(rb"(.*)&sig=([0-9a-f]{64})", re.DOTALL)
_SIG_NAME = re.compile(rb"(?:^|&)sig=")
_PAIR = re.compile(rb"([a-z0-9_]{1,40})=((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}|\+){0,255})")
_PLAIN_PAIR = rb"[a-z0-9_]{1,40}=[A-Za-z0-9._~-]{0,255}"
_PLAIN_QUERY = re.compile(rb"%b(?:&%b)*+" % (_PLAIN_PAIR, _PLAIN_PAIR))
_NAME = re.compile(rb"([a-z0-9_]{1,40})=")
_TIMESTAMP = re.compile(r"[0-9]{10}", re.ASCII)
# A dot would make id.timestamp.body ambiguous.
_MESSAGE_ID = re.compile(rb"[!-\-/-~]{1,255}")


def pb1_message(method: str, source_id: str, payload: bytes) -> bytes:
    """Return the bytes a pb1 signature is over; `payload` is the raw query before `&sig=`."""
    return b"pb1\n%b\n/postback/%b\n%b" % (method.encode(), source_id.encode(), payload)


def sw1_message(message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """Return the bytes a Standard Webhooks signature is over (standardwebhooks.com, "Signature scheme")."""
    return b"%b.%b.%b" % (message_id, timestamp, body)


def pb1_presented(method: str, source_id: str, query: bytes) -> Presented:
    """Return the proof in a raw query: `sig` last and once, 64 lower-case hexadecimal digits."""
    found = _SIGNED_QUERY.fullmatch(query)
    if found is None or _SIG_NAME.search(found[1]):
        return Presented(pb1_message(method, source_id, query), is_missing=not _SIG_NAME.search(query))
    return Presented(pb1_message(method, source_id, found[1]), (bytes.fromhex(found[2].decode()),))


def sw1_presented(message_id: bytes, timestamp: bytes, signatures: bytes, body: bytes) -> Presented:
    """Return the proof in the three webhook headers; empty bytes stand for an absent header."""
    message = sw1_message(message_id, timestamp, body)
    if not (message_id and timestamp and signatures):
        return Presented(message, is_missing=True)
    entries = signatures.split(b" ")
    if not _MESSAGE_ID.fullmatch(message_id) or len(entries) > SIGNATURES_MAX:
        return Presented(message)
    decoded = (unbase64(entry[3:], length=DIGEST_BYTES) for entry in entries if entry.startswith(b"v1,"))
    return Presented(message, tuple(signature for signature in decoded if signature is not None))


def sent_at(text: str | None) -> datetime | None:
    """Return the moment exactly ten ASCII digits of Unix seconds say, None for anything else."""
    if text is None or not _TIMESTAMP.fullmatch(text):
        return None
    return datetime.fromtimestamp(int(text), UTC)


def pairs(query: bytes) -> Parameters:
    """Read a pb1 query: every pair well-formed, every name once, every value UTF-8 without control characters.

    `+` is a space, as in forms. The signature, where the query still ends with it, is left out.
    """
    found = _SIGNED_QUERY.fullmatch(query)
    told = found[1] if found else query
    if _PLAIN_QUERY.fullmatch(told):
        # Most queries: nothing to decode, and one look has shown that every pair is well-formed.
        plain = [pair.split("=") for pair in told.decode().split("&")]
        values = {pair[0]: pair[1] for pair in plain}
        if len(values) == len(plain):
            return Parameters(values, tuple(values))
    return _pairs_one_by_one(told)


def _pairs_one_by_one(told: bytes) -> Parameters:
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for position, pair in enumerate(told.split(b"&"), start=1):
        match = _PAIR.fullmatch(pair)
        if match is None:
            name = _NAME.match(pair)
            where = name[1].decode() if name else f"pair {position}"
            faults.append(Fault(where, "is not name=value in lower-case letters, digits, _ and percent-encoding"))
            continue
        raw = match[2]
        text, reason = reading.text(unquote_to_bytes(raw.replace(b"+", b" ")))
        name_text = match[1].decode()
        if name_text in values:
            faults.append(Fault(name_text, "comes more than once"))
        elif reason:
            faults.append(Fault(name_text, reason))
        values.setdefault(name_text, text)
    return Parameters(values, tuple(values), tuple(faults))
