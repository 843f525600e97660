"""The one structured form of rules: category rules and approval chains share it.

A condition is `{}` (always), `{"all": [..]}`, `{"any": [..]}`, `{"not": ..}` or `{field: {operator: value, ..}}`.
There are no expressions and no regular expressions: what cannot be written cannot hang.

A fact may hold several values (a payout has several categories). An operator then asks whether *any* of them fits;
that all of them do is written `{"not": {"category": {"not_in": [..]}}}`. A fact that is absent fits `is_null` alone.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.errors import Fault

Facts = Mapping[str, Any]
Predicate = Callable[[Facts], bool]

DEPTH_MAX = 8
LIST_MAX = 500


class FieldType(StrEnum):
    """What values a field holds, and so what it may be compared with."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"


Vocabulary = Mapping[str, FieldType]

_ORDERED = {"gt", "gte", "lt", "lte", "between"}
_TEXT_ONLY = {"prefix", "contains"}
_LISTS = {"in", "not_in"}
OPERATORS = {"eq", "ne", "is_null"} | _ORDERED | _TEXT_ONLY | _LISTS

_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda fact, value: fact == value,
    "ne": lambda fact, value: fact != value,
    "gt": lambda fact, value: fact > value,
    "gte": lambda fact, value: fact >= value,
    "lt": lambda fact, value: fact < value,
    "lte": lambda fact, value: fact <= value,
    "in": lambda fact, value: fact in value,
    "not_in": lambda fact, value: fact not in value,
    "between": lambda fact, value: value[0] <= fact <= value[1],
    "prefix": lambda fact, value: fact.startswith(value),
    "contains": lambda fact, value: value in fact,
}


_COLLECTIONS = (frozenset, set, list, tuple)


def faults(condition: object, vocabulary: Vocabulary, *, path: str = "when") -> list[Fault]:
    """Return everything wrong with `condition`, each fault with its dotted path; empty when it can be compiled."""
    return list(_faults(condition, vocabulary, path, depth=0))


def compiled(condition: Mapping[str, Any]) -> Predicate:
    """Return a closure that decides `condition`, which must be without faults, on a mapping of facts."""
    if not condition:
        return _always
    if len(condition) > 1 or next(iter(condition)) not in {"all", "any", "not"}:
        return _conjunction([_field_test(field, tests) for field, tests in condition.items()])
    [(key, inner)] = condition.items()
    if key == "not":
        negated = compiled(inner)
        return lambda facts: not negated(facts)
    parts = [compiled(part) for part in inner]
    return _conjunction(parts) if key == "all" else _disjunction(parts)


def fields(condition: Mapping[str, Any]) -> set[str]:
    """Return the fields that `condition`, which must be without faults, asks about."""
    found: set[str] = set()
    for key, inner in condition.items():
        if key in {"all", "any"}:
            found.update(*map(fields, inner))
        else:
            found |= fields(inner) if key == "not" else {key}
    return found


def fits(operator: str, value: Any, operand: Any) -> bool:
    """Say whether one `value` passes one test, which must be without faults and not `is_null`."""
    return bool(_TESTS[operator](value, operand))


def _always(_facts: Facts) -> bool:
    return True


# Plain loops, here and below: all() and any() over a generator cost twice the time of the tests themselves.
def _conjunction(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def all_hold(facts: Facts) -> bool:
        for part in parts:  # noqa: SIM110 - see above
            if not part(facts):
                return False
        return True

    return all_hold


def _disjunction(parts: list[Predicate]) -> Predicate:
    def one_holds(facts: Facts) -> bool:
        for part in parts:  # noqa: SIM110 - see above
            if part(facts):
                return True
        return False

    return one_holds


def _field_test(field: str, tests: Mapping[str, Any]) -> Predicate:
    return _conjunction(
        [_operator_test(field, operator, _operand(operator, value)) for operator, value in tests.items()]
    )


def _is_absent(fact: Any) -> bool:
    return fact is None or (isinstance(fact, _COLLECTIONS) and not fact)


def _operator_test(field: str, operator: str, operand: Any) -> Predicate:
    if operator == "is_null":
        return lambda facts: _is_absent(facts.get(field)) is operand
    test = _TESTS[operator]

    def fits_one(facts: Facts) -> bool:
        fact = facts.get(field)
        if fact is None:
            return False
        if isinstance(fact, _COLLECTIONS):
            for value in fact:  # noqa: SIM110 - see above
                if test(value, operand):
                    return True
            return False
        return bool(test(fact, operand))

    return fits_one


def _operand(operator: str, value: Any) -> Any:
    return frozenset(value) if operator in _LISTS else value


def _faults(condition: object, vocabulary: Vocabulary, path: str, *, depth: int) -> Iterator[Fault]:
    if depth > DEPTH_MAX:
        yield Fault(path, f"conditions nest at most {DEPTH_MAX} deep")
    elif not isinstance(condition, Mapping):
        yield Fault(path, 'a condition is an object, such as {} or {"amount": {"gt": 100}}')
    elif set(condition) & {"all", "any", "not"}:
        yield from _group_faults(condition, vocabulary, path, depth=depth)
    else:
        for field, tests in condition.items():
            yield from _field_faults(field, tests, vocabulary, f"{path}.{field}")


def _group_faults(condition: Mapping[Any, Any], vocabulary: Vocabulary, path: str, *, depth: int) -> Iterator[Fault]:
    if len(condition) > 1:
        yield Fault(path, "all, any and not each stand alone in their object")
        return
    [(key, inner)] = condition.items()
    if key == "not":
        yield from _faults(inner, vocabulary, f"{path}.not", depth=depth + 1)
    elif not isinstance(inner, list) or not inner:
        yield Fault(f"{path}.{key}", "takes a list of at least one condition")
    elif len(inner) > LIST_MAX:
        yield Fault(f"{path}.{key}", f"takes at most {LIST_MAX} conditions")
    else:
        for position, part in enumerate(inner):
            yield from _faults(part, vocabulary, f"{path}.{key}.{position}", depth=depth + 1)


def _field_faults(field: object, tests: object, vocabulary: Vocabulary, path: str) -> Iterator[Fault]:
    field_type = vocabulary.get(field) if isinstance(field, str) else None
    if field_type is None:
        yield Fault(path, f"is not a field here; these are: {', '.join(sorted(vocabulary))}")
    elif not isinstance(tests, Mapping) or not tests:
        yield Fault(path, 'takes an object of operator and value, such as {"eq": ..}')
    else:
        for operator, value in tests.items():
            yield from _operator_faults(operator, value, field_type, f"{path}.{operator}")


def _operator_faults(operator: object, value: object, field_type: FieldType, path: str) -> Iterator[Fault]:
    if not isinstance(operator, str) or operator not in OPERATORS:
        yield Fault(path, f"is not an operator; these are: {', '.join(sorted(OPERATORS))}")
    elif operator == "is_null":
        if not isinstance(value, bool):
            yield Fault(path, "takes true or false")
    elif (operator in _TEXT_ONLY and field_type is not FieldType.TEXT) or (
        operator in _ORDERED and field_type is not FieldType.INTEGER
    ):
        yield Fault(path, f"does not fit a field of type {field_type.value}")
    elif operator in _LISTS:
        yield from _list_faults(value, field_type, path)
    elif operator == "between":
        if not (
            isinstance(value, list)
            and len(value) == len(("lower", "upper"))
            and all(_fits(v, field_type) for v in value)
        ):
            yield Fault(path, "takes a list of two numbers, the lower first")
        elif value[0] > value[1]:
            yield Fault(path, "takes the lower number first")
    elif not _fits(value, field_type):
        yield Fault(path, f"takes a value of type {field_type.value}, not {type(value).__name__}")


def _list_faults(value: object, field_type: FieldType, path: str) -> Iterator[Fault]:
    if not isinstance(value, list) or not value:
        yield Fault(path, "takes a list of at least one value")
    elif len(value) > LIST_MAX:
        yield Fault(path, f"takes at most {LIST_MAX} values")
    elif not all(_fits(each, field_type) for each in value):
        yield Fault(path, f"takes values of type {field_type.value} alone")


def _fits(value: object, field_type: FieldType) -> bool:
    match field_type:
        case FieldType.TEXT:
            return isinstance(value, str)
        case FieldType.INTEGER:
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
