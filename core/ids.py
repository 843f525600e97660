"""Time-ordered, unguessable ids: a prefix that names the noun and 26 lower-case letters and digits."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

# Crockford's base 32, lower case: it sorts the same under the C collation and under a database's language collation,
# so a cursor list ordered by id means the same on SQLite and PostgreSQL.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TOKEN_LENGTH = 26
RANDOM_BITS = 80

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_SHIFTS = range(10 * (TOKEN_LENGTH // 2 - 1), -1, -10)
# 48 bits of time are the first ten digits exactly, the random ones the other sixteen.
_TIME_LENGTH = TOKEN_LENGTH - RANDOM_BITS // 5
# Of a random byte five bits are taken: 256 is eight times 32, so every digit is as likely as another.
_DIGIT_OF_BYTE = ALPHABET.encode() * 8

_DRAWN_AT_ONCE = 256
_drawn: list[str] = []
# A forked child must not make its parent's ids.
os.register_at_fork(after_in_child=_drawn.clear)

TOKEN_PATTERN = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")

NewId = Callable[[str], str]


def token(now: datetime) -> str:
    """Return 128 bits as 26 characters: 48 bits of Unix milliseconds, then 80 random ones.

    Tokens made in different milliseconds sort by their time; 80 random bits cannot be guessed from a neighbour.
    """
    return _time_digits(int(now.timestamp() * 1000)) + _random_digits()


# Ids are made in the order of a clock: the ids of one batch mostly share their milliseconds.
@lru_cache(maxsize=64)
def _time_digits(milliseconds: int) -> str:
    return _digits(milliseconds << RANDOM_BITS)[:_TIME_LENGTH]


def _digits(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def _random_digits() -> str:
    """Return RANDOM_BITS from the operating system as digits; it is asked for many at a time.

    Each call of os.urandom lets go of the interpreter's lock: in a process that takes postbacks on one thread and
    writes them on another that cost 28 us an id, and this 1.
    """
    try:
        return _drawn.pop()
    except IndexError:
        length = RANDOM_BITS // 5
        drawn = os.urandom(length * _DRAWN_AT_ONCE).translate(_DIGIT_OF_BYTE).decode()
        _drawn.extend(drawn[at : at + length] for at in range(length, len(drawn), length))
        return drawn[:length]


def first_token(moment: datetime) -> str:
    """Return the smallest token of a moment's millisecond: what ids made from then on are not below."""
    return _digits(int(moment.timestamp() * 1000) << RANDOM_BITS)


def moment_of(token: str) -> datetime:
    """Return the millisecond in which `token` was made, in UTC."""
    number = 0
    for character in token:
        number = number << 5 | ALPHABET.index(character)
    return datetime.fromtimestamp((number >> RANDOM_BITS) / 1000, UTC)


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
