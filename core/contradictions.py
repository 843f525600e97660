"""Rules that can never hold: what a conjunction asks of one field at once, and nothing can answer."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import conditions
from core.conditions import LIST_MAX, FieldType, Vocabulary
from core.errors import Fault

Condition = Mapping[str, Any]


@dataclass(frozen=True)
class _Test:
    path: str
    field: str
    operator: str
    value: Any


def faults(
    condition: Condition,
    vocabulary: Vocabulary,
    *,
    several: Collection[str] = (),
    path: str = "when",
    given: Sequence[Condition] = (),
) -> list[Fault]:
    """Return the parts of `condition`, which must be without faults of form, that can never hold.

    `several` names the fields that may hold several values at once: of those one value may fit the one test and another
    value the next. `given` are conditions that hold already wherever this one is asked.
    """
    known = [test for each in given for test in _tests(each, "")]
    return list(_faults(condition, vocabulary, set(several), path, known))


def _faults(
    condition: Condition, vocabulary: Vocabulary, several: Collection[str], path: str, known: list[_Test]
) -> Iterator[Fault]:
    own = list(_tests(condition, path))
    for field in dict.fromkeys(test.field for test in own):
        mine = [test for test in own if test.field == field]
        others = [test for test in known if test.field == field]
        if _is_impossible([*others, *mine], vocabulary[field], is_several=field in several):
            asked = " and ".join(f"{test.operator} {_said(test.value)}" for test in [*others, *mine])
            yield Fault(mine[-1].path, f"can never hold: {field} {asked}")
    for key, inner_path, inner in _groups(condition, path):
        if key == "any":
            for position, part in enumerate(inner):
                yield from _faults(part, vocabulary, several, f"{inner_path}.{position}", [*known, *own])
        elif inner == {}:
            yield Fault(inner_path, "can never hold: {} always does")
        else:
            yield from _faults(inner, vocabulary, several, inner_path, [])


def _tests(condition: Condition, path: str) -> Iterator[_Test]:
    """Yield every test that must hold for `condition` to hold, through `all` and not through `any` or `not`."""
    for key, inner in condition.items():
        if key == "all":
            for position, part in enumerate(inner):
                yield from _tests(part, f"{path}.all.{position}")
        elif key not in {"any", "not"}:
            for operator, value in inner.items():
                yield _Test(f"{path}.{key}.{operator}", key, operator, value)


def _groups(condition: Condition, path: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the `any` and `not` groups of `condition`, wherever `all` leads to them."""
    for key, inner in condition.items():
        if key == "all":
            for position, part in enumerate(inner):
                yield from _groups(part, f"{path}.all.{position}")
        elif key in {"any", "not"}:
            yield key, f"{path}.{key}", inner


def _is_impossible(tests: Sequence[_Test], field_type: FieldType, *, is_several: bool) -> bool:
    absent = {test.value for test in tests if test.operator == "is_null"}
    rest = [test for test in tests if test.operator != "is_null"]
    # An absent fact fits `is_null: true` alone, so any other test beside it fails.
    if len(absent) > 1 or (True in absent and rest):
        return True
    if is_several or not rest:
        return False
    candidates = _candidates(rest, field_type)
    return candidates is not None and not any(
        all(conditions.fits(test.operator, candidate, test.value) for test in rest) for candidate in candidates
    )


def _candidates(tests: Sequence[_Test], field_type: FieldType) -> Collection[Any] | None:
    """Return values of which one must fit if any value does; None where there are too many to say."""
    for test in tests:
        if test.operator == "eq":
            return [test.value]
        if test.operator == "in":
            return list(test.value)
    if field_type is FieldType.BOOLEAN:
        return [True, False]
    if field_type is not FieldType.INTEGER:
        return None
    low, high = _bounds(tests)
    if low > high:
        return []
    # So many values can be excluded by name at most; a longer span always has one left.
    most = LIST_MAX * len(tests)
    return range(int(low), int(high) + 1) if high - low <= most else None


def _bounds(tests: Sequence[_Test]) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for test in tests:
        match test.operator:
            case "gt":
                low = max(low, math.floor(test.value) + 1)
            case "gte":
                low = max(low, math.ceil(test.value))
            case "lt":
                high = min(high, math.ceil(test.value) - 1)
            case "lte":
                high = min(high, math.floor(test.value))
            case "between":
                low, high = max(low, math.ceil(test.value[0])), min(high, math.floor(test.value[1]))
    return low, high


def _said(value: Any) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
