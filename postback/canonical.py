"""What a postback's signature is over, and how its parameters are read: bytes first, meaning after."""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import unquote_to_bytes

from core.errors import Fault

VALUE_LENGTH_MAX = 255
NAME_LENGTH_MAX = 100
NAMES_MAX = 200
SIGNATURES_MAX = 10
DIGEST_BYTES = 32

_SIGNED_QUERY = re.compile(rb"(.*)&sig=([0-9a-f]{64})", re.DOTALL)
_SIG_NAME = re.compile(rb"(?:^|&)sig=")
_PAIR = re.compile(rb"([a-z0-9_]{1,40})=((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}|\+){0,255})")
_NAME = re.compile(rb"([a-z0-9_]{1,40})=")
_TIMESTAMP = re.compile(r"[0-9]{10}", re.ASCII)
# A dot would make id.timestamp.body ambiguous.
_MESSAGE_ID = re.compile(rb"[!-\-/-~]{1,255}")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


@dataclass(frozen=True)
class Presented:
    """What a request shows as proof: the bytes it claims to have signed and its well-formed signatures.

    `is_missing` tells a request without any signature from one whose signature cannot be read.
    """

    message: bytes
    signatures: tuple[bytes, ...] = ()
    is_missing: bool = False


@dataclass(frozen=True)
class Parameters:
    """A request's parameters as text by name, and what could not be read. `names` are all that the request holds."""

    values: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


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
    decoded = (_decoded(entry[3:]) for entry in entries if entry.startswith(b"v1,"))
    return Presented(message, tuple(signature for signature in decoded if signature is not None))


def _decoded(text: bytes) -> bytes | None:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The last digit before the padding has bits that say nothing: only the one canonical spelling is taken.
    return signature if len(signature) == DIGEST_BYTES and base64.b64encode(signature) == text else None


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
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for position, pair in enumerate((found[1] if found else query).split(b"&"), start=1):
        match = _PAIR.fullmatch(pair)
        if match is None:
            name = _NAME.match(pair)
            where = name[1].decode() if name else f"pair {position}"
            faults.append(Fault(where, "is not name=value in lower-case letters, digits, _ and percent-encoding"))
            continue
        text, reason = _text(unquote_to_bytes(match[2].replace(b"+", b" ")))
        name_text = match[1].decode()
        if name_text in values:
            faults.append(Fault(name_text, "comes more than once"))
        elif reason:
            faults.append(Fault(name_text, reason))
        values.setdefault(name_text, text)
    return Parameters(values, tuple(values), tuple(faults))


def json_object(body: bytes, *, wanted: Collection[str]) -> Parameters:
    """Read an sw1 body: one JSON object in UTF-8, no name twice, no number rounded, NaN refused.

    Only the `wanted` names are read as text; what else the object holds is named and let be.
    """
    try:
        found = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse_constant,
        )
    except _RepeatedName as error:
        return Parameters(faults=(Fault(error.name, "comes more than once"),))
    except (ValueError, ArithmeticError, RecursionError):
        return Parameters(faults=(Fault("body", "is not JSON in UTF-8"),))
    if not isinstance(found, dict):
        return Parameters(faults=(Fault("body", "is not a JSON object"),))
    if len(found) > NAMES_MAX or not all(_is_name(name) for name in found):
        reason = f"holds at most {NAMES_MAX} names of 1 to {NAME_LENGTH_MAX} printable characters"
        return Parameters(faults=(Fault("body", reason),))
    values: dict[str, str] = {}
    faults = []
    for name in sorted(wanted & found.keys()):
        if found[name] is None:
            continue
        values[name], fault = _scalar(found[name])
        if fault:
            faults.append(Fault(name, fault))
    return Parameters(values, tuple(found), tuple(faults))


class _RepeatedName(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__("a name comes more than once")
        self.name = name if _is_name(name) else "body"


def _unique(found: list[tuple[str, object]]) -> dict[str, object]:
    unique: dict[str, object] = {}
    for name, value in found:
        if name in unique:
            raise _RepeatedName(name)
        unique[name] = value
    return unique


def _refuse_constant(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_LENGTH_MAX and name.isprintable()


def _scalar(value: object) -> tuple[str, str | None]:
    if isinstance(value, str):
        # A lone surrogate, which JSON can escape, is no character and cannot be stored.
        return _text(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Decimal):
        # `f` would spell out an exponent of a million digits; a number is read as it was written.
        text = str(value)
        return (text, None) if _PLAIN_NUMBER.fullmatch(text) else ("", "is not a plain number")
    return "", "takes a text or a number"


def _text(raw: bytes) -> tuple[str, str | None]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    if len(text) > VALUE_LENGTH_MAX:
        return "", f"is longer than {VALUE_LENGTH_MAX} characters"
    # C0, DEL and C1: PostgreSQL cannot store NUL, and none of them belongs into an id.
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in text):
        return "", "holds a control character"
    return text, None
