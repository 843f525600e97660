"""How alike two names are, and what that makes of a suggestion's score."""

from rapidfuzz import fuzz, utils

SCORE_MAX = 100


def likeness(ours: str, theirs: str) -> int:
    """Return 0 to 100: how alike two names are, whatever the order of their words, their case and punctuation."""
    return round(fuzz.token_sort_ratio(ours, theirs, processor=utils.default_process))


def ranked(score: int, ours: str | None, theirs: str | None) -> int:
    """Return the score of a suggestion whose two sides are called so: the mean of both; unchanged without two names."""
    if not ours or not theirs:
        return score
    return min(SCORE_MAX, (score + likeness(ours, theirs)) // 2)
