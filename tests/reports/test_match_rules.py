"""The rules of matching, sums of a few amounts, and names: plain values."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.likeness import ranked
from reports.match_rules import Rule, faults, rules, tolerance
from reports.matching import Pass
from reports.subset_sums import subsets

WHOLE: list[dict[str, Any]] = [
    {"pass": "group"},
    {"pass": "exact_id"},
    {"pass": "composite", "days_after": 5},
    {"pass": "amount_date", "tolerance_minor": 50, "tolerance_percent": "0.5", "days_before": 0},
    {"pass": "subset_sum", "items_max": 12},
    {"pass": "names"},
]


def test_a_ruleset_says_the_order_and_the_limits_and_what_it_leaves_out_has_its_default() -> None:
    assert faults(WHOLE) == []

    assert rules(WHOLE) == [
        Rule(Pass.GROUP),
        Rule(Pass.EXACT_ID),
        Rule(Pass.COMPOSITE, days_after=5),
        Rule(Pass.AMOUNT_DATE, days_before=0, tolerance_minor=50, tolerance_parts=50),
        Rule(Pass.SUBSET_SUM, items_max=12),
        Rule(Pass.NAMES),
    ]


@pytest.mark.parametrize(
    ("passes", "paths"),
    [
        ([], ["passes"]),
        ("exact_id", ["passes"]),
        ([{"pass": "manual"}, 7], ["passes.0.pass", "passes.1"]),
        (
            [{"pass": "subset_sum", "items_max": 21, "days_after": 3}, {"pass": "amount_date", "days_before": True}],
            ["passes.0.items_max", "passes.0.days_after", "passes.1.days_before"],
        ),
        ([{"pass": "amount_date", "tolerance_percent": each} for each in ("1", "-1", "1.005", "NaN", 1)][1:4],
         ["passes.0.tolerance_percent", "passes.1.tolerance_percent", "passes.2.tolerance_percent"]),
        ([{"pass": "subset_sum"}, {"pass": "exact_id"}], ["passes.1.pass"]),
        ([{"pass": "exact_id"}, {"pass": "exact_id"}], ["passes.1.pass"]),
    ],
)  # fmt: skip
def test_every_fault_of_a_ruleset_is_named_at_once(passes: Any, paths: list[str]) -> None:
    assert [fault.field for fault in faults(passes)] == paths


def test_the_smaller_of_both_tolerances_counts() -> None:
    rule = Rule(Pass.AMOUNT_DATE, tolerance_minor=100, tolerance_parts=100)

    assert [tolerance(amount, rule) for amount in (0, 99, 1_250, -1_250, 10_000, 1_000_000)] == [0, 0, 12, 12, 100, 100]


@given(st.lists(st.integers(-20, 20), max_size=8), st.integers(-30, 30))
def test_the_subsets_are_those_that_brute_force_finds(amounts: list[int], target: int) -> None:
    every = [
        positions
        for size in range(2, len(amounts) + 1)
        for positions in combinations(range(len(amounts)), size)
        if sum(amounts[position] for position in positions) == target
    ]

    assert subsets(amounts, target, found_max=1_000) == every
    assert subsets(amounts, target, found_max=1) == every[:1]


def test_of_twenty_amounts_the_only_sum_is_found_and_twenty_one_are_refused() -> None:
    amounts = [2**position for position in range(20)]

    assert subsets(amounts, 2**19 + 2**7 + 1, found_max=5) == [(0, 7, 19)]
    with pytest.raises(ValueError, match="at most 20"):
        subsets([*amounts, 1], 5, found_max=1)


def test_names_speak_in_a_score_whatever_their_order_and_case_and_only_where_both_have_one() -> None:
    assert ranked(80, "Blog One GmbH", "BLOG-ONE GMBH") == 90
    assert ranked(80, "Blog One GmbH", "gmbh one blog") == 90
    assert ranked(80, "Blog One GmbH", "Quartz Xu") < 65
    assert ranked(80, None, "Quartz Xu") == 80
