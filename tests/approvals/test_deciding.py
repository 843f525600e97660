"""What a person's word does to a request."""

from dataclasses import replace
from typing import Any

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


def step(name: str, stage: int, need: int, *approvers: str, state: StepState = StepState.WAITING) -> Step:
    return Step(name, stage, need, frozenset(approvers), state)


def request(*steps: Step) -> Snapshot:
    return Snapshot(RequestState.OPEN, deciding.opened(steps), (), HASH, HASH, frozenset({"maker"}), 1)


def word(actor: str, verdict: Verdict = Verdict.APPROVE, version: int = 1, **more: Any) -> Word:
    return Word(actor, verdict, version, **more)


def moved_on(before: Snapshot, said: Word) -> Snapshot:
    outcome = deciding.after(before, said)
    if isinstance(outcome, Refused):
        return before
    decided = Decided(outcome.step_id, said.actor_id, said.verdict, outcome.on_behalf_of)
    return replace(
        before,
        state=outcome.state,
        steps=outcome.steps,
        decisions=(*before.decisions, decided),
        version=before.version + 1,
    )


def states(request: Snapshot) -> list[StepState]:
    return [each.state for each in request.steps]


def test_one_approval_of_the_only_step_approves() -> None:
    outcome = deciding.after(request(step("finance", 1, 1, "ann")), word("ann"))

    assert isinstance(outcome, Accepted)
    assert (outcome.state, outcome.steps[0].state) == (RequestState.APPROVED, StepState.PASSED)


def test_a_step_that_needs_two_waits_for_the_second_person() -> None:
    once = moved_on(request(step("finance", 1, 2, "ann", "bob")), word("ann"))

    assert once.state is RequestState.OPEN
    assert moved_on(once, word("bob", version=2)).state is RequestState.APPROVED


def test_steps_follow_one_another_and_a_skipped_one_is_passed_over() -> None:
    before = request(
        step("finance", 1, 1, "ann"), step("legal", 2, 1, state=StepState.SKIPPED), step("chief", 3, 1, "eve")
    )

    once = moved_on(before, word("ann"))

    assert deciding.after(before, word("eve")) == Refused(Refusal.NOT_AN_APPROVER)
    assert states(once) == [StepState.PASSED, StepState.SKIPPED, StepState.ACTIVE]
    assert moved_on(once, word("eve", version=2)).state is RequestState.APPROVED


def test_steps_of_one_stage_stand_open_together_and_the_next_stage_waits_for_all_of_them() -> None:
    before = request(step("finance", 1, 1, "ann"), step("legal", 1, 1, "lex"), step("chief", 2, 1, "eve"))

    once = moved_on(before, word("lex"))
    twice = moved_on(once, word("ann", version=2))

    assert states(before) == [StepState.ACTIVE, StepState.ACTIVE, StepState.WAITING]
    assert states(once) == [StepState.ACTIVE, StepState.PASSED, StepState.WAITING]
    assert (twice.state, states(twice)) == (
        RequestState.OPEN,
        [StepState.PASSED, StepState.PASSED, StepState.ACTIVE],
    )


def test_who_may_decide_two_open_steps_counts_where_people_are_scarce_unless_he_names_one() -> None:
    before = request(step("finance", 1, 1, "ann", "bob"), step("legal", 1, 1, "ann"))

    scarce, named = deciding.after(before, word("ann")), deciding.after(before, word("ann", step_id="finance"))

    assert isinstance(scarce, Accepted)
    assert isinstance(named, Accepted)
    assert (scarce.step_id, named.step_id) == ("legal", "finance")


def test_a_rejection_ends_the_request_whatever_was_approved_before() -> None:
    once = moved_on(request(step("finance", 1, 2, "ann", "bob")), word("ann"))

    ended = moved_on(once, word("bob", Verdict.REJECT, version=2))

    assert (ended.state, ended.steps[0].state) == (RequestState.REJECTED, StepState.REJECTED)


def test_a_delegate_speaks_for_his_principal_and_both_have_had_their_say() -> None:
    before = request(step("finance", 1, 2, "ann", "bob", "cid"))

    once = moved_on(before, word("dan", principals=frozenset({"ann"})))

    assert once.decisions == (Decided("finance", "dan", Verdict.APPROVE, "ann"),)
    assert deciding.after(once, word("ann", version=2)) == Refused(Refusal.ALREADY_DECIDED)
    assert deciding.after(once, word("dan", version=2, principals=frozenset({"bob"}))) == Refused(
        Refusal.ALREADY_DECIDED
    )
    assert moved_on(once, word("bob", version=2)).state is RequestState.APPROVED


def test_an_approver_who_is_a_delegate_too_speaks_for_himself_unless_he_says_otherwise() -> None:
    before = request(step("finance", 1, 2, "ann", "bob"))
    principals = frozenset({"ann"})

    himself = deciding.after(before, word("bob", principals=principals))
    for_ann = deciding.after(before, word("bob", principals=principals, on_behalf_of="ann"))

    assert isinstance(himself, Accepted)
    assert isinstance(for_ann, Accepted)
    assert (himself.on_behalf_of, for_ann.on_behalf_of) == (None, "ann")
    assert moved_on(before, word("bob", principals=principals, on_behalf_of="ann")).used == {"ann", "bob"}


def test_nobody_speaks_for_the_maker_or_for_one_who_has_not_delegated() -> None:
    before = request(step("finance", 1, 1, "ann", "maker"))

    assert deciding.after(before, word("dan", on_behalf_of="ann")) == Refused(Refusal.NOT_DELEGATED)
    assert deciding.after(before, word("dan", on_behalf_of="maker", principals=frozenset({"maker"}))) == Refused(
        Refusal.BARRED
    )
    assert deciding.after(before, word("maker", on_behalf_of="ann", principals=frozenset({"ann"}))) == Refused(
        Refusal.BARRED
    )


def test_an_admin_forces_his_own_word_alone_and_the_quorum_stays_what_it_is() -> None:
    before = request(step("finance", 1, 2, "ann"))

    once = moved_on(before, word("ada", is_forced=True, may_force=True))

    assert deciding.after(before, word("ada", is_forced=True)) == Refused(Refusal.NOT_AN_APPROVER)
    assert deciding.after(before, word("maker", is_forced=True, may_force=True)) == Refused(Refusal.BARRED)
    assert (once.state, deciding.approvals_at(once, "finance")) == (RequestState.OPEN, 1)
    assert moved_on(once, word("ann", version=2)).state is RequestState.APPROVED


@pytest.mark.parametrize(
    ("change", "said", "reason"),
    [
        ({"state": RequestState.VOIDED}, word("ann"), Refusal.NOT_OPEN),
        ({"barred": frozenset({"ann"})}, word("ann"), Refusal.BARRED),
        ({"decisions": (Decided("earlier", "ann", Verdict.APPROVE),)}, word("ann"), Refusal.ALREADY_DECIDED),
        ({"decisions": (Decided("earlier", "dan", Verdict.APPROVE, "ann"),)}, word("ann"), Refusal.ALREADY_DECIDED),
        ({}, word("eve"), Refusal.NOT_AN_APPROVER),
        ({}, word("ann", step_id="chief"), Refusal.NOT_AN_APPROVER),
        ({"present_hash": "sha256:bb"}, word("ann"), Refusal.CONTENT_CHANGED),
        ({}, replace(word("ann"), content_hash="sha256:bb"), Refusal.CONTENT_CHANGED),
        ({"version": 2}, word("ann"), Refusal.VERSION_MOVED),
    ],
)
def test_a_word_that_does_not_count_is_refused_with_its_reason(
    change: dict[str, object], said: Word, reason: Refusal
) -> None:
    before = request(step("finance", 1, 1, "ann"))

    assert deciding.after(replace(before, **change), said) == Refused(reason)  # type: ignore[arg-type]  # by name


def test_an_approver_who_has_lost_what_made_him_one_decides_no_more() -> None:
    lost = replace(step("finance", 1, 1, "ann", "bob"), unable=frozenset({"ann"}))

    assert deciding.after(request(lost), word("ann")) == Refused(Refusal.NOT_AN_APPROVER)


def test_what_too_few_people_can_pass_is_counted() -> None:
    before = request(step("finance", 1, 2, "ann", "bob"), step("manager", 2, 1, "ann"), step("chief", 3, 1))
    once = moved_on(before, word("ann"))

    assert [deciding.missing(before, each) for each in before.steps] == [0, 0, 1]
    assert [deciding.missing(once, each) for each in once.steps] == [0, 1, 1]


PEOPLE = ["ann", "bob", "cid", "dan", "maker"]
SOME = st.frozensets(st.sampled_from(PEOPLE))
# Mostly everybody may: among sets of chance alone few paths come to a second word of anybody.
MOST = st.just(frozenset(PEOPLE)) | SOME
STEPS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 3), MOST, st.just(frozenset[str]()) | SOME, st.booleans()),
    min_size=1,
    max_size=4,
)
WORDS = st.lists(
    st.builds(
        lambda actor, verdict, principals, behalf, forced, may: (actor, verdict, principals, behalf, forced, may),
        st.sampled_from(PEOPLE),
        st.sampled_from([Verdict.APPROVE] * 9 + [Verdict.REJECT]),
        MOST,
        st.none() | st.sampled_from(PEOPLE),
        st.sampled_from([True, False, False, False]),
        st.booleans(),
    ),
    max_size=25,
)


@given(chain=STEPS, words=WORDS)
def test_no_path_of_words_counts_a_human_twice_or_approves_without_every_steps_quorum(
    chain: list[tuple[int, int, frozenset[str], frozenset[str], bool]],
    words: list[tuple[str, Verdict, frozenset[str], str | None, bool, bool]],
) -> None:
    now = request(
        *(
            replace(
                step(f"s{at}", stage, need, *people, state=StepState.SKIPPED if skipped else StepState.WAITING),
                unable=unable,
            )
            for at, (stage, need, people, unable, skipped) in enumerate(chain)
        )
    )
    eligible: dict[str, frozenset[str]] = {each.id: each.able for each in now.steps}
    forced: set[str] = set()

    for actor, verdict, principals, behalf, is_forced, may_force in words:
        before = now
        said = Word(
            actor, verdict, now.version, principals=principals - {actor}, is_forced=is_forced, may_force=may_force,
            on_behalf_of=None if is_forced or behalf == actor else behalf,
        )  # fmt: skip
        now = moved_on(now, said)
        if now is not before and is_forced:
            assert may_force
            forced.add(actor)

        humans = [human for each in now.decisions for human in (each.actor_id, each.on_behalf_of) if human]
        assert len(humans) == len(set(humans))
        assert "maker" not in humans
        assert len({each.stage for each in now.steps if each.state is StepState.ACTIVE}) <= 1
        rejected = any(each.verdict is Verdict.REJECT for each in now.decisions)
        assert (now.state is RequestState.REJECTED) == rejected
        if now.state is RequestState.APPROVED:
            for each in now.steps:
                voices = {
                    said.on_behalf_of or said.actor_id
                    for said in now.decisions
                    if said.step_id == each.id and said.verdict is Verdict.APPROVE
                }
                assert each.state is StepState.SKIPPED or len(voices) >= each.need
                assert voices <= eligible[each.id] | forced
