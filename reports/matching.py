"""What a difference is called, how large it is, and what a new run changes about the ones known before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Part of every run's input: other rules are another question, and may have another answer.
RULES_VERSION = 2
# A part of an amount is counted in hundredths of a percent.
WHOLE_PARTS = 10_000


class Leg(StrEnum):
    """What is compared with what."""

    NETWORK = "network"  # our conversions, a network's report
    REMITTANCE = "remittance"  # what networks owe us, the bank's credits
    PAYOUT = "payout"  # our payment items, the bank's debits
    ADVERTISER = "advertiser"  # our conversions, an advertiser's own list


class Pass(StrEnum):
    """By what two items were found to be the same thing; an active ruleset says in which order the passes run."""

    EXACT_ID = "exact_id"
    COMPOSITE = "composite"  # the claimed click, the event or the status, the amount
    REFERENCE = "reference"
    GROUP = "group"  # many of theirs to one of ours, or the other way, by a key that they declare
    AMOUNT_DATE = "amount_date"  # suggests only
    SUBSET_SUM = "subset_sum"  # suggests only
    NAMES = "names"  # pairs nothing: it ranks what others suggest
    MANUAL = "manual"  # no pass: people say it


class DiscrepancyClass(StrEnum):
    """What is wrong, as people say it."""

    MISSING_AT_NETWORK = "missing_at_network"
    MISSING_AT_US = "missing_at_us"
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    STATUS_MISMATCH = "status_mismatch"
    DUPLICATE_AT_NETWORK = "duplicate_at_network"
    DUPLICATE_AT_US = "duplicate_at_us"
    LATE = "late"
    REVERSED_AFTER_PAYMENT = "reversed_after_payment"
    FEE_OR_FX = "fee_or_fx"
    UNMATCHED_CREDIT = "unmatched_credit"
    UNMATCHED_DEBIT = "unmatched_debit"
    MISSING_AT_ADVERTISER = "missing_at_advertiser"
    RETURNED_PAYMENT = "returned_payment"
    ROUNDING = "rounding"
    AMBIGUOUS = "ambiguous"
    WRONG_AFFILIATE = "wrong_affiliate"
    STALE_PENDING = "stale_pending"


class DiscrepancyState(StrEnum):
    """Where a discrepancy stands. `gone`: a later run no longer found it."""

    OPEN = "open"
    RESOLVING = "resolving"  # an adjustment waits for its approval
    CLAIMED = "claimed"  # the network's answer is awaited
    RESOLVED = "resolved"
    CARRIED = "carried"
    GONE = "gone"


class Resolution(StrEnum):
    """What a person may say about a discrepancy; reports/taxonomy.py says which about which class."""

    EXPLAINED = "explained"
    CARRY_FORWARD = "carry_forward"
    ACCEPT = "accept"  # posts an adjustment of the difference, once approved
    WRITE_OFF = "write_off"  # posts what we give up as lost, once approved
    CLAIM = "claim"  # from the network, with a dispute pack
    CREATE_CONVERSION = "create_conversion"


STATE_AFTER = {
    Resolution.EXPLAINED: DiscrepancyState.RESOLVED,
    Resolution.CARRY_FORWARD: DiscrepancyState.CARRIED,
    Resolution.ACCEPT: DiscrepancyState.RESOLVING,
    Resolution.WRITE_OFF: DiscrepancyState.RESOLVING,
    Resolution.CLAIM: DiscrepancyState.CLAIMED,
    Resolution.CREATE_CONVERSION: DiscrepancyState.RESOLVED,
}
# While one of these is left, somebody has something to do: the month does not close.
UNFINISHED = (DiscrepancyState.OPEN, DiscrepancyState.RESOLVING, DiscrepancyState.CLAIMED)
# What a run that no longer finds it lets go. What was settled for good stays as somebody settled it.
LET_GO = frozenset({*UNFINISHED, DiscrepancyState.CARRIED})


@dataclass(frozen=True)
class Limits:
    """Up to where a difference has a plain cause.

    Up to `rounding_minor` minor units a line it is one of rounding; up to `fee_parts` hundredths of a percent of ours
    it may be a fee or a rate of exchange; for `pending_days` a network may say that a line is pending.
    """

    rounding_minor: int = 1
    fee_parts: int = 200
    pending_days: int = 30


@dataclass(frozen=True)
class Found:
    """One difference a run has found. Amounts are minor units; money paid out is positive on both sides."""

    leg: Leg
    klass: DiscrepancyClass
    source_id: str | None = None
    conversion_id: str | None = None
    payout_id: str | None = None
    remittance_id: str | None = None
    line_id: str | None = None
    ours_minor: int | None = None
    ours_currency: str | None = None
    theirs_minor: int | None = None
    theirs_currency: str | None = None

    @property
    def subject_key(self) -> str:
        """What it is about; the same in every run that finds it."""
        ours = self.conversion_id or self.payout_id or self.remittance_id
        return f"{self.leg}:{self.klass}:{ours or '-'}:{self.line_id or '-'}"

    @property
    def amounts(self) -> tuple[int | None, str | None, int | None, str | None]:
        """Both sides' amounts, to be compared and kept."""
        return (self.ours_minor, self.ours_currency, self.theirs_minor, self.theirs_currency)


@dataclass(frozen=True)
class Known:
    """A discrepancy an earlier run left behind, as far as a new one needs it."""

    id: str
    subject_key: str
    period: str
    state: DiscrepancyState
    version: int
    amounts: tuple[int | None, str | None, int | None, str | None]


@dataclass(frozen=True)
class Changes:
    """What a run does to the discrepancies: insert, correct and (re)open by id, and let go by id."""

    new: list[Found]
    corrected: dict[str, Found]
    gone: list[str]


def class_of_pair(
    *,
    ours_minor: int | None,
    ours_currency: str,
    theirs_minor: int,
    theirs_currency: str,
    leg: Leg = Leg.NETWORK,
    limits: Limits = Limits(),
) -> DiscrepancyClass | None:
    """Return what is wrong with the amounts of two items that are the same thing.

    None when they agree, or we were never told an amount. A fee makes a network pay less, and a bank take more.
    """
    if ours_currency != theirs_currency:
        return DiscrepancyClass.CURRENCY_MISMATCH
    if ours_minor is None or ours_minor == theirs_minor:
        return None
    off = theirs_minor - ours_minor
    if abs(off) <= limits.rounding_minor:
        return DiscrepancyClass.ROUNDING
    is_against_us = off < 0 if leg is Leg.NETWORK else off > 0
    if is_against_us and abs(off) * WHOLE_PARTS <= abs(ours_minor) * limits.fee_parts:
        return DiscrepancyClass.FEE_OR_FX
    return DiscrepancyClass.AMOUNT_MISMATCH


def class_of_line(
    *,
    is_in_month: bool,
    is_in_other_month: bool,
    is_refused_here: bool = False,
    is_taken_back: bool = False,
    is_paid_out: bool = False,
) -> DiscrepancyClass | None:
    """Return what is wrong with a network's line that has no partner: where we have its id says what it is.

    `is_refused_here`: we have it, rejected or reversed; `is_taken_back`: so says the network. None when both say so.
    A network may take back in a line of its own, of this month or of another: it is no second sale then.
    """
    if is_taken_back and (is_in_month or is_in_other_month):
        return DiscrepancyClass.REVERSED_AFTER_PAYMENT if is_paid_out else DiscrepancyClass.STATUS_MISMATCH
    if is_in_month:
        return DiscrepancyClass.DUPLICATE_AT_NETWORK
    if is_in_other_month:
        return DiscrepancyClass.LATE
    if is_refused_here:
        return None if is_taken_back else DiscrepancyClass.STATUS_MISMATCH
    return DiscrepancyClass.MISSING_AT_US


def class_of_conversion(*, has_paired_twin: bool) -> DiscrepancyClass:
    """Return what is wrong with a conversion without a line; a twin has the same transaction and event, and a line."""
    return DiscrepancyClass.DUPLICATE_AT_US if has_paired_twin else DiscrepancyClass.MISSING_AT_NETWORK


def difference(
    ours_minor: int | None, ours_currency: str | None, theirs_minor: int | None, theirs_currency: str | None
) -> tuple[int, str] | None:
    """Return theirs minus ours with its currency; an absent side counts nothing. None between two currencies."""
    currency = ours_currency or theirs_currency
    if currency is None or (theirs_currency or currency) != currency:
        return None
    return (theirs_minor or 0) - (ours_minor or 0), currency


def changes(period: str, found: Sequence[Found], known: Mapping[str, Known]) -> Changes:
    """Return what a run over `period` changes about the discrepancies `known`, by subject key.

    What a person has settled stays settled while its amounts are what he saw; new amounts open it again. What is not
    found any more is let go, but for what is resolved. What another month already shows is that month's business.
    """
    new, corrected, seen = [], {}, set()
    for item in found:
        seen.add(item.subject_key)
        before = known.get(item.subject_key)
        if before is None:
            new.append(item)
        elif before.state is DiscrepancyState.GONE or (before.period == period and before.amounts != item.amounts):
            corrected[before.id] = item
    gone = [
        before.id
        for key, before in sorted(known.items())
        if before.period == period and key not in seen and before.state in LET_GO
    ]
    return Changes(new, corrected, gone)


def is_of_other_month(period: str, known: Known | None) -> bool:
    """Say whether another month than `period` shows this discrepancy already."""
    return known is not None and known.period != period and known.state is not DiscrepancyState.GONE
