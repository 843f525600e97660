"""In whose hours a page tells the time: those of the viewer's browser, which names its zone in a cookie."""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import flask

# console.js writes it. A browser says what it likes: whatever is no zone counts for none.
COOKIE = "zone"
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", re.ASCII)


@lru_cache(maxsize=700)
def of_name(name: str) -> tzinfo:
    """Return the zone of this name (IANA's), UTC for what names none."""
    if not _NAME.fullmatch(name):
        return UTC
    try:
        return ZoneInfo(name)
    # No such zone (a KeyError), a folder of them, or a file beside them that holds none.
    except (KeyError, OSError, ValueError):
        return UTC


def here(at: datetime) -> datetime:
    """Return the same moment in the viewer's zone."""
    return at.astimezone(_viewers())


def name() -> str:
    """Return how the viewer's zone is called."""
    zone = _viewers()
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def _viewers() -> tzinfo:
    return of_name(flask.request.cookies.get(COOKIE, "UTC"))
