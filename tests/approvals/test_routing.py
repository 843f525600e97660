"""Which chain a subject takes, and what a policy may say."""

import json
from typing import Any

from approvals import routing

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


def test_the_content_hash_is_the_sha256_of_canonical_json() -> None:
    # printf '%s' '{"amount":"12.50","payee":"Caf\u00e9"}' | sha256sum
    assert routing.content_hash({"payee": "Café", "amount": "12.50"}) == (
        "sha256:c5b832c9ef53cc687b184cdbd0a66615126868ef39247bafcb58d77894abd2ad"
    )


def test_a_condition_is_said_in_one_line() -> None:
    condition = {"all": [{"amount_base": {"gt": 100}}, {"not": {"category": {"in": ["6210", "6220"]}}}]}

    assert routing.in_words(condition) == "(amount_base gt 100) and (not (category in 6210, 6220))"
    assert routing.in_words({}) == "always"


def test_steps_joined_by_parallel_with_are_one_stage_and_stages_follow_their_first_step() -> None:
    steps = [
        FINANCE | {"id": "a"},
        FINANCE | {"id": "b"},
        FINANCE | {"id": "c", "parallel_with": "a"},
        FINANCE | {"id": "d", "parallel_with": "c"},
        FINANCE | {"id": "e"},
    ]

    assert routing.stages(steps) == [1, 2, 1, 1, 3]


def test_a_step_says_its_own_time_and_whom_it_escalates_to_or_takes_the_policys() -> None:
    own = FINANCE | {"id": "own", "timeout": "30m", "escalate": {"group": "deputies"}}
    policy = {
        "defaults": {"timeout": "2d", "escalate": {"role": "manager"}},
        "chains": [DEFAULT | {"steps": [FINANCE, own]}],
    }

    given, said = routing.route(policy, {}).steps
    [bare] = routing.route({"chains": [DEFAULT]}, {}).steps

    assert (given.timeout_s, given.escalate) == (172_800, {"role": "manager"})
    assert (said.timeout_s, said.escalate) == (1800, {"group": "deputies"})
    assert (bare.timeout_s, bare.escalate) == (None, {"role": "admin"})
