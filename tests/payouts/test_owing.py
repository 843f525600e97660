"""What is still owed after a change, as a pure decision."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from payouts import owing, pricing
from payouts.owing import Difference
from payouts.pricing import PayoutMeans, Priced, Terms, TermsKind, Told, Unpriceable

TERMS = st.sampled_from(
    [
        Terms(TermsKind.TOLD),
        Terms(TermsKind.FIXED, amount_minor=980, currency="EUR"),
        Terms(TermsKind.PERCENT, Decimal("12.5")),
        Terms(TermsKind.SHARE, Decimal("66.66666667")),
    ]
)
MINOR = st.none() | st.integers(0, 10**9)
CHANGES = st.lists(st.tuples(MINOR, MINOR, st.booleans()), max_size=8)


def told(payout_minor: int | None, sale_minor: int | None = 10_000) -> Told:
    return Told(payout_minor, sale_minor, "EUR", PayoutMeans.OWED_TO_AFFILIATE)


def euros(minor: int) -> Priced:
    return Priced(Money(minor, "EUR"), Decimal(minor) / 100)


def test_less_is_a_clawback_more_is_an_adjustment_and_the_same_is_nothing() -> None:
    assert owing.difference(euros(0), [euros(1250)]) == Difference("clawback", Money(-1250, "EUR"), Decimal("-12.5"))
    assert owing.difference(euros(1500), [euros(1250)]) == Difference("adjust", Money(250, "EUR"), Decimal("2.5"))
    assert owing.difference(euros(0), [euros(1250), euros(-1250)]) is None


def test_what_was_taken_back_is_owed_nothing_even_when_it_could_not_be_priced() -> None:
    assert owing.now(Terms(TermsKind.TOLD), told(None), is_reversed=True, currency="EUR") == euros(0)
    assert owing.now(Terms(TermsKind.TOLD), told(None), is_reversed=False, currency="EUR") is (
        Unpriceable.PAYOUT_NOT_TOLD
    )


def test_frozen_terms_come_back_as_they_were() -> None:
    facts = {"version": 3, "kind": "percent", "percent": "12.5", "amount_minor": None, "currency": None}

    assert pricing.thawed(facts) == Terms(TermsKind.PERCENT, Decimal("12.5"))


@given(terms=TERMS, first=st.integers(0, 10**9), changes=CHANGES)
def test_after_any_changes_the_accruals_sum_to_what_is_owed_now(
    terms: Terms, first: int, changes: list[tuple[int | None, int | None, bool]]
) -> None:
    start = pricing.price(terms, told(first))
    assert isinstance(start, Priced)
    accrued = [start]

    for payout_minor, sale_minor, is_reversed in changes:
        owed = owing.now(terms, told(payout_minor, sale_minor), is_reversed=is_reversed, currency="EUR")
        if isinstance(owed, Unpriceable):
            continue
        difference = owing.difference(owed, accrued)
        if difference is not None:
            assert (difference.kind == "clawback") == (difference.money.amount_minor < 0)
            accrued.append(Priced(difference.money, difference.unrounded))

        assert sum(each.money.amount_minor for each in accrued) == owed.money.amount_minor
        assert owing.difference(owed, accrued) is None
