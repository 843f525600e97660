"""Time-ordered, unguessable ids: a prefix that names the noun and 26 lower-case letters and digits."""

import re
import secrets
from collections.abc import Callable
from datetime import datetime

# Crockford's base 32, lower case: it sorts the same under the C collation and under a database's language collation,
# so a cursor list ordered by id means the same on SQLite and PostgreSQL.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TOKEN_LENGTH = 26
RANDOM_BITS = 80

TOKEN_PATTERN = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")

NewId = Callable[[str], str]


def token(now: datetime) -> str:
    """Return 128 bits as 26 characters: 48 bits of Unix milliseconds, then 80 random ones.

    Tokens made in different milliseconds sort by their time; 80 random bits cannot be guessed from a neighbour.
    """
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (TOKEN_LENGTH - 1), -1, -5))


def id_maker(clock: Callable[[], datetime]) -> NewId:
    """Return a function that makes ids such as `cnv_01k9…` from a prefix such as `cnv`, in the order of `clock`."""

    def new_id(prefix: str) -> str:
        return f"{prefix}_{token(clock())}"

    return new_id


def is_token(text: str) -> bool:
    """Say whether `text` has the form of a token made by `token`."""
    return TOKEN_PATTERN.fullmatch(text) is not None
