"""Which chain a subject takes, and what a policy may say."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from approvals import routing
from core.errors import Fault

ROLES = ("finance", "manager", "admin")
FINANCE: dict[str, Any] = {"id": "finance", "approvers": {"role": "finance"}, "need": 1}
DEFAULT: dict[str, Any] = {"id": "default", "when": {}, "steps": [FINANCE]}


def test_the_first_chain_that_fits_wins() -> None:
    large = {"id": "large", "when": {"amount_base": {"gt": 100000}}, "steps": [FINANCE | {"need": 2}]}
    policy = {"chains": [large, DEFAULT]}

    assert routing.route(policy, {"amount_base": 100001}).chain_id == "large"
    assert routing.route(policy, {"amount_base": 100000}).chain_id == "default"


def test_a_step_whose_condition_is_false_is_skipped_and_says_why() -> None:
    chief = {"id": "chief", "approvers": {"role": "admin"}, "need": 1, "when": {"amount_base": {"gt": 1000000}}}
    policy = {"chains": [{"id": "default", "when": {}, "steps": [FINANCE, chief]}]}

    small, large = (routing.route(policy, {"amount_base": amount}) for amount in (1000000, 1000001))

    assert [step.skipped for step in small.steps] == [None, "applies only when amount_base gt 1000000"]
    assert [step.skipped for step in large.steps] == [None, None]


def test_a_chain_without_steps_is_approved_by_policy() -> None:
    policy = {"chains": [{"id": "micro", "when": {"amount_base": {"lte": 10000}}, "steps": []}, DEFAULT]}

    assert routing.route(policy, {"amount_base": 10000}).is_approved_by_policy
    assert not routing.route(policy, {"amount_base": 10001}).is_approved_by_policy


def test_a_set_of_facts_is_routed_the_same_before_and_after_it_was_stored() -> None:
    policy = {"chains": [{"id": "ads", "when": {"category": {"in": ["6210"]}}, "steps": [FINANCE]}, DEFAULT]}
    facts = {"category": frozenset({"6210", "4000"})}

    stored = json.loads(json.dumps(routing.plain(facts)))

    assert stored == {"category": ["4000", "6210"]}
    assert routing.route(policy, facts).chain_id == routing.route(policy, stored).chain_id == "ads"


def test_every_fault_of_a_policy_is_told_at_once() -> None:
    policy = {
        "defaults": {},
        "chains": [
            {"id": "Big Ones", "when": {"amount": {"gt": 1}}, "steps": [FINANCE, FINANCE]},
            {
                "id": "b",
                "when": {},
                "steps": [
                    {"id": "a", "approvers": {"role": "auditor"}, "need": 0},
                    {"id": "c", "approvers": {"group": "legal"}, "need": True, "parallel_with": "a", "timeout": "48h"},
                ],
            },
            {"id": "b", "when": {"currency": {"eq": "EUR"}}, "steps": "none"},
        ],
    }

    fields = [fault.field for fault in routing.faults(policy, ROLES)]

    assert fields == [
        "defaults",
        "chains.0.id",
        "chains.0.when.amount",
        "chains.0.steps.1.id",
        "chains.1.steps.0.approvers.role",
        "chains.1.steps.0.need",
        "chains.1.steps.1.parallel_with",
        "chains.1.steps.1.timeout",
        "chains.1.steps.1.approvers",
        "chains.1.steps.1.need",
        "chains.2.steps",
        "chains.2.id",
        "chains.2.when",
    ]


def test_a_chain_whose_every_step_may_be_skipped_is_refused() -> None:
    conditional = FINANCE | {"when": {"amount_base": {"gt": 5}}}

    faults = routing.faults({"chains": [{"id": "default", "when": {}, "steps": [conditional]}]}, ROLES)

    assert [fault.field for fault in faults] == ["chains.0.steps"]


def test_a_policy_of_a_hundred_chains_is_the_largest() -> None:
    chains = [DEFAULT | {"id": f"c{number}"} for number in range(101)]

    assert routing.faults({"chains": chains[:100]}, ROLES) == []
    assert routing.faults({"chains": chains}, ROLES) == [Fault("chains", "takes at most 100 chains")]


def test_what_is_no_policy_at_all_is_refused_without_falling_over() -> None:
    broken: list[Any] = [None, [], {"chains": None}, {"chains": [None]}, {"chains": [{"id": 1, "steps": [7]}]}]
    for content in broken:
        assert routing.faults(content, ROLES)


def test_the_content_hash_is_the_sha256_of_canonical_json() -> None:
    # printf '%s' '{"amount":"12.50","payee":"Caf\u00e9"}' | sha256sum
    assert routing.content_hash({"payee": "Café", "amount": "12.50"}) == (
        "sha256:c5b832c9ef53cc687b184cdbd0a66615126868ef39247bafcb58d77894abd2ad"
    )


def test_a_condition_is_said_in_one_line() -> None:
    condition = {"all": [{"amount_base": {"gt": 100}}, {"not": {"category": {"in": ["6210", "6220"]}}}]}

    assert routing.in_words(condition) == "(amount_base gt 100) and (not (category in 6210, 6220))"
    assert routing.in_words({}) == "always"


CONDITIONS = st.recursive(
    st.just({}) | st.builds(lambda op, n: {"amount_base": {op: n}}, st.sampled_from(["gt", "lte"]), st.integers()),
    lambda inner: (
        st.builds(lambda key, parts: {key: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=5,
)
STEPS = st.lists(st.builds(lambda when: FINANCE | {"when": when}, CONDITIONS), max_size=3)


@given(parts=st.lists(st.tuples(CONDITIONS, STEPS), max_size=4), amount=st.integers())
def test_a_policy_without_faults_routes_every_subject_and_asks_somebody_or_has_an_empty_chain(
    parts: list[tuple[dict[str, Any], list[dict[str, Any]]]], amount: int
) -> None:
    chains = [
        {"id": f"c{at}", "when": when, "steps": [step | {"id": f"s{n}"} for n, step in enumerate(steps)]}
        for at, (when, steps) in enumerate(parts)
    ]
    policy = {"chains": [*chains, DEFAULT]}

    if not routing.faults(policy, ROLES):
        route = routing.route(policy, {"amount_base": amount})
        assert route.is_approved_by_policy or any(step.skipped is None for step in route.steps)
