"""Which of a few amounts make a sum together: every way, by halves, in a fixed order."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import takewhile

AMOUNTS_MAX = 20
_AT_LEAST = 2

_Half = list[tuple[int, int]]


def subsets(amounts: Sequence[int], target: int, *, found_max: int) -> list[tuple[int, ...]]:
    """Return the subsets of at least two of `amounts` whose sum is `target`, as rising positions; `found_max` at most.

    Small subsets come first, then those with early positions, so the answer does not depend on the way it was looked
    for. At most AMOUNTS_MAX amounts: the halves have 1,024 sums each.
    """
    if len(amounts) > AMOUNTS_MAX:
        message = f"at most {AMOUNTS_MAX} amounts, not {len(amounts)}"
        raise ValueError(message)
    middle = len(amounts) // 2
    left, right = _sums(amounts[:middle]), sorted(_sums(amounts[middle:]))
    sums = [total for total, _ in right]
    found = []
    for total, mask in left:
        wanted = target - total
        start = bisect_left(sums, wanted)
        for _, other in takewhile(lambda each: each[0] == wanted, right[start:]):  # noqa: B023 - read at once
            positions = _positions(mask) + tuple(middle + position for position in _positions(other))
            if len(positions) >= _AT_LEAST:
                found.append(positions)
    return sorted(found, key=lambda positions: (len(positions), positions))[:found_max]


def _sums(amounts: Sequence[int]) -> _Half:
    sums: _Half = [(0, 0)]
    for position, amount in enumerate(amounts):
        sums += [(total + amount, mask | 1 << position) for total, mask in sums]
    return sums


def _positions(mask: int) -> tuple[int, ...]:
    return tuple(position for position in range(mask.bit_length()) if mask >> position & 1)
