"""Postings balance, whatever they are about."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from ledger import posting
from ledger.posting import Line, Posting

DAY = date(2026, 10, 31)
MONEYS = st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD"]))


def every_posting(money: Money) -> list[Posting]:
    return [
        posting.accrual(
            accrual_id="acr_1",
            conversion_id="cnv_1",
            affiliate_id="aff_1",
            account="expense:spring",
            money=money,
            occurred_on=DAY,
        ),
        posting.revenue(conversion_id="cnv_1", money=money, occurred_on=DAY),
        posting.batch_sent(end_to_end_id="E2E1", payout_id="pay_1", affiliate_id="aff_1", money=money, sent_on=DAY),
        posting.settlement(end_to_end_id="E2E1", payout_id="pay_1", bank_account="DE1", money=money, settled_on=DAY),
    ]


def test_an_accrual_debits_the_expense_and_credits_what_the_affiliate_is_owed() -> None:
    made = every_posting(Money(1250, "EUR"))[0]

    assert made.lines == (
        Line("expense:spring", 1250, "EUR"),
        Line("payable:affiliate", -1250, "EUR", "aff_1"),
    )


def test_money_goes_from_payable_over_clearing_to_the_bank_and_leaves_nothing_behind() -> None:
    accrual, _revenue, sent, settled = every_posting(Money(1250, "EUR"))

    left: dict[str, int] = {}
    for line in accrual.lines + sent.lines + settled.lines:
        left[line.account] = left.get(line.account, 0) + line.amount_minor

    assert left == {"expense:spring": 1250, "payable:affiliate": 0, "clearing:payouts": 0, "bank:DE1": -1250}


def test_currencies_balance_each_for_itself() -> None:
    lines = [Line("a", 5, "EUR"), Line("b", -5, "USD"), Line("c", 3, "JPY"), Line("d", -3, "JPY")]

    assert posting.imbalance(lines) == {"EUR": 5, "USD": -5}


@given(MONEYS)
def test_every_posting_balances_and_has_no_line_of_nothing(money: Money) -> None:
    for made in every_posting(money):
        assert posting.imbalance(made.lines) == {}
        assert all(line.amount_minor != 0 for line in made.lines)
        assert bool(made.lines) is (money.amount_minor != 0)
