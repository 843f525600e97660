"""Whether a source fell silent: it fires in its own rhythm, and has missed many beats."""

from collections.abc import Sequence
from datetime import datetime, timedelta

# Fewer postbacks show no rhythm.
SEEN_MIN = 20
SEEN_MAX = 50
# Nights and quiet hours come to a few beats; an hour without a word is worth looking at in no slow source.
BEATS = 12
SHORTEST = timedelta(minutes=30)


def silent_since(last: Sequence[datetime], now: datetime) -> datetime | None:
    """Return the moment of the last postback, when by the rhythm of those before more should have come; else None.

    `last` are the moments of a source's last postbacks, the newest first.
    """
    if len(last) < SEEN_MIN:
        return None
    newest, oldest = last[0], last[-1]
    beat = (newest - oldest) / (len(last) - 1)
    return newest if now - newest > max(SHORTEST, BEATS * beat) else None
