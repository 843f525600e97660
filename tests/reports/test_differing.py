"""Differences between two lists of rows, and what may become of a row in later months: plain values, no database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.states import MOVES, PayoutState
from reports import differing, moving_on, reopening_rules
from reports.differing import Change, Row, RowChange, Shape, Tally
from reports.reopening_rules import NotYours

SHAPE = Shape("payouts", ("amount_minor", "currency", "state"), "amount_minor", "currency")
CLOSED_AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

values = st.tuples(st.none() | st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY"]), st.text(max_size=3))
rows = st.dictionaries(st.text("ab/0", min_size=1, max_size=4), values, max_size=12)


def listed(content: dict[str, tuple[int | None, str, str]]) -> list[Row]:
    return [differing.written(key, content[key]) for key in sorted(content)]


@given(before=rows, after=rows)
def test_every_row_that_differs_is_told_once_and_the_sums_are_those_of_the_two_lists(
    before: dict[str, tuple[int | None, str, str]], after: dict[str, tuple[int | None, str, str]]
) -> None:
    found = list(differing.changes(SHAPE, listed(before), listed(after)))
    tallies = {change: Tally() for change in Change}
    for each in found:
        differing.tallied(SHAPE, tallies, each)

    assert {each.key for each in found} == {key for key in before | after if before.get(key) != after.get(key)}
    assert [each.key for each in found] == sorted(each.key for each in found)
    assert {each.key for each in found if each.change is Change.ADDED} == set(after) - set(before)
    assert {each.key for each in found if each.change is Change.GONE} == set(before) - set(after)
    for currency in ("EUR", "JPY"):
        was, now = (
            sum(amount or 0 for amount, of, _ in content.values() if of == currency) for content in (before, after)
        )
        added, gone, changed = (tallies[change].minor[currency] for change in Change)
        assert was + added - gone + changed == now


def test_of_a_changed_row_the_fields_that_differ_are_told_and_a_credit_is_not_counted() -> None:
    old = differing.written("pay_1", (1250, "EUR", "sent"))
    [change] = differing.changes(SHAPE, [old], [differing.written("pay_1", (1250, "EUR", "settled"))])
    journal = Shape("journal", SHAPE.fields, "amount_minor", "currency", debits_only=True)

    assert differing.told(change) == ({"state": "sent"}, {"state": "settled"})
    assert differing.read(old.line) == old
    assert journal.money({"amount_minor": -1, "currency": "EUR"}) is None
    assert journal.money({"amount_minor": 1, "currency": "EUR"}) == ("EUR", 1)


def payout(state: str, version: int, amount_minor: int = 100) -> dict[str, object]:
    return {"amount_minor": amount_minor, "state": state, "version": version}


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (payout("sent", 4), payout("settled", 5), "moved on"),
        (payout("sent", 4), payout("settled", 4), "differs"),
        (payout("sent", 4), payout("sent", 5, amount_minor=99), "differs"),
        (payout("settled", 4), payout("sent", 5), "moved on"),  # returned, asked about anew, and sent again
        (payout("rejected", 4), payout("sent", 5), "differs"),
    ],
)
def test_a_payout_goes_on_the_way_its_states_allow(
    before: dict[str, object], after: dict[str, object], word: str
) -> None:
    change = RowChange("payouts", Change.CHANGED, "pay_1", before, after)
    found = moving_on.has_moved_on(change, {"state", "version"}, closed_at=CLOSED_AT, touched=())

    assert ("moved on" if found else "differs") == word


@given(before=st.sampled_from(PayoutState), after=st.sampled_from(PayoutState))
def test_a_state_is_reachable_by_one_move_or_through_another(before: PayoutState, after: PayoutState) -> None:
    through = any(moving_on.is_reachable({"state": each}, {"state": after}) for each in MOVES[before])

    assert moving_on.is_reachable({"state": before}, {"state": after}) is (before is after or through)


def test_a_conversion_needs_an_event_and_one_that_came_must_be_late() -> None:
    old, new = {"state": "accrued", "version": 2}, {"state": "reversed", "version": 3}
    refunded = RowChange("conversions", Change.CHANGED, "cnv_1", old, new)
    living = {"state", "version"}

    def came(ago: timedelta) -> RowChange:
        row = {"recorded_at": (CLOSED_AT - ago).isoformat()}
        return RowChange("conversions", Change.ADDED, "cnv_2", None, row)

    def explained(change: RowChange, *touched: str) -> bool:
        return moving_on.has_moved_on(change, living, closed_at=CLOSED_AT, touched=touched)

    assert (explained(refunded, "cnv_1"), explained(refunded)) == (True, False)
    assert explained(RowChange("conversions", Change.CHANGED, "cnv_1", old, new | {"version": 2}), "cnv_1") is False
    assert (explained(came(timedelta(minutes=1))), explained(came(timedelta(hours=1)))) == (True, False)
    assert explained(RowChange("conversions", Change.GONE, "cnv_1", old, None), "cnv_1") is False
    assert explained(RowChange("accruals", Change.ADDED, "acr_1", None, {"amount_minor": 1})) is False


@pytest.mark.parametrize(
    ("confirms", "finance", "expected"),
    [
        ("ann", {"ann", "bob", "eve"}, NotYours.ASKED),
        ("bob", {"ann", "bob", "eve"}, NotYours.CLOSED),
        ("eve", {"ann", "bob", "eve"}, None),
        ("bob", {"ann", "bob"}, None),
        ("ann", {"ann"}, NotYours.ASKED),
    ],
)
def test_who_closed_a_month_confirms_its_reopening_only_where_nobody_else_is_left(
    confirms: str, finance: set[str], expected: NotYours | None
) -> None:
    assert reopening_rules.refusal(confirms=confirms, asked="ann", closed="bob", finance=finance) is expected
