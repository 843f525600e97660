"""What a difference is called, how large it is, and what a new run changes about the ones known before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Part of every run's input: other rules are another question, and may have another answer.
RULES_VERSION = 1


class Leg(StrEnum):
    """What is compared with what."""

    NETWORK = "network"  # our conversions, a network's report
    PAYOUT = "payout"  # our payment items, the bank's debits


class Pass(StrEnum):
    """By what two items were found to be the same thing, in the order the passes run."""

    EXACT_ID = "exact_id"
    REFERENCE = "reference"


class DiscrepancyClass(StrEnum):
    """What is wrong, as people say it."""

    MISSING_AT_NETWORK = "missing_at_network"
    MISSING_AT_US = "missing_at_us"
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    DUPLICATE_AT_NETWORK = "duplicate_at_network"
    LATE = "late"
    UNMATCHED_DEBIT = "unmatched_debit"


class DiscrepancyState(StrEnum):
    """Where a discrepancy stands. `gone`: a later run no longer found it."""

    OPEN = "open"
    RESOLVED = "resolved"
    CARRIED = "carried"
    GONE = "gone"


class Resolution(StrEnum):
    """What a person may say about a discrepancy; neither posts anything."""

    EXPLAINED = "explained"
    CARRY_FORWARD = "carry_forward"


STATE_AFTER = {
    Resolution.EXPLAINED: DiscrepancyState.RESOLVED,
    Resolution.CARRY_FORWARD: DiscrepancyState.CARRIED,
}


@dataclass(frozen=True)
class Found:
    """One difference a run has found. Amounts are minor units; money paid out is positive on both sides."""

    leg: Leg
    klass: DiscrepancyClass
    source_id: str | None = None
    conversion_id: str | None = None
    payout_id: str | None = None
    line_id: str | None = None
    ours_minor: int | None = None
    ours_currency: str | None = None
    theirs_minor: int | None = None
    theirs_currency: str | None = None

    @property
    def subject_key(self) -> str:
        """What it is about; the same in every run that finds it."""
        ours = self.payout_id if self.leg is Leg.PAYOUT else self.conversion_id
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
    *, ours_minor: int | None, ours_currency: str, theirs_minor: int, theirs_currency: str
) -> DiscrepancyClass | None:
    """Return what is wrong with two items of the same id; None when they agree, or we were never told an amount."""
    if ours_currency != theirs_currency:
        return DiscrepancyClass.CURRENCY_MISMATCH
    if ours_minor is not None and ours_minor != theirs_minor:
        return DiscrepancyClass.AMOUNT_MISMATCH
    return None


def class_of_line(*, is_in_month: bool, is_in_other_month: bool) -> DiscrepancyClass:
    """Return what is wrong with a network's line that has no partner: where we have its id says what it is."""
    if is_in_month:
        return DiscrepancyClass.DUPLICATE_AT_NETWORK
    return DiscrepancyClass.LATE if is_in_other_month else DiscrepancyClass.MISSING_AT_US


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
    found any more is let go, but for what was explained. What another month already shows is that month's business.
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
        if before.period == period
        and key not in seen
        and before.state in {DiscrepancyState.OPEN, DiscrepancyState.CARRIED}
    ]
    return Changes(new, corrected, gone)


def is_of_other_month(period: str, known: Known | None) -> bool:
    """Say whether another month than `period` shows this discrepancy already."""
    return known is not None and known.period != period and known.state is not DiscrepancyState.GONE
