"""What differences are called, and what a new run changes about the ones known before."""

from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reports.continuity import Span, gaps
from reports.matching import (
    DiscrepancyClass,
    DiscrepancyState,
    Found,
    Known,
    Leg,
    Limits,
    changes,
    class_of_line,
    class_of_pair,
    difference,
    is_of_other_month,
)

EUR: dict[str, Any] = {"ours_currency": "EUR", "theirs_currency": "EUR"}


def found(line_id: str, theirs_minor: int = 100) -> Found:
    return Found(Leg.NETWORK, DiscrepancyClass.MISSING_AT_US, line_id=line_id, theirs_minor=theirs_minor)


def known(item: Found, state: DiscrepancyState, period: str = "2026-10") -> Known:
    return Known(f"dsc_{item.line_id}", item.subject_key, period, state, 1, item.amounts)


def by_key(*items: Known) -> dict[str, Known]:
    return {item.subject_key: item for item in items}


def test_a_pair_differs_in_currency_before_it_differs_in_amount() -> None:
    assert class_of_pair(ours_minor=1, theirs_minor=1, **EUR) is None
    assert class_of_pair(ours_minor=1, theirs_minor=3, **EUR) is DiscrepancyClass.AMOUNT_MISMATCH
    assert (
        class_of_pair(ours_minor=1, ours_currency="EUR", theirs_minor=2, theirs_currency="USD")
        is DiscrepancyClass.CURRENCY_MISMATCH
    )


def test_a_payout_we_were_never_told_cannot_differ() -> None:
    assert class_of_pair(ours_minor=None, theirs_minor=2, **EUR) is None


def test_a_small_difference_is_one_of_rounding_and_a_little_more_against_us_perhaps_a_fee() -> None:
    limits = Limits(rounding_minor=1, fee_parts=200)
    for leg, theirs_minor, klass in (
        (Leg.NETWORK, 9999, DiscrepancyClass.ROUNDING),
        (Leg.NETWORK, 10001, DiscrepancyClass.ROUNDING),
        (Leg.NETWORK, 9998, DiscrepancyClass.FEE_OR_FX),
        (Leg.NETWORK, 9800, DiscrepancyClass.FEE_OR_FX),
        (Leg.NETWORK, 9799, DiscrepancyClass.AMOUNT_MISMATCH),
        (Leg.NETWORK, 10002, DiscrepancyClass.AMOUNT_MISMATCH),
        (Leg.PAYOUT, 10200, DiscrepancyClass.FEE_OR_FX),
        (Leg.PAYOUT, 10201, DiscrepancyClass.AMOUNT_MISMATCH),
        (Leg.PAYOUT, 9998, DiscrepancyClass.AMOUNT_MISMATCH),
    ):
        assert class_of_pair(ours_minor=10000, theirs_minor=theirs_minor, leg=leg, limits=limits, **EUR) is klass


def test_a_lonely_line_is_named_by_where_we_have_its_id() -> None:
    assert class_of_line(is_in_month=True, is_in_other_month=True) is DiscrepancyClass.DUPLICATE_AT_NETWORK
    assert class_of_line(is_in_month=False, is_in_other_month=True) is DiscrepancyClass.LATE
    for is_paid_out, klass in (
        (True, DiscrepancyClass.REVERSED_AFTER_PAYMENT),
        (False, DiscrepancyClass.STATUS_MISMATCH),
    ):
        for is_in_month in (True, False):
            line = {"is_in_month": is_in_month, "is_in_other_month": not is_in_month, "is_paid_out": is_paid_out}
            assert class_of_line(**line, is_taken_back=True) is klass
    nowhere: dict[str, Any] = {"is_in_month": False, "is_in_other_month": False}
    assert class_of_line(**nowhere) is DiscrepancyClass.MISSING_AT_US
    assert class_of_line(**nowhere, is_taken_back=True) is DiscrepancyClass.MISSING_AT_US
    assert class_of_line(**nowhere, is_refused_here=True) is DiscrepancyClass.STATUS_MISMATCH
    assert class_of_line(**nowhere, is_refused_here=True, is_taken_back=True) is None


def test_a_difference_is_theirs_minus_ours_and_none_between_two_currencies() -> None:
    assert difference(1250, "EUR", 1200, "EUR") == (-50, "EUR")
    assert difference(1250, "EUR", None, None) == (-1250, "EUR")
    assert difference(None, None, 1200, "USD") == (1200, "USD")
    assert difference(1250, "EUR", 1200, "USD") is None


def test_what_was_explained_stays_explained_and_what_is_not_found_any_more_is_let_go() -> None:
    before = by_key(
        known(found("open"), DiscrepancyState.OPEN),
        known(found("explained"), DiscrepancyState.RESOLVED),
        known(found("vanished"), DiscrepancyState.OPEN),
        known(found("carried and vanished"), DiscrepancyState.CARRIED),
        known(found("asked and vanished"), DiscrepancyState.RESOLVING),
        known(found("claimed and vanished"), DiscrepancyState.CLAIMED),
        known(found("explained and vanished"), DiscrepancyState.RESOLVED),
    )

    after = changes("2026-10", [found("open"), found("explained"), found("new")], before)

    assert after.new == [found("new")]
    assert after.corrected == {}
    assert after.gone == [
        "dsc_asked and vanished", "dsc_carried and vanished", "dsc_claimed and vanished", "dsc_vanished",
    ]  # fmt: skip


def test_what_comes_back_and_what_has_other_amounts_than_were_explained_is_open_again() -> None:
    before = by_key(
        known(found("back"), DiscrepancyState.GONE), known(found("changed", 100), DiscrepancyState.RESOLVED)
    )

    after = changes("2026-10", [found("back"), found("changed", 90)], before)

    assert after.corrected == {"dsc_back": found("back"), "dsc_changed": found("changed", 90)}


def test_what_another_month_shows_is_that_month_s_business() -> None:
    september = known(found("x"), DiscrepancyState.OPEN, "2026-09")

    assert is_of_other_month("2026-10", september)
    assert not is_of_other_month("2026-10", known(found("x"), DiscrepancyState.GONE, "2026-09"))
    assert changes("2026-10", [], by_key(september)).gone == []


@given(
    st.sets(st.sampled_from("abcdef")), st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(DiscrepancyState))
)
def test_a_second_run_over_the_same_changes_nothing(names: set[str], states: dict[str, DiscrepancyState]) -> None:
    items = [found(name) for name in sorted(names)]
    before = by_key(*(known(found(name), state) for name, state in states.items()))
    first = changes("2026-10", items, before)
    after = dict(before)
    for item in [*first.new, *first.corrected.values()]:
        after[item.subject_key] = known(item, DiscrepancyState.OPEN)
    for key, earlier in before.items():
        if earlier.id in first.gone:
            after[key] = replace(earlier, state=DiscrepancyState.GONE)

    second = changes("2026-10", items, after)

    assert (second.new, second.corrected, second.gone) == ([], {}, [])


def span(reference: str, first: int, last: int, opening_minor: int, closing_minor: int) -> Span:
    return Span("DE02", "EUR", reference, date(2026, 10, first), opening_minor, date(2026, 10, last), closing_minor)


def test_statements_that_hand_their_balance_on_have_no_gap() -> None:
    days = [span("1", 1, 1, 0, 10), span("2", 2, 2, 10, 30), span("3", 3, 3, 30, 5)]

    assert gaps(days) == []
    assert gaps([*days, *days]) == []
    assert gaps([*days, span("whole", 1, 3, 0, 5), span("next", 4, 4, 5, 6)]) == []


def test_two_statements_of_one_day_follow_on() -> None:
    assert (
        gaps([span("1", 1, 1, 0, 10), span("2a", 2, 2, 10, 20), span("2b", 2, 2, 20, 25), span("3", 3, 3, 25, 1)]) == []
    )


def test_a_missing_statement_is_a_gap_even_where_an_older_balance_fits_by_chance() -> None:
    later = span("3", 4, 4, 10, 20)

    assert gaps([span("1", 1, 1, 0, 10), span("2", 2, 2, 10, 30), later]) == [later]
