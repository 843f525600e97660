"""How the requests of networks are read: forgiving about what is not asked for, strict about what is."""

import json
import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from urllib.parse import unquote_to_bytes

from core.errors import Fault
from postback.schemes.base import Parameters

PAIRS_MAX = 200
NAME_LENGTH_MAX = 100
VALUE_LENGTH_MAX = 255

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_POSITION = re.compile(r"[0-9]{1,3}", re.ASCII)


def pairs(raw: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return the decoded names and values of a query or a form in their order, None for more than PAIRS_MAX.

    `+` is a space. Verifiers and `form` both read by this, so that what was signed is what is told.
    """
    found = [pair.partition(b"=") for pair in raw.split(b"&", PAIRS_MAX * 2) if pair]
    if len(found) > PAIRS_MAX or raw.count(b"&") >= PAIRS_MAX * 2:
        return None
    return [(_decoded(name), _decoded(value)) for name, _, value in found]


def form(raw: bytes, wanted: Collection[str]) -> Parameters:
    """Read a query or an x-www-form-urlencoded body; only the `wanted` names are read as text, once each.

    A name that could not be asked for (not UTF-8, not printable, too long) is left out of `names`.
    """
    found = pairs(raw)
    if found is None:
        return Parameters(faults=(Fault("parameters", f"are more than {PAIRS_MAX}"),))
    values: dict[str, str] = {}
    names: dict[str, None] = {}
    faults: list[Fault] = []
    for name_bytes, value in found:
        name, reason = text(name_bytes, length_max=NAME_LENGTH_MAX)
        if reason or not name.isprintable() or not name:
            continue
        is_repeated = name in names
        names[name] = None
        if name not in wanted:
            continue
        if is_repeated:
            faults.append(Fault(name, "comes more than once"))
            continue
        values[name], reason = text(value)
        if reason:
            faults.append(Fault(name, reason))
    return Parameters(values, tuple(names), tuple(faults))


def json_at(body: bytes, wanted: Collection[str]) -> Parameters:
    """Read a JSON object in UTF-8, no name twice, no number rounded, NaN refused.

    A `wanted` name is a path: `click.id` is the `id` in the object `click`, `codes.0` the first of the list `codes`.
    What is not there, or null, is absent. `names` are those of the object itself.
    """
    found = json_object(body)
    if isinstance(found, Fault):
        return Parameters(faults=(found,))
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for path in sorted(wanted):
        value = _at(found, path.split("."))
        if value is None:
            continue
        values[path], reason = _scalar(value)
        if reason:
            faults.append(Fault(path, reason))
    return Parameters(values, tuple(found), tuple(faults))


def json_object(body: bytes) -> dict[str, object] | Fault:
    """Return the one JSON object that `body` is, its numbers as Decimal, or what is wrong with it."""
    try:
        found = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse_constant,
        )
    except _RepeatedName as error:
        return Fault(error.name, "comes more than once")
    except (ValueError, ArithmeticError, RecursionError):
        return Fault("body", "is not JSON in UTF-8")
    if not isinstance(found, dict):
        return Fault("body", "is not a JSON object")
    if len(found) > PAIRS_MAX or not all(_is_name(name) for name in found):
        return Fault("body", f"holds at most {PAIRS_MAX} names of 1 to {NAME_LENGTH_MAX} printable characters")
    return found


def text(raw: bytes, *, length_max: int = VALUE_LENGTH_MAX) -> tuple[str, str | None]:
    """Return the text that `raw` says and None, or an empty text and what is wrong with it."""
    try:
        said = raw.decode()
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    if len(said) > length_max:
        return "", f"is longer than {length_max} characters"
    # C0, DEL and C1: PostgreSQL cannot store NUL, and none of them belongs into an id.
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in said):
        return "", "holds a control character"
    return said, None


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


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


def _at(found: object, path: Sequence[str]) -> object:
    for step in path:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and _POSITION.fullmatch(step):
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


def _scalar(value: object) -> tuple[str, str | None]:
    match value:
        case bool():
            return ("true" if value else "false"), None
        case str():
            # A lone surrogate, which JSON can escape, is no character and cannot be stored.
            return text(value.encode("utf-8", "surrogatepass"))
        case Decimal():
            # `f` would spell out an exponent of a million digits; a number is read as it was written.
            said = str(value)
            return (said, None) if _PLAIN_NUMBER.fullmatch(said) else ("", "is not a plain number")
        case _:
            return "", "takes a text, a number, true or false"
