"""What a remittance is, and what is said of one that does not come to what was owed. Plain values."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from core import money
from reports.matching import DiscrepancyClass, Pass

# A charge is small beside what it is a charge on, whatever the setting says: 5 %.
_CHARGE_SHARE = 20
# A shorter reference stands in too many texts by chance; of digits alone even a year has four.
REFERENCE_LENGTH_MIN = 4
DIGITS_LENGTH_MIN = 6
_WORD = re.compile(r"[^\W_]+")  # what str.isalnum calls so


class RemittanceState(StrEnum):
    """Where a remittance stands; its entries say so, a person alone writes it off."""

    OPEN = "open"
    SHORT = "short"  # some of it came
    SETTLED = "settled"
    WRITTEN_OFF = "written_off"


class Origin(StrEnum):
    """How we know of a remittance."""

    ANNOUNCED = "announced"
    DERIVED = "derived"


class PartKind(StrEnum):
    """What an entry takes off what is owed."""

    PAYMENT = "payment"
    CHARGE = "charge"
    WRITE_OFF = "write_off"


@dataclass(frozen=True)
class Owed:
    """A remittance as far as matching needs it: `left_minor` of its amount has not come yet."""

    id: str
    source_id: str
    period: str
    left_minor: int
    currency: str
    due_on: date | None


@dataclass(frozen=True)
class Credit:
    """Money that came to a bank account of ours, and the source a learnt alias says it is from."""

    id: str
    amount_minor: int
    currency: str
    booked_on: date
    source_id: str | None = None


@dataclass(frozen=True)
class Named:
    """A credit carries a remittance's reference: in its own field (exact_id) or in its text (reference)."""

    remittance_id: str
    credit_id: str
    by: Pass


@dataclass(frozen=True)
class Paid:
    """`allocated_minor` of a credit is for a remittance of which `left_minor` was still owed."""

    remittance_id: str
    credit_id: str
    allocated_minor: int
    left_minor: int
    by: Pass
    score: int | None = None  # of a suggestion, 0 to 100

    @property
    def is_suggested(self) -> bool:
        """Say whether a person has to confirm it."""
        return self.score is not None


def charge_limit(expected_minor: int, currency: str, charge_max: Decimal) -> int:
    """Return the most that may be missing of an amount and still be a bank's charge, in minor units."""
    limit = int(charge_max.scaleb(money.exponent(currency)))
    return max(0, min(limit, expected_minor // _CHARGE_SHARE))


def class_of_payment(
    *, expected_minor: int, paid_minor: int, currency: str, charge_max: Decimal
) -> DiscrepancyClass | None:
    """Return what is wrong with what came for a remittance; None when it is what was owed."""
    missing = expected_minor - paid_minor
    if missing == 0:
        return None
    if 0 < missing <= charge_limit(expected_minor, currency, charge_max):
        return DiscrepancyClass.FEE_OR_FX
    return DiscrepancyClass.AMOUNT_MISMATCH


def is_overdue(on: date, due_on: date | None, grace: timedelta) -> bool:
    """Say whether `on` lies past the due day and the days of grace; what has no due day is never overdue."""
    return due_on is not None and on > due_on + grace


def state_of(*, amount_minor: int, paid_minor: int, other_minor: int, is_written_off: bool) -> RemittanceState:
    """Return the state that follows from the parts of a remittance: what came, and what was accepted not to come."""
    if is_written_off:
        return RemittanceState.WRITTEN_OFF
    if paid_minor > 0 and paid_minor + other_minor >= amount_minor:
        return RemittanceState.SETTLED
    return RemittanceState.SHORT if paid_minor > 0 else RemittanceState.OPEN


def names_in(texts: Iterable[tuple[str, str]], references: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the ids of what is referred to and of the text, for each reference that a text carries; both have ids.

    A reference is looked for where its first word stands: the number of references does not matter.
    """
    by_word: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for id_, reference in references:
        if first := _WORD.search(reference.upper()):
            by_word[first.group()].append((id_, reference))
    for text_id, text in texts:
        for word in sorted(set(_WORD.findall(text.upper()))):
            for id_, reference in by_word.get(word, ()):
                if carries(text, reference):
                    yield id_, text_id


def carries(text: str, reference: str) -> bool:
    """Say whether `reference` stands in `text` by itself, capitals aside: RE-12 does not stand in RE-123."""
    if len(reference) < (DIGITS_LENGTH_MIN if reference.isdigit() else REFERENCE_LENGTH_MIN):
        return False
    text, reference = text.upper(), reference.upper()
    at = text.find(reference)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(reference) : at + len(reference) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        at = text.find(reference, at + 1)
    return False
