"""Two ordered streams of entries: what one lacks, has too many, or has otherwise."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from ledger import comparing, posting
from ledger.comparing import Expected, Fault, Posted

DAY = date(2026, 10, 5)


def expected(number: int, amount_minor: int = 100) -> Expected:
    entry = posting.revenue(conversion_id=f"cnv_{number:04}", money=Money(amount_minor, "EUR"), occurred_on=DAY)
    return Expected(entry, "2026-10")


def posted(number: int, amount_minor: int = 100) -> Posted:
    return Posted(f"jrn_{number}", expected(number, amount_minor).posting, "2026-10", "2026-10")


def test_what_is_missing_extra_and_different_is_told_apart_and_named() -> None:
    found = comparing.differences([expected(1), expected(2), expected(4)], [posted(2, 99), posted(3), posted(4)])

    assert [(each.fault, each.source_id) for each in found] == [
        (Fault.MISSING, "cnv_0001"),
        (Fault.DIFFERENT, "cnv_0002"),
        (Fault.EXTRA, "cnv_0003"),
    ]


def test_each_part_of_an_entry_that_is_different_is_said() -> None:
    right = posted(1)
    wrong = replace(
        right, posting=replace(right.posting, occurred_on=date(2026, 10, 6), description="other"),
        period="2026-11", booked_in="2026-12",
    )  # fmt: skip

    [found] = comparing.differences([expected(1)], [wrong])

    assert found.details == (
        "should be of 2026-10-05, is of 2026-10-06; should read 'revenue of cnv_0001', reads 'other'; "
        "should be in 2026-10, is in 2026-11; is in 2026-11, is booked on a day of 2026-12"
    )


@given(st.sets(st.integers(0, 40)), st.dictionaries(st.integers(0, 40), st.sampled_from([100, 7])))
def test_every_entry_of_either_side_is_looked_at_once(wanted: set[int], found: dict[int, int]) -> None:
    told = comparing.differences(map(expected, sorted(wanted)), [posted(*each) for each in sorted(found.items())])

    assert {(each.fault, int(each.source_id[4:])) for each in told} == (
        {(Fault.MISSING, each) for each in wanted - set(found)}
        | {(Fault.EXTRA, each) for each in set(found) - wanted}
        | {(Fault.DIFFERENT, each) for each in wanted & set(found) if found[each] != 100}
    )
