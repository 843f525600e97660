"""Rules that can never hold are told, and no rule that can is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import conditions, contradictions
from core.conditions import FieldType

VOCABULARY = {
    "amount": FieldType.INTEGER,
    "currency": FieldType.TEXT,
    "category": FieldType.TEXT,
    "is_new": FieldType.BOOLEAN,
}


def paths(condition: dict[str, Any], *given: dict[str, Any]) -> list[str]:
    assert conditions.faults(condition, VOCABULARY) == []
    found = contradictions.faults(condition, VOCABULARY, several={"category"}, given=given)
    return [fault.field for fault in found]


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ({"amount": {"gt": 100, "lt": 50}}, "when.amount.lt"),
        ({"all": [{"amount": {"gt": 100}}, {"amount": {"lte": 100}}]}, "when.all.1.amount.lte"),
        ({"amount": {"gt": 100, "lt": 101}}, "when.amount.lt"),
        ({"amount": {"between": [1, 5], "gte": 6}}, "when.amount.gte"),
        ({"amount": {"between": [1, 2], "not_in": [1, 2]}}, "when.amount.not_in"),
        ({"amount": {"eq": 5, "ne": 5}}, "when.amount.ne"),
        ({"currency": {"eq": "EUR", "in": ["USD", "GBP"]}}, "when.currency.in"),
        ({"currency": {"in": ["EUR"], "prefix": "U"}}, "when.currency.prefix"),
        ({"currency": {"is_null": True, "eq": "EUR"}}, "when.currency.eq"),
        ({"category": {"is_null": True, "in": ["6210"]}}, "when.category.in"),
        ({"is_new": {"ne": True, "not_in": [False]}}, "when.is_new.not_in"),
        ({"not": {}}, "when.not"),
        ({"any": [{"amount": {"gt": 1}}, {"amount": {"lt": 1, "gt": 2}}]}, "when.any.1.amount.gt"),
        ({"all": [{"amount": {"gt": 9}}, {"any": [{"amount": {"lt": 5}}]}]}, "when.all.1.any.0.amount.lt"),
        ({"all": [{"not": {"amount": {"gt": 2, "lt": 1}}}]}, "when.all.0.not.amount.lt"),
    ],
)
def test_what_can_never_hold_is_told_with_its_place(condition: dict[str, Any], path: str) -> None:
    assert paths(condition) == [path]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"amount": {"gt": 100, "lt": 102}},
        {"amount": {"gt": 1, "ne": 5}},
        {"category": {"eq": "6210", "in": ["4000"]}},  # a payout has several categories
        {"currency": {"ne": "EUR", "not_in": ["USD"]}},
        {"currency": {"prefix": "E", "contains": "X"}},
        {"any": [{"amount": {"gt": 100}}, {"amount": {"lt": 50}}]},
        {"all": [{"amount": {"gt": 100}}, {"not": {"amount": {"lt": 50}}}]},
    ],
)
def test_what_can_hold_is_left_alone(condition: dict[str, Any]) -> None:
    assert paths(condition) == []


def test_a_condition_is_measured_against_what_holds_already() -> None:
    assert paths({"amount": {"gt": 1000}}, {"all": [{"amount": {"lte": 500}}]}) == ["when.amount.gt"]
    assert paths({"amount": {"gt": 100}}, {"amount": {"lte": 500}}) == []


TESTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["gt", "gte", "lt", "lte", "eq", "ne"]), st.integers(-3, 3)),
        st.tuples(st.sampled_from(["in", "not_in"]), st.lists(st.integers(-3, 3), min_size=1, max_size=3)),
    ),
    min_size=1,
    max_size=4,
)


@given(tests=TESTS)
def test_a_conjunction_over_numbers_is_called_impossible_exactly_when_no_number_fits(
    tests: list[tuple[str, Any]],
) -> None:
    condition = {"all": [{"amount": {operator: value}} for operator, value in tests]}

    decide = conditions.compiled(condition)
    holds_somewhere = any(decide({"amount": number}) for number in range(-10, 11))

    assert bool(contradictions.faults(condition, VOCABULARY)) is not holds_somewhere
