"""The table of a payout's moves, without a database."""

import pytest

from core.errors import Conflict
from payouts.states import ENDED, MOVES, ON_THE_WAY, PayoutState, check_move


def test_every_state_is_in_the_table_and_every_one_can_be_reached() -> None:
    reached = {PayoutState.DRAFT}
    while True:
        more = reached | {after for before in reached for after in MOVES[before]}
        if more == reached:
            break
        reached = more

    assert set(MOVES) == set(PayoutState) == reached


def test_a_payment_without_an_answer_never_goes_back_to_a_batch() -> None:
    for state in ON_THE_WAY:
        assert PayoutState.BATCHED not in MOVES[state]
        assert PayoutState.APPROVED not in MOVES[state]
    assert MOVES[PayoutState.UNKNOWN] == {PayoutState.SETTLED, PayoutState.FAILED, PayoutState.RETURNED}


def test_what_has_ended_stays_so_and_what_is_settled_can_only_come_back() -> None:
    assert all(not MOVES[state] for state in ENDED)
    assert MOVES[PayoutState.SETTLED] == {PayoutState.RETURNED}
    # A second payment of what came back is asked about anew.
    assert MOVES[PayoutState.RETURNED] == {PayoutState.PENDING}


@pytest.mark.parametrize("before", list(PayoutState))
def test_a_move_that_is_not_in_the_table_is_a_conflict(before: PayoutState) -> None:
    for after in PayoutState:
        if after in MOVES[before]:
            check_move("pay_1", before, after)
        else:
            with pytest.raises(Conflict, match=f"pay_1 is {before}"):
                check_move("pay_1", before, after)
