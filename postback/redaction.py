"""What a receipt may keep of a request: secrets that came in the clear are cut out, wherever in it they stand.

A signature may be kept, for it opens nothing else. A static token opens everything, and people send it to the wrong
place: to a source that is not there, under another name, in the body. Three rules find it, each where the one before
cannot: the place the scheme has for it, the value itself (tried against the source's own secrets), and, in a refused
request alone, names that secrets usually have and the form of a secret of ours.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from postback.content import FIELDS, TIMESTAMP
from postback.presets.catalogue import CATALOGUE
from postback.schemes.base import Static

CUT = "-"
SOURCE_ID_LENGTH = 30
# Names are decoded again and again, as somebody's redirect encodes them again and again.
_DECODED_TIMES = 3
# What _made in partners.secrets makes: 43 characters for a token, whsec_ and base64 for a signing secret.
_OURS = re.compile(r"(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])|whsec_[A-Za-z0-9+/=%]{16,})")
_USUAL_NAME = re.compile(
    r"token|secret|passw|passphrase|bearer|hottok|credential|authori[sz]ation|authentication"
    r"|(?:api|auth|access|private|security|postback|callback|signing|hash|account)[^a-z]*key"
    r"|(?:^|[^a-z])(?:key|auth|pass|pwd|pw)(?:$|[^a-z])"
)
SECRET_LENGTH_MIN = 8
_PIECE = re.compile(rb"[A-Za-z0-9._~-]{%d,}" % SECRET_LENGTH_MIN)
_FORM = re.compile(rb"[^\x00-\x20\x7f\"<>]*")
_Json = Any


class Secret(Protocol):
    """A secret of the source."""

    @property
    def key(self) -> bytes:
        """What its scheme takes."""


def _nothing(_value: bytes) -> bool:
    return False


@dataclass(frozen=True)
class Rule:
    """Which values are cut out.

    `names` are those under which the scheme has its secret, `is_shown` tells a value that is one. `guesses` adds what
    only looks like one, but for the names in `read`; `is_strict` cuts whatever stands under any name not in `read`.
    """

    names: frozenset[str] = frozenset()
    is_shown: Callable[[bytes], bool] = _nothing
    guesses: bool = False
    read: frozenset[str] = frozenset()
    is_strict: bool = False

    def cuts_all(self, name: str) -> bool:
        """Say whether everything under `name` is cut, however deep."""
        return name in self.names or (self.guesses and is_usual(name) and (self.is_strict or name not in self.read))

    def cuts(self, name: str) -> bool:
        """Say whether a plain value under `name` is cut."""
        return self.cuts_all(name) or (self.is_strict and name not in self.read)

    def is_secret(self, value: bytes) -> bool:
        """Say whether `value`, decoded, is a secret or holds one."""
        if self.guesses and _OURS.search(value.decode("latin-1")):
            return True
        if len(value) < SECRET_LENGTH_MIN:
            return False
        return self.is_shown(value) or any(self.is_shown(piece) for piece in _PIECE.findall(value) if piece != value)


def of_proven(static: Static | None, secrets: Sequence[Secret]) -> Rule | None:
    """Return the rule for a request that is believed: no guesses, since it may be read again; None: all of it stays."""
    return None if static is None else Rule(frozenset(static.names), _shown(static, secrets))


def of_refused(static: Static | None, secrets: Sequence[Secret], read: Collection[str]) -> Rule:
    """Return the rule for a request that its source refuses; `read` are the names that the source asks for."""
    names = frozenset() if static is None else frozenset(static.names)
    is_shown = _nothing if static is None else _shown(static, secrets)
    return Rule(names, is_shown, guesses=True, read=_steps(read))


def of_unknown() -> Rule:
    """Return the rule for a request to no source: nobody can say what is a secret there, so only known names stay."""
    return Rule(guesses=True, read=_KNOWN_NAMES, is_strict=True)


def is_usual(name: str) -> bool:
    """Say whether secrets usually have this name."""
    return _USUAL_NAME.search(name.lower()) is not None


def query(raw: bytes, rule: Rule) -> bytes:
    """Return a query or form with its secrets cut out, all else byte by byte as it was."""
    return b"&".join([_pair(pair, rule) for pair in raw.split(b"&")])


def body(raw: bytes, rule: Rule) -> bytes:
    """Return a body with its secrets cut out; of one that no scheme could read, only how long it was."""
    bare = raw.strip()
    if bare[:1] in {b"{", b"[", b'"'}:
        found = _json(raw, rule)
        if found is not None:
            return found
    elif _FORM.fullmatch(bare):
        return query(raw, rule)
    return b"(%d bytes that are neither JSON nor a form)" % len(raw)


def headers(values: Mapping[str, str], rule: Rule) -> dict[str, str]:
    """Return headers with their secrets cut out."""
    return {
        name: CUT if rule.cuts_all(name) or rule.is_secret(value.encode("latin-1", "replace")) else value
        for name, value in values.items()
    }


def source_id(text: str) -> str:
    """Return the id of no source as it may be kept: where a token stands in its place or behind it, without that."""
    return CUT if _OURS.fullmatch(text) else text[:SOURCE_ID_LENGTH]


def path(text: str) -> str:
    """Return the path of a request that leads nowhere, as a log may have it."""
    return _OURS.sub(CUT, text)


def _shown(static: Static, secrets: Sequence[Secret]) -> Callable[[bytes], bool]:
    def is_shown(value: bytes) -> bool:
        return any(static.is_shown(value, secret.key) for secret in secrets)

    return is_shown


def _steps(paths: Collection[str]) -> frozenset[str]:
    return frozenset(step for path in paths for step in (path, *path.split(".")))


_KNOWN_NAMES = _steps(
    {*FIELDS, TIMESTAMP, "sig", *(name for preset in CATALOGUE.values() for name in preset.parameters.values())}
)


def _pair(pair: bytes, rule: Rule) -> bytes:
    name, equals, value = pair.partition(b"=")
    said = _decoded(name)
    if rule.is_secret(said):
        name = CUT.encode()
    # As it came too: a text of theirs may hold a plus or a percent sign, and be sent as it is.
    spellings = {value, _decoded(value)}
    if value and (rule.cuts(said.decode("latin-1").lstrip("? ")) or any(map(rule.is_secret, spellings))):
        value = CUT.encode()
    return name + equals + value


def _decoded(raw: bytes) -> bytes:
    # Most of it has nothing to decode, and this is done for every postback under a static secret.
    for _ in range(_DECODED_TIMES if b"%" in raw or b"+" in raw else 0):
        decoded = unquote_to_bytes(raw.replace(b"+", b" "))
        if decoded == raw:
            break
        raw = decoded
    return raw


class _Pairs(list[tuple[str, _Json]]):
    """An object, a repeated name in it twice."""


class _Literal(str):
    """A number as it was written."""

    __slots__ = ()


def _json(raw: bytes, rule: Rule) -> bytes | None:
    try:
        found = json.loads(
            raw.decode(), object_pairs_hook=_Pairs, parse_float=_Literal, parse_int=_Literal, parse_constant=_Literal
        )
        kept = _without(found, "", rule, is_inside=False)
        # Byte by byte as it was where nothing had to go: so it can be signed and compared again.
        return raw if kept == found else _written(kept).encode()
    except (ValueError, RecursionError):
        return None


def _without(value: _Json, name: str, rule: Rule, *, is_inside: bool) -> _Json:
    """Return `value` without secrets; `is_inside`: of something that is cut as a whole."""
    is_inside = is_inside or rule.cuts_all(name)
    match value:
        case _Pairs():
            return _Pairs(
                (CUT if rule.is_secret(key.encode("utf-8", "replace")) else key,
                 _without(each, key, rule, is_inside=is_inside))
                for key, each in value
            )  # fmt: skip
        case list():
            return [_without(each, name, rule, is_inside=is_inside) for each in value]
        case str():
            is_cut = is_inside or rule.cuts(name) or rule.is_secret(_decoded(value.encode("utf-8", "replace")))
            return CUT if is_cut else value
        case _:
            return value


def _written(value: _Json) -> str:
    match value:
        case _Pairs():
            return "{" + ",".join(f"{json.dumps(name)}:{_written(each)}" for name, each in value) + "}"
        case list():
            return "[" + ",".join(_written(each) for each in value) + "]"
        case _Literal():
            return str(value)
        case _:
            return json.dumps(value)
