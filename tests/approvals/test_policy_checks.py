"""What a policy may say, and what is told about one that may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import policy_checks, routing
from approvals.policy_checks import Roster
from core.errors import Fault

ROSTER = Roster(
    roles={
        "finance": frozenset({"ann", "bob"}),
        "manager": frozenset({"eve"}),
        "admin": frozenset({"ada", "alf"}),
    },
    groups={"legal": frozenset({"eve"})},
    limited=frozenset({"ann"}),
)
FINANCE: dict[str, Any] = {"id": "finance", "approvers": {"role": "finance"}, "need": 1}
DEFAULT: dict[str, Any] = {"id": "default", "when": {}, "steps": [FINANCE]}


def fields(content: object, roster: Roster = ROSTER) -> list[str]:
    return [fault.field for fault in policy_checks.faults(content, roster)]


def of_step(**parts: Any) -> list[Fault]:
    chain = DEFAULT | {"steps": [FINANCE | parts]}
    return policy_checks.faults({"chains": [chain]}, ROSTER)


def test_the_policy_of_the_design_is_without_fault() -> None:
    policy = {
        "defaults": {
            "separation": ["creator", "payee_editor", "batch_releaser"], "on_change": "restart", "timeout": "48h",
        },
        "chains": [
            {
                "id": "micro",
                "when": {"all": [
                    {"amount_base": {"lte": 10000}}, {"affiliate.status": {"eq": "trusted"}},
                    {"affiliate.bank_changed_days": {"gte": 30}}, {"assurance": {"in": ["A"]}},
                ]},
                "steps": [],
            },
            {
                "id": "large",
                "when": {"all": [{"amount_base": {"gt": 100000}}]},
                "steps": [
                    {"id": "manager", "approvers": {"role": "manager"}, "need": 1},
                    {"id": "finance", "approvers": {"role": "finance"}, "need": 2, "parallel_with": "legal"},
                    {"id": "legal", "approvers": {"group": "legal"}, "need": 1,
                     "when": {"category": {"in": ["influencer"]}}},
                    {"id": "cfo", "approvers": {"limit_covers": "amount_base"}, "need": 1,
                     "when": {"amount_base": {"gt": 1000000}}, "timeout": "24h", "escalate": {"role": "admin"}},
                ],
            },
            DEFAULT,
        ],
    }  # fmt: skip

    assert policy_checks.faults(policy, ROSTER) == []


def test_every_fault_of_a_policy_is_told_at_once() -> None:
    policy = {
        "defaults": {"separation": ["creator"], "on_change": "go on", "timeout": "soon", "escalate": {"role": "x"}},
        "extra": 1,
        "chains": [
            {"id": "Big Ones", "when": {"amount": {"gt": 1}}, "steps": [FINANCE, FINANCE]},
            {
                "id": "b",
                "when": {"amount_base": {"gt": 10, "lt": 5}},
                "steps": [
                    {"id": "a", "approvers": {"role": "auditor"}, "need": 0, "parallel_with": "c"},
                    {"id": "c", "approvers": {"group": "tax"}, "need": True, "parallel_with": "a", "timeout": 48},
                    {"id": "d", "approvers": {"role": "finance"}, "need": 3, "parallel_with": "z", "colour": "red"},
                    {"id": "e", "approvers": {"limit_covers": "currency"}, "need": 1, "escalate": {"role": "nobody"}},
                ],
            },
            {"id": "b", "when": {"currency": {"eq": "EUR"}}, "steps": "none"},
        ],
    }

    assert fields(policy) == [
        "extra",
        "defaults.separation",
        "defaults.on_change",
        "defaults.timeout",
        "defaults.escalate.role",
        "chains.0.id",
        "chains.0.when.amount",
        "chains.0.steps.1.id",
        "chains.1.when.amount_base.lt",
        "chains.1.steps.0.approvers.role",
        "chains.1.steps.0.need",
        "chains.1.steps.1.approvers.group",
        "chains.1.steps.1.need",
        "chains.1.steps.1.timeout",
        "chains.1.steps.2.colour",
        "chains.1.steps.2.need",
        "chains.1.steps.3.approvers.limit_covers",
        "chains.1.steps.3.escalate.role",
        "chains.1.steps.0.parallel_with",
        "chains.1.steps.1.parallel_with",
        "chains.1.steps.2.parallel_with",
        "chains.2.steps",
        "chains.2.id",
        "chains.2.when",
    ]


def test_more_approvals_than_there_are_people_can_never_be() -> None:
    assert of_step(need=2) == []
    assert of_step(need=3) == [Fault("chains.0.steps.0.need", "is 3, and the role finance comes to 2 people today")]


def test_steps_that_only_the_same_people_could_pass_are_told_together() -> None:
    steps = [FINANCE | {"id": "first", "need": 1}, FINANCE | {"id": "second", "need": 2}]

    assert policy_checks.faults({"chains": [DEFAULT | {"steps": steps}]}, ROSTER) == [
        Fault("chains.0.steps", "take 3 different people in all, and 2 can be found today")
    ]


def test_a_step_that_contradicts_its_chain_can_never_apply() -> None:
    chain = {
        "id": "small",
        "when": {"amount_base": {"lte": 500}},
        "steps": [FINANCE, FINANCE | {"id": "chief", "when": {"amount_base": {"gt": 1000}}}],
    }

    assert fields({"chains": [chain, DEFAULT]}) == ["chains.0.steps.1.when.amount_base.gt"]


def test_a_chain_behind_one_that_takes_everything_is_never_reached() -> None:
    same = {"id": "eur", "when": {"currency": {"eq": "EUR"}}, "steps": [FINANCE]}

    assert fields({"chains": [DEFAULT | {"id": "early"}, DEFAULT]}) == ["chains.1.when"]
    assert fields({"chains": [same, same | {"id": "again"}, DEFAULT]}) == ["chains.1.when"]


def test_a_chain_whose_every_step_may_be_skipped_is_refused() -> None:
    assert [fault.field for fault in of_step(when={"amount_base": {"gt": 5}})] == ["chains.0.steps"]


def test_a_step_does_not_escalate_to_those_it_asks_already() -> None:
    assert [fault.field for fault in of_step(escalate={"role": "finance"})] == ["chains.0.steps.0.escalate"]


@pytest.mark.parametrize(("others", "path"), [({"b": "b"}, [1]), ({"b": "c", "c": "b"}, [1, 2])])
def test_parallel_steps_that_go_round_in_a_circle_are_each_told(others: dict[str, str], path: list[int]) -> None:
    steps = [FINANCE | {"id": "a"}, *(FINANCE | {"id": name, "parallel_with": to} for name, to in others.items())]

    found = [each for each in fields({"chains": [DEFAULT | {"steps": steps}]}) if each.endswith("parallel_with")]

    assert found == [f"chains.0.steps.{position}.parallel_with" for position in path]


def test_delegations_that_make_a_chain_are_told_with_the_policy() -> None:
    looped = Roster(ROSTER.roles, delegations=[("ann", "bob"), ("bob", "ann"), ("eve", "ada")])

    assert fields({"chains": [DEFAULT]}, looped) == ["delegations", "delegations"]


def test_a_policy_of_a_hundred_chains_is_the_largest() -> None:
    chains = [{"id": f"c{at}", "when": {"amount_base": {"gt": at}}, "steps": [FINANCE]} for at in range(100)]

    assert policy_checks.faults({"chains": [*chains[:99], DEFAULT]}, ROSTER) == []
    assert policy_checks.faults({"chains": [*chains, DEFAULT]}, ROSTER) == [Fault("chains", "takes at most 100 chains")]


def test_what_is_no_policy_at_all_is_refused_without_falling_over() -> None:
    broken: list[Any] = [
        None, [], {"chains": None}, {"chains": [None]}, {"chains": [{"id": 1, "steps": [7]}]},
        {"chains": [{"id": "a", "when": 3, "steps": [{"id": [], "approvers": {}, "parallel_with": {}}]}]},
        {"defaults": [], "chains": [DEFAULT]},
    ]  # fmt: skip
    for content in broken:
        assert policy_checks.faults(content, ROSTER)


CONDITIONS = st.recursive(
    st.just({}) | st.builds(lambda op, n: {"amount_base": {op: n}}, st.sampled_from(["gt", "lte"]), st.integers()),
    lambda inner: (
        st.builds(lambda key, parts: {key: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=5,
)
STEPS = st.lists(st.builds(lambda when: FINANCE | {"when": when}, CONDITIONS), max_size=2)


@given(parts=st.lists(st.tuples(CONDITIONS, STEPS), max_size=4), amount=st.integers())
def test_a_policy_without_faults_routes_every_subject_and_asks_somebody_or_has_an_empty_chain(
    parts: list[tuple[dict[str, Any], list[dict[str, Any]]]], amount: int
) -> None:
    chains = [
        {"id": f"c{at}", "when": when, "steps": [step | {"id": f"s{n}"} for n, step in enumerate(steps)]}
        for at, (when, steps) in enumerate(parts)
    ]
    policy = {"chains": [*chains, DEFAULT]}

    if not policy_checks.faults(policy, ROSTER):
        route = routing.route(policy, {"amount_base": amount})
        assert route.is_approved_by_policy or any(step.skipped is None for step in route.steps)
