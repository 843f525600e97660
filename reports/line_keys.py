"""What makes a network's line the same line when its file comes again: its content, and its number among equals.

The status is left out: it changes between two exports of the same line. The month is in: a line that a network lists in
two months' reports is claimed twice, and must be seen.
"""

import hashlib
import json
from collections.abc import Sequence

_FIRST = 1


def of_content(
    source_id: str,
    period: str,
    *,
    days: Sequence[str],
    amounts_minor: Sequence[int],
    currencies: Sequence[str],
    transaction_ids: Sequence[str | None],
    click_ids: Sequence[str | None],
    occurrences: Sequence[int] | None = None,
) -> list[str]:
    """Return each line's key: the SHA-256, in hexadecimal, of its content and its number among identical ones.

    Without `occurrences` each is taken for the first.
    """
    # The text is what json.dumps writes of the list, put together by hand: dumps takes five times as long.
    before = json.dumps([source_id, period], separators=(",", ":"))[:-1]
    numbers = occurrences if occurrences is not None else [_FIRST] * len(days)
    texts = [
        f'{before},"{day}",{amount},"{currency}",{transaction},{click},{number}]'
        for day, amount, currency, transaction, click, number in zip(
            days, amounts_minor, currencies, _quoted(transaction_ids), _quoted(click_ids), numbers, strict=True
        )
    ]
    return _digests(texts)


def of_own_ids(source_id: str, period: str, line_ids: Sequence[str]) -> list[str]:
    """Return the keys of lines that have an id of their own: whatever else changes, it is the same line."""
    before = json.dumps([source_id, period, "line_id"], separators=(",", ":"))[:-1]
    return _digests([f"{before},{quoted}]" for quoted in _quoted(line_ids)])


def _digests(texts: list[str]) -> list[str]:
    sha256 = hashlib.sha256
    return [sha256(text.encode()).hexdigest() for text in texts]


def _quoted(texts: Sequence[str | None]) -> list[str]:
    whole = "".join(filter(None, texts))
    if whole.isascii() and whole.isprintable() and '"' not in whole and "\\" not in whole:
        return ["null" if text is None else f'"{text}"' for text in texts]
    return ["null" if text is None else json.dumps(text) for text in texts]
