"""Which credit pays which remittance, and what is said of one that does not come to what was owed."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.crediting import allocate
from reports.matching import Pass
from reports.remitting import (
    Credit,
    Named,
    Owed,
    Paid,
    RemittanceState,
    carries,
    charge_limit,
    class_of_payment,
    is_overdue,
    names_in,
    state_of,
)

CHARGE_MAX = Decimal(30)
DUE = date(2026, 11, 15)


def owed(id_: str, left_minor: int, currency: str = "EUR", **columns: object) -> Owed:
    values = {"source_id": "src_1", "period": "2026-10", "due_on": DUE} | columns
    return Owed(id=id_, left_minor=left_minor, currency=currency, **values)  # type: ignore[arg-type]


def credit(id_: str, amount_minor: int, currency: str = "EUR", source_id: str | None = None, day: int = 14) -> Credit:
    return Credit(id_, amount_minor, currency, date(2026, 11, day), source_id)


def decided(groups: list[list[Paid]]) -> list[list[tuple[str, str, int, str]]]:
    return [
        [(each.remittance_id, each.credit_id, each.allocated_minor, each.by.value) for each in all_] for all_ in groups
    ]


@pytest.mark.parametrize(
    ("expected", "paid", "currency", "klass"),
    [
        (100000, 100000, "EUR", None),
        (100000, 97000, "EUR", "fee_or_fx"),
        (100000, 96999, "EUR", "amount_mismatch"),
        (100000, 100001, "EUR", "amount_mismatch"),
        (2000, 1900, "EUR", "fee_or_fx"),
        (2000, 1899, "EUR", "amount_mismatch"),
        (10000, 9970, "JPY", "fee_or_fx"),
        (10000, 9969, "JPY", "amount_mismatch"),
    ],
)
def test_what_lacks_is_a_charge_up_to_the_setting_and_five_percent(
    expected: int, paid: int, currency: str, klass: str | None
) -> None:
    found = class_of_payment(expected_minor=expected, paid_minor=paid, currency=currency, charge_max=CHARGE_MAX)

    assert found == klass


@given(expected=st.integers(1, 10**12), paid=st.integers(0, 10**12), charge_max=st.decimals(0, 1000, places=0))
def test_a_charge_is_never_more_than_was_missing_nor_than_five_percent(
    expected: int, paid: int, charge_max: Decimal
) -> None:
    klass = class_of_payment(expected_minor=expected, paid_minor=paid, currency="EUR", charge_max=charge_max)

    assert (klass is None) is (expected == paid)
    if klass == "fee_or_fx":
        assert 0 < expected - paid <= charge_limit(expected, "EUR", charge_max)
        assert (expected - paid) * 20 <= expected


def test_a_reference_stands_by_itself_whatever_its_capitals() -> None:
    assert carries("INVOICE re-12, THANKS", "RE-12")
    assert carries("RE-123 RE-12", "RE-12")
    assert not carries("RE-123", "RE-12")
    assert not carries("XRE-12", "RE-12")
    assert not carries("no R-1 here", "R-1")
    assert not carries("paid in 2026", "2026")
    assert carries("number 202610 here", "202610")


@given(
    texts=st.lists(st.text("AB1-_ .ßé#", max_size=12), max_size=4),
    references=st.lists(st.text("aB1-_ #é", min_size=1, max_size=6), max_size=4),
)
def test_a_reference_is_found_by_its_first_word_wherever_it_stands(texts: list[str], references: list[str]) -> None:
    told, known = ([(str(number), each) for number, each in enumerate(side)] for side in (texts, references))

    found = sorted(names_in(told, known))

    assert found == sorted(
        (our, their)
        for our, reference in known
        for their, text in told
        if carries(text, reference) and any(letter.isalnum() for letter in reference)
    )


def test_the_day_of_grace_is_in_time_and_the_next_is_not() -> None:
    grace = timedelta(days=5)

    assert not is_overdue(date(2026, 11, 20), DUE, grace)
    assert is_overdue(date(2026, 11, 21), DUE, grace)
    assert not is_overdue(date(2027, 11, 21), None, grace)


def test_the_state_follows_from_the_parts() -> None:
    def state(paid: int, other: int = 0, *, is_written_off: bool = False) -> RemittanceState:
        return state_of(amount_minor=100, paid_minor=paid, other_minor=other, is_written_off=is_written_off)

    assert [state(0), state(99), state(100), state(101), state(97, 3), state(50, is_written_off=True)] == [
        "open", "short", "settled", "settled", "settled", "written_off",
    ]  # fmt: skip


def test_earlier_passes_win_and_the_exact_amount_goes_before_the_earlier_day() -> None:
    remittances = [owed("rmt_1", 1000), owed("rmt_2", 500)]
    credits_ = [credit("bln_1", 990, day=10), credit("bln_2", 1000, day=12), credit("bln_3", 500)]
    named = [
        Named("rmt_1", "bln_1", Pass.REFERENCE),
        Named("rmt_1", "bln_2", Pass.REFERENCE),
        Named("rmt_1", "bln_3", Pass.REFERENCE),
        Named("rmt_2", "bln_3", Pass.EXACT_ID),
    ]

    groups = allocate(remittances, credits_, named, charge_max=CHARGE_MAX)

    assert decided(groups) == [
        [("rmt_2", "bln_3", 500, "exact_id")],
        [("rmt_1", "bln_2", 1000, "reference")],
    ]


def test_one_credit_pays_several_by_their_references_and_what_a_bank_kept_lacks_on_the_largest() -> None:
    remittances = [owed("rmt_1", 60000), owed("rmt_2", 40000)]
    named = [Named(each.id, "bln_1", Pass.REFERENCE) for each in remittances]

    assert decided(allocate(remittances, [credit("bln_1", 97500)], named, charge_max=CHARGE_MAX)) == [
        [("rmt_1", "bln_1", 57500, "reference"), ("rmt_2", "bln_1", 40000, "reference")]
    ]
    assert allocate(remittances, [credit("bln_1", 90000)], named, charge_max=CHARGE_MAX) == []


def test_a_source_known_by_its_alias_is_matched_by_amount_or_by_the_sum_and_never_when_two_fit() -> None:
    october, november = owed("rmt_1", 700), owed("rmt_2", 300, period="2026-11", due_on=None)
    known = credit("bln_1", 700, source_id="src_1")

    assert decided(allocate([october, november], [known], [], charge_max=CHARGE_MAX)) == [
        [("rmt_1", "bln_1", 700, "composite")]
    ]
    assert decided(
        allocate([october, november], [credit("bln_1", 1000, source_id="src_1")], [], charge_max=CHARGE_MAX)
    ) == [[("rmt_1", "bln_1", 700, "group"), ("rmt_2", "bln_1", 300, "group")]]
    assert allocate([october, owed("rmt_3", 700)], [known], [], charge_max=CHARGE_MAX) == []
    assert allocate([october], [known, credit("bln_2", 700, source_id="src_1")], [], charge_max=CHARGE_MAX) == []


def test_amount_and_day_alone_are_suggested_only_while_nothing_else_fits() -> None:
    [[suggested]] = allocate([owed("rmt_1", 700)], [credit("bln_1", 700)], [], charge_max=CHARGE_MAX)

    assert (suggested.by, suggested.is_suggested, suggested.score) == (Pass.AMOUNT_DATE, True, 94)
    assert allocate([owed("rmt_1", 700)], [credit("bln_1", 700), credit("bln_2", 700)], [], charge_max=CHARGE_MAX) == []
    far = Credit("bln_1", 700, "EUR", date(2027, 1, 14))
    assert allocate([owed("rmt_1", 700)], [far], [], charge_max=CHARGE_MAX) == []
    rejected = {("rmt_1", "bln_1")}
    assert allocate([owed("rmt_1", 700)], [credit("bln_1", 700)], [], rejected=rejected, charge_max=CHARGE_MAX) == []


AMOUNTS = st.sampled_from([100, 200, 300, 400, 500, 1000, 9900, 10000])
CURRENCIES = st.sampled_from(["EUR", "USD"])
REMITTANCES = st.lists(
    st.tuples(AMOUNTS, CURRENCIES, st.sampled_from(["src_1", "src_2"]), st.sampled_from(["2026-09", "2026-10"])),
    max_size=6,
)
CREDITS = st.lists(
    st.tuples(AMOUNTS, CURRENCIES, st.sampled_from([None, "src_1", "src_2"]), st.integers(1, 28)), max_size=6
)
PAIRS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8)


@given(remittances=REMITTANCES, money=CREDITS, exact=PAIRS, text=PAIRS, no=PAIRS)
def test_no_money_is_given_away_twice_lost_or_mixed_whatever_names_what(
    *,
    remittances: list[tuple[int, str, str, str]],
    money: list[tuple[int, str, str | None, int]],
    exact: set[tuple[int, int]],
    text: set[tuple[int, int]],
    no: set[tuple[int, int]],
) -> None:
    ours = [
        owed(f"rmt_{number}", amount, currency, source_id=source, period=period)
        for number, (amount, currency, source, period) in enumerate(remittances)
    ]
    theirs = [
        credit(f"bln_{number}", amount, currency, source, day)
        for number, (amount, currency, source, day) in enumerate(money)
    ]
    named = [
        Named(f"rmt_{our}", f"bln_{their}", by)
        for by, pairs in ((Pass.EXACT_ID, exact), (Pass.REFERENCE, text))
        for our, their in sorted(pairs)
        if our < len(ours) and their < len(theirs)
    ]
    rejected = {(f"rmt_{our}", f"bln_{their}") for our, their in no}

    groups = allocate(ours, theirs, named, rejected=rejected, charge_max=CHARGE_MAX)

    by_id = {each.id: each for each in ours}
    amounts = {each.id: each for each in theirs}
    edges = [each for group in groups for each in group]
    assert len({(each.remittance_id, each.credit_id) for each in edges}) == len(edges)
    for each in edges:
        assert (each.remittance_id, each.credit_id) not in rejected
        assert by_id[each.remittance_id].currency == amounts[each.credit_id].currency
        assert each.allocated_minor > 0
        assert each.left_minor > 0
    taken = Counter(group[0].credit_id for group in groups)
    assert set(taken.values()) <= {1}
    left = {each.id: each.left_minor for each in ours}
    for group in groups:
        assert sum(each.allocated_minor for each in group) == amounts[group[0].credit_id].amount_minor
        for each in group:
            if not each.is_suggested:
                # Whoever gets more was still owed something: nobody is paid after he has all.
                assert left[each.remittance_id] == each.left_minor
                left[each.remittance_id] -= each.allocated_minor
    again = allocate(ours[::-1], theirs[::-1], named[::-1], rejected=rejected, charge_max=CHARGE_MAX)
    assert again == groups
