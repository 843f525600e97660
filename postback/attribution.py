"""Whether a conversion still counts for its click."""

from datetime import datetime, timedelta

# Clocks of network, tracker and ours differ; further than this a conversion before its click is none of its making.
SKEW_MAX = timedelta(seconds=120)


def is_outside_window(*, occurred_at: datetime, clicked_at: datetime, window_days: int) -> bool:
    """Say whether a conversion came before its click, or more than `window_days` days after it."""
    return not clicked_at - SKEW_MAX <= occurred_at <= clicked_at + timedelta(days=window_days)
