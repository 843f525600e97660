"""Time-ordered, unguessable ids: a prefix that names the noun and 26 lower-case letters and digits."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

# Crockford's base 32, lower case: it sorts the same under the C collation and under a database's language collation,
# so a cursor list ordered by id means the same on SQLite and PostgreSQL.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TOKEN_LENGTH = 26
RANDOM_BITS = 80

# Two digits at a time: an id costs a postback 3 us so, and 8 digit by digit.
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_SHIFTS = range(10 * (TOKEN_LENGTH // 2 - 1), -1, -10)

_DRAWN_AT_ONCE = 256
_drawn: list[int] = []
# A forked child must not make its parent's ids.
os.register_at_fork(after_in_child=_drawn.clear)

TOKEN_PATTERN = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")

NewId = Callable[[str], str]


def token(now: datetime) -> str:
    """Return 128 bits as 26 characters: 48 bits of Unix milliseconds, then 80 random ones.

    Tokens made in different milliseconds sort by their time; 80 random bits cannot be guessed from a neighbour.
    """
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << RANDOM_BITS) | _random_bits()
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def _random_bits() -> int:
    """Return RANDOM_BITS from the operating system, which is asked for many at a time.

    Each call of os.urandom lets go of the interpreter's lock: in a process that takes postbacks on one thread and
    writes them on another that cost 28 us an id, and this 1.
    """
    try:
        return _drawn.pop()
    except IndexError:
        length = RANDOM_BITS // 8
        drawn = os.urandom(length * _DRAWN_AT_ONCE)
        _drawn.extend(int.from_bytes(drawn[at : at + length]) for at in range(length, len(drawn), length))
        return int.from_bytes(drawn[:length])


def first_token(moment: datetime) -> str:
    """Return the smallest token of a moment's millisecond: what ids made from then on are not below."""
    number = int(moment.timestamp() * 1000) << RANDOM_BITS
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def first_of_month(moment: datetime, ahead: int) -> datetime:
    """Return the first moment of the month that comes `ahead` months after that of `moment`, in UTC."""
    months = moment.astimezone(UTC).year * 12 + moment.astimezone(UTC).month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def id_maker(clock: Callable[[], datetime]) -> NewId:
    """Return a function that makes ids such as `cnv_01k9…` from a prefix such as `cnv`, in the order of `clock`."""

    def new_id(prefix: str) -> str:
        return f"{prefix}_{token(clock())}"

    return new_id


def is_token(text: str) -> bool:
    """Say whether `text` has the form of a token made by `token`."""
    return TOKEN_PATTERN.fullmatch(text) is not None
