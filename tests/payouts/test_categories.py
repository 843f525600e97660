"""Category rules: the first that fits wins, and nothing is left without a category."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.errors import Fault
from payouts.categories import UNCATEGORISED, Category, Chosen, chooser, faults


def rule(rule_id: str, when: dict[str, Any], account: str = "expense:commission:spring") -> dict[str, Any]:
    return {"id": rule_id, "when": when, "category": {"code": "6210", "name": "Spring", "account": account}}


def test_the_first_rule_that_fits_wins() -> None:
    choose = chooser(
        [
            rule("large", {"amount_minor": {"gt": 10000}}),
            rule("blog", {"all": [{"campaign_id": {"eq": "cmp_1"}}, {"sub1": {"prefix": "blog"}}]}),
            rule("rest", {"campaign_id": {"eq": "cmp_1"}}),
        ]
    )

    assert choose({"campaign_id": "cmp_1", "sub1": "blog-7", "amount_minor": 500}).rule_id == "blog"
    assert choose({"campaign_id": "cmp_1", "sub1": "blog-7", "amount_minor": 10001}).rule_id == "large"
    assert choose({"campaign_id": "cmp_1", "amount_minor": 500}) == Chosen(
        Category("6210", "Spring", "expense:commission:spring"), "rest"
    )


def test_what_no_rule_fits_is_uncategorised_by_no_rule() -> None:
    assert chooser([rule("large", {"amount_minor": {"gt": 100}})])({"amount_minor": 100}) == Chosen(UNCATEGORISED, None)
    assert chooser([])({}) == Chosen(UNCATEGORISED, None)


def test_every_fault_of_every_rule_is_named_at_once() -> None:
    rules = [
        rule("r1", {"amount_minor": {"prefix": "x"}}, account="assets:cash"),
        rule("r1", {"colour": {"eq": "red"}}),
        {
            "id": "",
            "when": {},
            "category": {"code": "", "name": "n", "account": "expense:a b", "colour": "red"},
            "x": 1,
        },
        "rule",
    ]

    assert [fault.field for fault in faults(rules)] == [
        "rules.0.when.amount_minor.prefix",
        "rules.0.category.account",
        "rules.1.when.colour",
        "rules.2.x",
        "rules.2.id",
        "rules.2.category.colour",
        "rules.2.category.code",
        "rules.2.category.account",
        "rules.3",
        "rules.1.id",
    ]


def test_an_account_is_of_expense_and_of_plain_parts() -> None:
    for account in ("expense:", "expense", "expense::a", "Expense:a", "expense:a:", "expense:a;b", "bank:x", None, 7):
        assert faults([rule("r", {}, account=account)]), account  # type: ignore[arg-type]  # that is the point
    for account in ("expense:a", "expense:commission:spring-2026", "expense:6210_x"):
        assert faults([rule("r", {}, account=account)]) == []


def test_rules_come_as_a_list() -> None:
    assert faults({"id": "r1"}) == [Fault("rules", "takes a list of rules")]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8), st.integers(0, 20))
def test_the_choice_is_the_first_fitting_rule_and_always_one(bounds: list[tuple[int, int]], amount: int) -> None:
    rules = [
        rule(f"r{position}", {"amount_minor": {"gte": lower, "lte": upper}})
        for position, (lower, upper) in enumerate(bounds)
    ]
    assert faults(rules) == []

    expected = next((f"r{at}" for at, (lower, upper) in enumerate(bounds) if lower <= amount <= upper), None)

    assert chooser(rules)({"amount_minor": amount}).rule_id == expected


FACTS = st.fixed_dictionaries(
    {"amount_minor": st.integers(0, 3), "sub1": st.none() | st.sampled_from("ab")},
    optional={"currency": st.sampled_from(["EUR", "USD"])},
)
CONDITIONS = st.recursive(
    st.just({})
    | st.builds(lambda value: {"amount_minor": {"gte": value}}, st.integers(0, 3))
    | st.builds(lambda value: {"sub1": {"eq": value}}, st.sampled_from("ab"))
    | st.just({"sub1": {"is_null": True}, "currency": {"ne": "EUR"}}),
    lambda inner: (
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=4,
)


@given(st.lists(CONDITIONS, max_size=4), st.lists(FACTS, max_size=20))
def test_what_was_decided_before_is_what_would_be_decided_anew(
    conditions: list[dict[str, Any]], many: list[dict[str, Any]]
) -> None:
    rules = [rule(f"r{number}", when) for number, when in enumerate(conditions)]
    choose = chooser(rules)

    assert [choose(facts) for facts in many] == [chooser(rules)(facts) for facts in many]
