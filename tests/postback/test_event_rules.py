"""What people may do to a conversion, and when a conversion counts for its click."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback import attribution, event_rules
from postback.content import Meaning
from postback.event_rules import Act, Change, HoldReason, NotAllowed, State

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
