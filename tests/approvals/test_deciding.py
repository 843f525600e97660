"""What a person's word does to a request."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import deciding
from approvals.deciding import (
    Accepted,
    Decided,
    Refusal,
    Refused,
    RequestState,
    Snapshot,
    Step,
    StepState,
    Verdict,
    Word,
)

HASH = "sha256:aa"


def step(name: str, role: str, need: int, *approvers: str, state: StepState = StepState.WAITING) -> Step:
    return Step(name, role, need, frozenset(approvers), state)


def request(*steps: Step) -> Snapshot:
    return Snapshot(RequestState.OPEN, deciding.opened(steps), (), HASH, HASH, frozenset({"maker"}), 1)


def word(actor: str, role: str = "finance", verdict: Verdict = Verdict.APPROVE, version: int = 1) -> Word:
    return Word(actor, frozenset({role}), verdict, version)


def moved_on(before: Snapshot, said: Word) -> Snapshot:
    outcome = deciding.after(before, said)
    if isinstance(outcome, Refused):
        return before
    decided = Decided(outcome.step_id, said.actor_id, said.verdict)
    return replace(
        before,
        state=outcome.state,
        steps=outcome.steps,
        decisions=(*before.decisions, decided),
        version=before.version + 1,
    )


def test_one_approval_of_the_only_step_approves() -> None:
    outcome = deciding.after(request(step("finance", "finance", 1, "ann")), word("ann"))

    assert isinstance(outcome, Accepted)
    assert (outcome.state, outcome.steps[0].state) == (RequestState.APPROVED, StepState.PASSED)


def test_a_step_that_needs_two_waits_for_the_second_person() -> None:
    once = moved_on(request(step("finance", "finance", 2, "ann", "bob")), word("ann"))

    assert once.state is RequestState.OPEN
    assert moved_on(once, word("bob", version=2)).state is RequestState.APPROVED


def test_steps_follow_one_another_and_a_skipped_one_is_passed_over() -> None:
    before = request(
        step("finance", "finance", 1, "ann"),
        step("legal", "manager", 1, state=StepState.SKIPPED),
        step("chief", "admin", 1, "eve"),
    )

    once = moved_on(before, word("ann"))

    assert deciding.after(before, word("eve", "admin")) == Refused(Refusal.NOT_AN_APPROVER)
    assert [each.state for each in once.steps] == [StepState.PASSED, StepState.SKIPPED, StepState.ACTIVE]
    assert moved_on(once, word("eve", "admin", version=2)).state is RequestState.APPROVED


def test_a_rejection_ends_the_request_whatever_was_approved_before() -> None:
    once = moved_on(request(step("finance", "finance", 2, "ann", "bob")), word("ann"))

    ended = moved_on(once, word("bob", verdict=Verdict.REJECT, version=2))

    assert (ended.state, ended.steps[0].state) == (RequestState.REJECTED, StepState.REJECTED)


@pytest.mark.parametrize(
    ("change", "said", "reason"),
    [
        ({"state": RequestState.VOIDED}, word("ann"), Refusal.NOT_OPEN),
        ({"barred": frozenset({"ann"})}, word("ann"), Refusal.BARRED),
        ({"decisions": (Decided("earlier", "ann", Verdict.APPROVE),)}, word("ann"), Refusal.ALREADY_DECIDED),
        ({}, word("eve"), Refusal.NOT_AN_APPROVER),
        ({}, word("ann", role="manager"), Refusal.NOT_AN_APPROVER),
        ({"present_hash": "sha256:bb"}, word("ann"), Refusal.CONTENT_CHANGED),
        ({}, replace(word("ann"), content_hash="sha256:bb"), Refusal.CONTENT_CHANGED),
        ({"version": 2}, word("ann"), Refusal.VERSION_MOVED),
    ],
)
def test_a_word_that_does_not_count_is_refused_with_its_reason(
    change: dict[str, object], said: Word, reason: Refusal
) -> None:
    before = request(step("finance", "finance", 1, "ann"))

    assert deciding.after(replace(before, **change), said) == Refused(reason)  # type: ignore[arg-type]  # by name


def test_what_too_few_people_can_pass_is_counted() -> None:
    before = request(
        step("finance", "finance", 2, "ann", "bob"), step("manager", "manager", 1, "ann"), step("chief", "admin", 1)
    )
    once = moved_on(before, word("ann"))

    assert [deciding.missing(before, each) for each in before.steps] == [0, 0, 1]
    assert [deciding.missing(once, each) for each in once.steps] == [0, 1, 1]


PEOPLE = ["ann", "bob", "cid", "maker"]
ROLE_SETS = st.frozensets(st.sampled_from(["finance", "manager", "admin"]), min_size=1)
STEPS = st.lists(
    st.builds(
        lambda role, need, approvers, skipped: (role, need, approvers, skipped),
        st.sampled_from(["finance", "manager", "admin"]),
        st.integers(1, 3),
        st.frozensets(st.sampled_from(PEOPLE)),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
WORDS = st.lists(
    st.tuples(st.sampled_from(PEOPLE), ROLE_SETS, st.sampled_from([*Verdict, Verdict.APPROVE, Verdict.APPROVE])),
    max_size=25,
)


@given(chain=STEPS, words=WORDS)
def test_no_sequence_of_words_counts_one_person_twice_or_approves_short_of_need_or_after_a_rejection(
    chain: list[tuple[str, int, frozenset[str], bool]], words: list[tuple[str, frozenset[str], Verdict]]
) -> None:
    now = request(
        *(
            step(f"s{at}", role, need, *people, state=StepState.SKIPPED if skipped else StepState.WAITING)
            for at, (role, need, people, skipped) in enumerate(chain)
        )
    )

    for actor, roles, verdict in words:
        now = moved_on(now, Word(actor, roles, verdict, now.version))

        decided = [each.actor_id for each in now.decisions]
        assert len(decided) == len(set(decided))
        assert "maker" not in decided
        assert sum(each.state is StepState.ACTIVE for each in now.steps) <= 1
        rejected = any(each.verdict is Verdict.REJECT for each in now.decisions)
        assert (now.state is RequestState.REJECTED) == rejected
        if now.state is RequestState.APPROVED:
            for each in now.steps:
                assert each.state is StepState.SKIPPED or deciding.approvals_at(now, each.id) >= each.need
