"""What classes mean, how grave they are, and what may be done about them: every row of the tables."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback.content import Meaning
from postback.event_rules import State
from reports import accounting, taxonomy
from reports.accounting import Moved
from reports.classifying import class_of_status
from reports.matching import (
    STATE_AFTER,
    DiscrepancyClass,
    DiscrepancyState,
    Leg,
    Limits,
    Resolution,
    class_of_conversion,
)
from reports.taxonomy import ALWAYS, GRAVITY, KINDS, Severity, Standing

LIMITS = Limits(pending_days=30)
POSTS = {Resolution.ACCEPT, Resolution.WRITE_OFF}


def standing(
    klass: DiscrepancyClass = DiscrepancyClass.AMOUNT_MISMATCH,
    difference_minor: int | None = -50,
    state: DiscrepancyState = DiscrepancyState.OPEN,
    leg: Leg = Leg.NETWORK,
    *,
    is_posted: bool = False,
) -> Standing:
    return Standing(klass, leg, state, difference_minor, is_posted)


def test_every_class_has_its_sentence_and_every_resolution_its_state() -> None:
    assert set(KINDS) == set(DiscrepancyClass)
    assert len(KINDS) == 18
    assert all(kind.means.endswith(".") for kind in KINDS.values())
    assert all(GRAVITY.index(kind.least) <= GRAVITY.index(kind.most) for kind in KINDS.values())
    assert set(STATE_AFTER) == set(Resolution)


@pytest.mark.parametrize(
    ("klass", "minor", "currency", "severity"),
    [
        (DiscrepancyClass.AMOUNT_MISMATCH, -9999, "EUR", Severity.LOW),
        (DiscrepancyClass.AMOUNT_MISMATCH, -10000, "EUR", Severity.MEDIUM),
        (DiscrepancyClass.AMOUNT_MISMATCH, 100000, "EUR", Severity.HIGH),
        (DiscrepancyClass.AMOUNT_MISMATCH, 99, "JPY", Severity.LOW),
        (DiscrepancyClass.AMOUNT_MISMATCH, 100, "JPY", Severity.MEDIUM),
        (DiscrepancyClass.AMOUNT_MISMATCH, 99999, "KWD", Severity.LOW),
        (DiscrepancyClass.ROUNDING, 100000, "EUR", Severity.INFO),
        (DiscrepancyClass.REVERSED_AFTER_PAYMENT, 1, "EUR", Severity.HIGH),
        (DiscrepancyClass.CURRENCY_MISMATCH, None, None, Severity.MEDIUM),
    ],
)
def test_severity_grows_with_the_amount_within_the_bounds_of_its_class(
    klass: DiscrepancyClass, minor: int | None, currency: str | None, severity: Severity
) -> None:
    assert taxonomy.severity(klass, minor, currency) is severity


def test_what_is_under_way_gone_or_posted_takes_no_other_word() -> None:
    assert "waits for approval" in str(
        taxonomy.refusal(standing(state=DiscrepancyState.RESOLVING), Resolution.EXPLAINED)
    )
    assert "no longer found" in str(taxonomy.refusal(standing(state=DiscrepancyState.GONE), Resolution.EXPLAINED))
    posted = standing(state=DiscrepancyState.RESOLVED, is_posted=True)
    assert "posted already" in str(taxonomy.refusal(posted, Resolution.CARRY_FORWARD))
    assert taxonomy.refusal(standing(state=DiscrepancyState.RESOLVED), Resolution.CARRY_FORWARD) is None


def test_what_is_claimed_is_not_posted_or_claimed_again_before_the_network_has_answered() -> None:
    claimed = replace(standing(state=DiscrepancyState.CARRIED), has_open_claim=True)

    assert taxonomy.allowed(claimed) == [Resolution.EXPLAINED, Resolution.CARRY_FORWARD]
    assert "has not answered" in str(taxonomy.refusal(claimed, Resolution.ACCEPT))


def test_only_a_loss_is_written_off_and_only_a_network_is_claimed_from() -> None:
    assert taxonomy.refusal(standing(), Resolution.WRITE_OFF) is None
    assert "in our favour" in str(taxonomy.refusal(standing(difference_minor=50), Resolution.WRITE_OFF))
    assert taxonomy.refusal(standing(difference_minor=50, leg=Leg.PAYOUT), Resolution.WRITE_OFF) is None
    assert "in our favour" in str(taxonomy.refusal(standing(leg=Leg.PAYOUT), Resolution.WRITE_OFF))
    assert "with the bank" in str(taxonomy.refusal(standing(leg=Leg.PAYOUT), Resolution.CLAIM))
    assert taxonomy.refusal(standing(DiscrepancyClass.LATE), Resolution.CREATE_CONVERSION) == (
        "create_conversion is nothing for late: it takes carry_forward, claim, explained"
    )


@given(
    st.builds(
        Standing,
        st.sampled_from(DiscrepancyClass),
        st.sampled_from(Leg),
        st.sampled_from(DiscrepancyState),
        st.none() | st.integers(-5, 5),
        st.booleans(),
    )
)
def test_what_is_allowed_can_be_posted_and_one_may_always_explain_what_is_open(stands: Standing) -> None:
    allowed = set(taxonomy.allowed(stands))

    assert allowed <= ALWAYS | KINDS[stands.klass].may
    assert not allowed & POSTS or stands.difference_minor
    if stands.state is DiscrepancyState.OPEN and not stands.is_posted:
        assert allowed >= ALWAYS
    for resolution in allowed & POSTS:
        moved = accounting.moved(
            leg=stands.leg, klass=stands.klass, resolution=resolution, bank_account="DE1",
            difference_minor=stands.difference_minor or 0,
        )  # fmt: skip
        assert abs(moved.amount_minor) == abs(stands.difference_minor or 0) > 0
        assert moved.account != moved.counter_account


def test_a_word_is_held_against_where_our_conversion_stands() -> None:
    paid, awaited = {"is_paid_out": True, "is_awaited": False}, {"is_paid_out": False, "is_awaited": True}
    for meaning, state, stands, age_days, klass in (
        (Meaning.REFUNDED, State.ACCRUED, paid, 1, DiscrepancyClass.REVERSED_AFTER_PAYMENT),
        (Meaning.REJECTED, State.ACCRUED, awaited, 1, DiscrepancyClass.STATUS_MISMATCH),
        (Meaning.CHARGED_BACK, State.REVERSED, paid, 1, None),
        (Meaning.PENDING, State.ACCRUED, paid, 30, None),
        (Meaning.PENDING, State.RECORDED, awaited, 31, DiscrepancyClass.STALE_PENDING),
        (Meaning.APPROVED, State.RECORDED, awaited, 1, DiscrepancyClass.STATUS_MISMATCH),
        (Meaning.APPROVED, State.ACCRUED, paid, 99, None),
        (Meaning.UNKNOWN, State.ACCRUED, paid, 99, None),
        (Meaning.IGNORED, State.RECORDED, awaited, 99, None),
    ):
        assert class_of_status(meaning, state, **stands, age_days=age_days, limits=LIMITS) is klass


def test_a_second_conversion_of_one_line_is_no_missing_line() -> None:
    assert class_of_conversion(has_paired_twin=True) is DiscrepancyClass.DUPLICATE_AT_US
    assert class_of_conversion(has_paired_twin=False) is DiscrepancyClass.MISSING_AT_NETWORK


def test_accepting_moves_what_a_network_owes_and_what_the_bank_holds() -> None:
    assert accounting.moved(
        leg=Leg.NETWORK, klass=DiscrepancyClass.AMOUNT_MISMATCH, resolution=Resolution.WRITE_OFF, difference_minor=-50
    ) == Moved("receivable:network", "expense:written-off:network", -50)
    debit, credit = (
        accounting.moved(
            leg=Leg.PAYOUT, klass=klass, resolution=Resolution.ACCEPT, difference_minor=minor, bank_account="DE1"
        )
        for klass, minor in ((DiscrepancyClass.FEE_OR_FX, 10), (DiscrepancyClass.RETURNED_PAYMENT, -99))
    )
    assert debit == Moved("bank:DE1", "expense:bank-charges", -10)
    assert credit == Moved("bank:DE1", "expense:bank-charges", -99)


def test_what_a_network_awards_leaves_the_rest_of_a_difference_against_us() -> None:
    assert accounting.left_after(-250, 100) == -150
    assert accounting.left_after(-250, 0) == -250
    assert accounting.left_after(-250, 300) == 0
    assert accounting.left_after(250, 100) == 250
