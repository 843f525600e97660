"""What people may do to a conversion, and when a conversion counts for its click."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback import attribution, event_rules
from postback.content import Duplicates, Meaning
from postback.event_rules import Act, Change, EventKind, HoldReason, MoneyChange, NotAllowed, Repeat, Standing, State

CLICKED = datetime(2026, 1, 1, tzinfo=UTC)


def test_approving_clears_a_hold_and_leaves_the_state() -> None:
    for state in (State.UNMATCHED, State.RECORDED, State.ACCRUED):
        assert event_rules.after(state, Act.APPROVE, is_held=True) == Change(event_rules.EventKind.APPROVED, state)


def test_what_is_not_held_needs_no_approval() -> None:
    for state in (State.UNMATCHED, State.RECORDED, State.ACCRUED):
        assert isinstance(event_rules.after(state, Act.APPROVE, is_held=False), NotAllowed)


@pytest.mark.parametrize("is_held", [True, False])
def test_rejecting_ends_what_is_not_accrued_and_says_that_the_rest_needs_a_refund(*, is_held: bool) -> None:
    for state in (State.UNMATCHED, State.RECORDED):
        after = event_rules.after(state, Act.REJECT, is_held=is_held)
        assert isinstance(after, Change)
        assert after.state is State.REJECTED
    accrued = event_rules.after(State.ACCRUED, Act.REJECT, is_held=is_held)
    assert isinstance(accrued, NotAllowed)
    assert "refund" in accrued.reason


@given(state=st.sampled_from(State), act=st.sampled_from(Act), is_held=st.booleans())
def test_every_case_is_decided_and_a_rejection_is_final(state: State, act: Act, *, is_held: bool) -> None:
    after = event_rules.after(state, act, is_held=is_held)

    assert isinstance(after, Change | NotAllowed)
    if state is State.REJECTED:
        assert isinstance(after, NotAllowed)


def test_late_weighs_more_than_outside_the_window() -> None:
    held = event_rules.hold_reason
    assert held(Meaning.PENDING, is_late=True, is_outside_window=True) is HoldReason.LATE
    assert held(Meaning.PENDING, is_late=False, is_outside_window=True) is HoldReason.OUTSIDE_WINDOW
    assert held(Meaning.PENDING, is_late=False, is_outside_window=False) is HoldReason.PENDING
    assert held(Meaning.UNKNOWN, is_late=False, is_outside_window=False) is HoldReason.UNKNOWN_STATUS
    assert held(Meaning.APPROVED, is_late=False, is_outside_window=False) is None


@pytest.mark.parametrize(
    ("after_click", "is_outside"),
    [
        (timedelta(days=30), False),
        (timedelta(days=30, microseconds=1), True),
        (timedelta(seconds=-120), False),
        (timedelta(seconds=-120, microseconds=-1), True),
    ],
)
def test_the_attribution_window_has_its_ends_in(after_click: timedelta, *, is_outside: bool) -> None:
    assert (
        attribution.is_outside_window(occurred_at=CLICKED + after_click, clicked_at=CLICKED, window_days=30)
        is is_outside
    )


FINAL = {State.REJECTED, State.REVERSED, State.TEST}
STANDINGS = st.builds(
    Standing, st.sampled_from(State), is_pending=st.booleans(), is_same_money=st.booleans(), is_part=st.booleans()
)


@given(standing=STANDINGS, meaning=st.sampled_from(Meaning), policy=st.sampled_from(Duplicates))
def test_every_repeat_is_answered_and_none_leaves_a_final_state_for_one_that_is_paid(
    standing: Standing, meaning: Meaning, policy: Duplicates
) -> None:
    change = event_rules.on_repeat(standing, meaning, policy)

    if change is None:
        return
    if standing.state in FINAL:
        assert change.state is standing.state
        assert change.money is MoneyChange.KEEP
    if meaning in {Meaning.PENDING, Meaning.UNKNOWN, Meaning.IGNORED}:
        pytest.fail("a word that decides nothing changed something")
    if change.state is State.ACCRUED:
        assert standing.state is State.ACCRUED


@pytest.mark.parametrize("policy", Duplicates)
@pytest.mark.parametrize(
    ("state", "meaning", "expected"),
    [
        (State.RECORDED, Meaning.REFUNDED, Repeat(EventKind.REFUNDED, State.REVERSED)),
        (State.ACCRUED, Meaning.CHARGED_BACK, Repeat(EventKind.CHARGED_BACK, State.REVERSED)),
        (State.REVERSED, Meaning.CHARGED_BACK, Repeat(EventKind.CHARGED_BACK, State.REVERSED)),
        (State.REVERSED, Meaning.APPROVED, None),
        (State.REJECTED, Meaning.REFUNDED, None),
        (State.TEST, Meaning.REFUNDED, None),
    ],
)
def test_what_is_taken_back_depends_on_no_policy(
    state: State, meaning: Meaning, expected: Repeat | None, policy: Duplicates
) -> None:
    standing = Standing(state, is_pending=False, is_same_money=True, is_part=False)

    assert event_rules.on_repeat(standing, meaning, policy) == expected


@pytest.mark.parametrize("policy", Duplicates)
def test_a_rejection_is_the_networks_to_say_where_status_may_change_or_is_awaited(policy: Duplicates) -> None:
    def rejected(state: State, *, is_pending: bool) -> Repeat | None:
        standing = Standing(state, is_pending=is_pending, is_same_money=True, is_part=False)
        return event_rules.on_repeat(standing, Meaning.REJECTED, policy)

    may = policy in {Duplicates.UPDATE, Duplicates.UPDATE_STATUS}
    assert rejected(State.RECORDED, is_pending=True) == Repeat(EventKind.REJECTED, State.REJECTED)
    assert rejected(State.RECORDED, is_pending=False) == (Repeat(EventKind.REJECTED, State.REJECTED) if may else None)
    assert rejected(State.ACCRUED, is_pending=False) == (Repeat(EventKind.REJECTED, State.REVERSED) if may else None)


def test_a_sale_whose_refund_came_first_is_held_for_a_person_before_all_else() -> None:
    held = event_rules.hold_reason
    taken = held(Meaning.PENDING, is_late=True, is_outside_window=True, is_taken_back=True)
    assert taken is HoldReason.CONFLICT
