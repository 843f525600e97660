"""What is posted: balanced entries about one thing each; a debit is positive, a credit negative."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from core.money import Money

PAYABLE = "payable:affiliate"
RECEIVABLE = "receivable:network"
REVENUE = "revenue:network"
CLEARING = "clearing:payouts"
FX = "expense:fx"
TRANSLATION = "equity:currency-translation"
# What is accepted at month end: a network's own figure, what banks keep, rounding, and what nobody will pay any more.
NETWORK_DIFFERENCES = "revenue:differences"
BANK_DIFFERENCES = "expense:bank-differences"
BANK_CHARGES = "expense:bank-charges"
ROUNDING = "expense:rounding"
WRITTEN_OFF = "expense:written-off:network"
WRITTEN_OFF_AT_BANK = "expense:written-off:bank"


class EntryKind(StrEnum):
    """What an entry says happened."""

    ACCRUAL = "accrual"
    REVENUE = "revenue"
    BATCH_SENT = "batch_sent"
    SETTLEMENT = "settlement"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_RETURNED = "payment_returned"
    RECATEGORISATION = "recategorisation"
    FX_DIFFERENCE = "fx_difference"
    FX_TAKEN_BACK = "fx_taken_back"
    REMITTANCE = "remittance"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True)
class Line:
    """One account's part of an entry; `affiliate_id` says whose part of a shared account it is."""

    account: str
    amount_minor: int
    currency: str
    affiliate_id: str | None = None


@dataclass(frozen=True)
class Posting:
    """An entry to be posted; `kind`, `source_type` and `source_id` together are posted once.

    One about nothing (an amount of zero) has no lines and is not posted.
    """

    kind: EntryKind
    source_type: str
    source_id: str
    occurred_on: date
    description: str
    lines: tuple[Line, ...]


def imbalance(lines: Iterable[Line]) -> dict[str, int]:
    """Return what is left over of each currency, in minor units; empty when the lines balance."""
    left: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        left[line.currency] += line.amount_minor
    return {currency: amount_minor for currency, amount_minor in left.items() if amount_minor}


def accrual(
    *, accrual_id: str, conversion_id: str, affiliate_id: str, account: str, money: Money, occurred_on: date
) -> Posting:
    """Return the entry of what we have come to owe an affiliate; a negative amount is one taken back."""
    lines = _transfer(money, debit=(account, None), credit=(PAYABLE, affiliate_id))
    what = "commission" if money.amount_minor >= 0 else "commission taken back"
    return Posting(EntryKind.ACCRUAL, "accrual", accrual_id, occurred_on, f"{what} of {conversion_id}", lines)


def recategorised(
    *, recategorisation_id: str, accrual_id: str, money: Money, from_account: str, to_account: str, occurred_on: date
) -> Posting:
    """Return the entry that moves an expense from one account to another; what was posted before stays as it is."""
    lines = (
        () if from_account == to_account else _transfer(money, debit=(to_account, None), credit=(from_account, None))
    )
    description = f"{accrual_id} to another category"
    return Posting(EntryKind.RECATEGORISATION, "recategorisation", recategorisation_id, occurred_on, description, lines)


def revenue(*, conversion_id: str, money: Money, occurred_on: date) -> Posting:
    """Return the entry of what a network owes us for a conversion."""
    lines = _transfer(money, debit=(RECEIVABLE, None), credit=(REVENUE, None))
    return Posting(EntryKind.REVENUE, "conversion", conversion_id, occurred_on, f"revenue of {conversion_id}", lines)


def changed_revenue(*, accrual_id: str, conversion_id: str, money: Money, occurred_on: date) -> Posting:
    """Return the entry of a change in what a network owes us, posted with the accrual that says why."""
    lines = _transfer(money, debit=(RECEIVABLE, None), credit=(REVENUE, None))
    description = f"changed revenue of {conversion_id}"
    return Posting(EntryKind.REVENUE, "accrual", accrual_id, occurred_on, description, lines)


def batch_sent(*, end_to_end_id: str, payout_id: str, affiliate_id: str, money: Money, sent_on: date) -> Posting:
    """Return the entry of a payout that has left in a payment file and is not yet seen at the bank."""
    lines = _transfer(money, debit=(PAYABLE, affiliate_id), credit=(CLEARING, None))
    return Posting(EntryKind.BATCH_SENT, "batch_item", end_to_end_id, sent_on, f"payout {payout_id} sent", lines)


def settlement(*, end_to_end_id: str, payout_id: str, bank_account: str, money: Money, settled_on: date) -> Posting:
    """Return the entry of a payout that the bank statement of `bank_account` (an IBAN) shows as paid."""
    lines = _transfer(money, debit=(CLEARING, None), credit=(bank(bank_account), None))
    return Posting(EntryKind.SETTLEMENT, "batch_item", end_to_end_id, settled_on, f"payout {payout_id} settled", lines)


def owed_again(
    *,
    end_to_end_id: str,
    payout_id: str,
    affiliate_id: str,
    word: str,
    account: str,
    money: Money,
    happened_on: date,
) -> Posting:
    """Return the entry of a payment that failed or returned (`word`): from `account` it is owed to the affiliate again.

    `account` is clearing while no bank statement has shown the money leave, else the bank's.
    """
    kind = EntryKind.PAYMENT_FAILED if word == "failed" else EntryKind.PAYMENT_RETURNED
    lines = _transfer(money, debit=(account, None), credit=(PAYABLE, affiliate_id))
    return Posting(kind, "batch_item", end_to_end_id, happened_on, f"payout {payout_id} {word}", lines)


def fx_difference(
    *, end_to_end_id: str, payout_id: str, difference: Money, happened_on: date, is_taken_back: bool = False
) -> Posting:
    """Return the entry of what a payout cost more (a loss, positive) or less than it was accrued at, in the base.

    What the accruals are worth in the base is not posted, so the other side is a balance of translation.
    """
    kind = EntryKind.FX_TAKEN_BACK if is_taken_back else EntryKind.FX_DIFFERENCE
    ends = (FX, None), (TRANSLATION, None)
    debit, credit = reversed(ends) if is_taken_back else ends
    lines = _transfer(difference, debit=debit, credit=credit)
    description = f"exchange difference of payout {payout_id}" + (" taken back" if is_taken_back else "")
    return Posting(kind, "batch_item", end_to_end_id, happened_on, description, lines)


def remittance(
    *, entry_id: str, remittance_id: str, what: str, account: str, money: Money, occurred_on: date
) -> Posting:
    """Return the entry of a part of what a network owes that is owed no more: `account` has it now.

    `account` is the bank's for money that came, BANK_CHARGES or WRITTEN_OFF for money that did not. A negative amount
    is a part that was taken back, and is owed again.
    """
    lines = _transfer(money, debit=(account, None), credit=(RECEIVABLE, None))
    return Posting(EntryKind.REMITTANCE, "remittance_entry", entry_id, occurred_on, f"{remittance_id} {what}", lines)


def adjustment(
    *, adjustment_id: str, discrepancy_id: str, account: str, counter_account: str, money: Money, occurred_on: date
) -> Posting:
    """Return the entry of a difference that people have accepted: `account` gains `money`, `counter_account` loses it.

    A negative amount goes the other way.
    """
    lines = _transfer(money, debit=(account, None), credit=(counter_account, None))
    description = f"adjustment of {discrepancy_id}"
    return Posting(EntryKind.ADJUSTMENT, "adjustment", adjustment_id, occurred_on, description, lines)


def bank(account: str) -> str:
    """Return the name of a bank account in the journal, by its IBAN or what stands for it."""
    return f"bank:{account}"


def _transfer(money: Money, *, debit: tuple[str, str | None], credit: tuple[str, str | None]) -> tuple[Line, ...]:
    """Return the two lines that move `money`, from account (and affiliate) to account; none for nothing."""
    if money.amount_minor == 0:
        return ()
    return (
        Line(debit[0], money.amount_minor, money.currency, debit[1]),
        Line(credit[0], -money.amount_minor, money.currency, credit[1]),
    )
