"""Which accounts an accepted difference moves, and by how much: on plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger import posting
from reports.matching import DiscrepancyClass, Leg, Resolution


@dataclass(frozen=True)
class Moved:
    """`account` gains `amount_minor` (negative: it loses), `counter_account` the opposite."""

    account: str
    counter_account: str
    amount_minor: int


_NETWORK: Mapping[DiscrepancyClass, str] = {
    DiscrepancyClass.FEE_OR_FX: posting.BANK_CHARGES,
    DiscrepancyClass.ROUNDING: posting.ROUNDING,
}
_BANK: Mapping[DiscrepancyClass, str] = {
    DiscrepancyClass.FEE_OR_FX: posting.BANK_CHARGES,
    DiscrepancyClass.RETURNED_PAYMENT: posting.BANK_CHARGES,
    DiscrepancyClass.ROUNDING: posting.ROUNDING,
}


def moved(
    *, leg: Leg, klass: DiscrepancyClass, resolution: Resolution, difference_minor: int, bank_account: str | None = None
) -> Moved:
    """Return what accepting, or writing off, a difference (theirs minus ours) moves.

    With a network it is what it owes us. With the bank it is the balance of `bank_account`, which goes down by what a
    debit takes more than ours, and up by what a credit gives.
    """
    is_written_off = resolution is Resolution.WRITE_OFF
    if leg is Leg.NETWORK:
        counter = posting.WRITTEN_OFF if is_written_off else _NETWORK.get(klass, posting.NETWORK_DIFFERENCES)
        return Moved(posting.RECEIVABLE, counter, difference_minor)
    if bank_account is None:
        message = "a difference with the bank is one with an account"
        raise ValueError(message)
    counter = posting.WRITTEN_OFF_AT_BANK if is_written_off else _BANK.get(klass, posting.BANK_DIFFERENCES)
    is_credit = klass is DiscrepancyClass.RETURNED_PAYMENT
    return Moved(posting.bank(bank_account), counter, difference_minor if is_credit else -difference_minor)


def left_after(difference_minor: int, awarded_minor: int) -> int:
    """Return what is left of a difference against us once the network has awarded a part of it."""
    return min(difference_minor + awarded_minor, 0) if difference_minor < 0 else difference_minor
