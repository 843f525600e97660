"""The one form of rules: what it decides, and what cannot be written in it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conditions import DEPTH_MAX, LIST_MAX, FieldType, compiled, faults

VOCABULARY = {
    "amount": FieldType.INTEGER,
    "status": FieldType.TEXT,
    "late": FieldType.BOOLEAN,
    "category": FieldType.TEXT,
}
FACTS = {"amount": 100, "status": "trusted", "late": False, "category": frozenset({"6210", "6220"})}


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({}, True),
        ({"amount": {"eq": 100}}, True),
        ({"amount": {"ne": 100}}, False),
        ({"amount": {"gt": 100}}, False),
        ({"amount": {"gte": 100}}, True),
        ({"amount": {"lt": 100}}, False),
        ({"amount": {"lte": 100}}, True),
        ({"amount": {"gt": 99, "lt": 101}}, True),
        ({"amount": {"gt": 99, "lt": 100}}, False),
        ({"amount": {"between": [100, 100]}}, True),
        ({"amount": {"between": [101, 200]}}, False),
        ({"amount": {"gt": Decimal("99.5")}}, True),
        ({"status": {"in": ["new", "trusted"]}}, True),
        ({"status": {"not_in": ["new", "trusted"]}}, False),
        ({"status": {"prefix": "trust"}}, True),
        ({"status": {"prefix": "rust"}}, False),
        ({"status": {"contains": "rust"}}, True),
        ({"late": {"eq": False}}, True),
        ({"status": {"eq": "trusted"}, "amount": {"eq": 99}}, False),
        ({"all": [{"amount": {"eq": 100}}, {"late": {"eq": False}}]}, True),
        ({"all": [{"amount": {"eq": 100}}, {"late": {"eq": True}}]}, False),
        ({"any": [{"amount": {"eq": 99}}, {"late": {"eq": False}}]}, True),
        ({"any": [{"amount": {"eq": 99}}, {"late": {"eq": True}}]}, False),
        ({"not": {"amount": {"eq": 99}}}, True),
        ({"not": {}}, False),
    ],
)
def test_a_condition_decides(condition: dict[str, Any], fits: bool) -> None:  # noqa: FBT001
    assert faults(condition, VOCABULARY) == []
    assert compiled(condition)(FACTS) is fits


def test_of_several_values_any_may_fit_and_all_is_said_with_not() -> None:
    assert compiled({"category": {"eq": "6210"}})(FACTS)
    assert compiled({"category": {"not_in": ["6210"]}})(FACTS)
    assert not compiled({"not": {"category": {"not_in": ["6210"]}}})(FACTS)
    assert compiled({"not": {"category": {"not_in": ["6210", "6220"]}}})(FACTS)


def test_an_absent_fact_fits_is_null_alone() -> None:
    absent: list[dict[str, Any]] = [{}, {"status": None}, {"status": frozenset()}]
    for facts in absent:
        assert compiled({"status": {"is_null": True}})(facts)
        assert not compiled({"status": {"is_null": False}})(facts)
        assert not compiled({"status": {"ne": "new"}})(facts)
        assert not compiled({"status": {"not_in": ["new"]}})(facts)


NESTED: dict[str, Any] = {}
for _ in range(DEPTH_MAX + 1):
    NESTED = {"not": NESTED}


@pytest.mark.parametrize(
    ("condition", "path", "reason"),
    [
        (NESTED, "when" + ".not" * (DEPTH_MAX + 1), "conditions nest at most 8 deep"),
        ([], "when", "a condition is an object"),
        ({"all": [], "late": {"eq": True}}, "when", "all, any and not each stand alone"),
        ({"all": []}, "when.all", "takes a list of at least one"),
        ({"any": {}}, "when.any", "takes a list of at least one"),
        ({"any": [{}] * (LIST_MAX + 1)}, "when.any", "takes at most 500 conditions"),
        ({"all": [{}, "x"]}, "when.all.1", "a condition is an object"),
        ({"payout": {"eq": 1}}, "when.payout", "is not a field here; these are: amount, category, late, status"),
        ({1: {"eq": 1}}, "when.1", "is not a field here"),
        ({"amount": 5}, "when.amount", "takes an object of operator and value"),
        ({"amount": {}}, "when.amount", "takes an object of operator and value"),
        ({"amount": {"matches": ".*"}}, "when.amount.matches", "is not an operator"),
        ({"amount": {"is_null": 1}}, "when.amount.is_null", "takes true or false"),
        ({"status": {"gt": "a"}}, "when.status.gt", "does not fit a field of type text"),
        ({"amount": {"prefix": "1"}}, "when.amount.prefix", "does not fit a field of type integer"),
        ({"status": {"in": []}}, "when.status.in", "takes a list of at least one value"),
        ({"status": {"in": "new"}}, "when.status.in", "takes a list of at least one value"),
        ({"status": {"in": ["x"] * (LIST_MAX + 1)}}, "when.status.in", "takes at most 500 values"),
        ({"status": {"in": ["new", 1]}}, "when.status.in", "takes values of type text alone"),
        ({"amount": {"between": [1]}}, "when.amount.between", "takes a list of two numbers"),
        ({"amount": {"between": [1, "2"]}}, "when.amount.between", "takes a list of two numbers"),
        ({"amount": {"between": [2, 1]}}, "when.amount.between", "takes the lower number first"),
        ({"amount": {"eq": "1"}}, "when.amount.eq", "takes a value of type integer, not str"),
        ({"amount": {"eq": True}}, "when.amount.eq", "takes a value of type integer, not bool"),
        ({"late": {"eq": 1}}, "when.late.eq", "takes a value of type boolean, not int"),
    ],
)
def test_every_kind_of_fault_is_named_with_its_path(condition: object, path: str, reason: str) -> None:
    [fault] = faults(condition, VOCABULARY)

    assert fault.field == path
    assert fault.reason.startswith(reason)


def test_all_faults_are_found_at_once() -> None:
    condition = {"all": [{"payout": {"eq": 1}}, {"any": [{"late": {"eq": "no"}}, {"amount": {"gt": "5"}}]}]}

    assert [fault.field for fault in faults(condition, VOCABULARY)] == [
        "when.all.0.payout", "when.all.1.any.0.late.eq", "when.all.1.any.1.amount.gt",
    ]  # fmt: skip


WORDS = ["all", "any", "not", "amount", "status", "late", "eq", "in", "gt", "x"]
LEAVES = st.one_of(
    st.just({}),
    st.builds(
        lambda op, v: {"amount": {op: v}}, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), st.integers(0, 3)
    ),
    st.builds(lambda values: {"status": {"in": values}}, st.lists(st.sampled_from("abc"), min_size=1, max_size=3)),
    st.builds(lambda v: {"late": {"is_null": v}}, st.booleans()),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
SOME_FACTS = st.fixed_dictionaries(
    {}, optional={"amount": st.integers(0, 3), "status": st.sampled_from("abcd"), "late": st.booleans()}
)


@given(CONDITIONS, CONDITIONS, SOME_FACTS)
def test_the_groups_are_the_logic_they_name(one: dict[str, Any], other: dict[str, Any], facts: dict[str, Any]) -> None:
    first, second = compiled(one)(facts), compiled(other)(facts)

    assert compiled({"all": [one, other]})(facts) is (first and second)
    assert compiled({"any": [one, other]})(facts) is (first or second)
    assert compiled({"not": one})(facts) is (not first)
    assert compiled({"not": {"any": [{"not": one}, {"not": other}]}})(facts) is (first and second)


@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    ),
    max_leaves=12,
), SOME_FACTS)  # fmt: skip
def test_whatever_is_sent_is_either_faulty_or_can_be_decided(condition: Any, facts: dict[str, Any]) -> None:
    if not faults(condition, VOCABULARY):
        assert compiled(condition)(facts) in {True, False}
