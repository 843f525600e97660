"""What each class of discrepancy means, how grave it is, and what may be done about it: plain tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.money import EXPONENTS
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution


class Severity(StrEnum):
    """How grave a discrepancy is, the least first."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


# From so many whole units of its currency on a difference is one step graver, and again.
STEPS_AT = (100, 1000)
GRAVITY = tuple(Severity)


@dataclass(frozen=True)
class Kind:
    """One class: what it means, how grave it is at least and at most, and what may be done beside explaining it."""

    means: str
    least: Severity
    most: Severity
    may: frozenset[Resolution] = frozenset()


_C, _R, _S = DiscrepancyClass, Resolution, Severity
# Nothing is posted by these two, and they are always open.
ALWAYS = frozenset({_R.EXPLAINED, _R.CARRY_FORWARD})
_POSTS = frozenset({_R.ACCEPT, _R.WRITE_OFF})
_CLAIMS = frozenset({_R.CLAIM})
# Where the difference has accounts of its own in the journal.
_POSTING_LEGS = frozenset({Leg.NETWORK, Leg.PAYOUT})

KINDS: Mapping[DiscrepancyClass, Kind] = {
    _C.MISSING_AT_NETWORK: Kind(
        "We have a conversion that the network's report does not list.", _S.MEDIUM, _S.HIGH, _POSTS | _CLAIMS
    ),
    _C.MISSING_AT_US: Kind(
        "The network lists a conversion that we never recorded.",
        _S.MEDIUM,
        _S.HIGH,
        frozenset({_R.ACCEPT, _R.CLAIM, _R.CREATE_CONVERSION}),
    ),
    _C.AMOUNT_MISMATCH: Kind("Both sides have it, with different amounts.", _S.LOW, _S.HIGH, _POSTS | _CLAIMS),
    _C.CURRENCY_MISMATCH: Kind("Both sides have it, in different currencies.", _S.MEDIUM, _S.MEDIUM, _CLAIMS),
    _C.STATUS_MISMATCH: Kind(
        "The network's word for it and our state do not go together.", _S.MEDIUM, _S.HIGH, _POSTS | _CLAIMS
    ),
    _C.DUPLICATE_AT_NETWORK: Kind("The network lists one conversion of ours again.", _S.LOW, _S.MEDIUM, _CLAIMS),
    _C.DUPLICATE_AT_US: Kind(
        "We have one more conversion of a transaction than the network lists.", _S.MEDIUM, _S.HIGH, _POSTS | _CLAIMS
    ),
    _C.LATE: Kind("The network lists in this month what happened in another.", _S.INFO, _S.LOW, _CLAIMS),
    _C.REVERSED_AFTER_PAYMENT: Kind(
        "The network takes back what we have paid out already.", _S.HIGH, _S.HIGH, _POSTS | _CLAIMS
    ),
    _C.FEE_OR_FX: Kind(
        "The difference is as small as a fee or a rate of exchange makes it.", _S.LOW, _S.MEDIUM, _POSTS | _CLAIMS
    ),
    _C.UNMATCHED_CREDIT: Kind("The bank booked money in that nothing of ours explains.", _S.MEDIUM, _S.HIGH),
    _C.UNMATCHED_DEBIT: Kind(
        "The bank booked money out that no payout of ours explains.", _S.MEDIUM, _S.HIGH, frozenset({_R.ACCEPT})
    ),
    _C.RETURNED_PAYMENT: Kind(
        "A payment came back with another amount than was sent.", _S.MEDIUM, _S.HIGH, frozenset({_R.ACCEPT})
    ),
    _C.ROUNDING: Kind("The amounts differ by rounding.", _S.INFO, _S.INFO, _POSTS),
    _C.AMBIGUOUS: Kind("More than one item fits, and no rule says which.", _S.LOW, _S.MEDIUM),
    _C.WRONG_AFFILIATE: Kind(
        "The network's click belongs to another affiliate than our conversion.", _S.HIGH, _S.HIGH, _CLAIMS
    ),
    _C.MISSING_AT_ADVERTISER: Kind(
        "We have a conversion that the advertiser's own list does not show.", _S.MEDIUM, _S.HIGH, _CLAIMS
    ),
    _C.STALE_PENDING: Kind("The network has called it pending for too long.", _S.LOW, _S.MEDIUM, _POSTS | _CLAIMS),
}


@dataclass(frozen=True)
class Standing:
    """A discrepancy as far as a resolution looks at it; `difference_minor` is None between two currencies.

    `is_posted`: what was said about it stands in the journal, or has made a conversion. `has_open_claim`: the network
    has not answered yet.
    """

    klass: DiscrepancyClass
    leg: Leg
    state: DiscrepancyState
    difference_minor: int | None
    is_posted: bool = False
    has_open_claim: bool = False


def severity(klass: DiscrepancyClass, difference_minor: int | None, currency: str | None) -> Severity:
    """Return how grave a difference is: by its class, and a step more from each of STEPS_AT on, up to the class's most.

    Whole units of every currency count alike: a rate would make it move from day to day.
    """
    units = 0 if currency is None else abs(difference_minor or 0) // 10 ** EXPONENTS[currency]
    return after_steps(klass, sum(units >= step for step in STEPS_AT))


def after_steps(klass: DiscrepancyClass, steps: int) -> Severity:
    """Return how grave one of `klass` is whose difference has reached so many of STEPS_AT."""
    kind = KINDS[klass]
    return GRAVITY[min(GRAVITY.index(kind.least) + steps, GRAVITY.index(kind.most))]


def refusal(standing: Standing, resolution: Resolution) -> str | None:
    """Return why `resolution` cannot be given now, as a sentence; None when it can."""
    settled = _settled(standing)
    if settled is not None or resolution in ALWAYS:
        return settled
    if resolution not in KINDS[standing.klass].may:
        takes = ", ".join(sorted(ALWAYS | KINDS[standing.klass].may))
        return f"{resolution} is nothing for {standing.klass}: it takes {takes}"
    if standing.has_open_claim and resolution in _POSTS | _CLAIMS:
        return "the network has not answered the claim about it: its answer is recorded first"
    if resolution in _POSTS:
        return _unpostable(standing, resolution)
    if resolution is Resolution.CLAIM and standing.leg is Leg.PAYOUT:
        return "a claim goes to a network, and this is with the bank"
    return None


def allowed(standing: Standing) -> list[Resolution]:
    """Return what may be said about it now, in the order of Resolution."""
    return [each for each in Resolution if refusal(standing, each) is None]


def _settled(standing: Standing) -> str | None:
    if standing.state is DiscrepancyState.GONE:
        return "a later run no longer found this discrepancy: there is nothing to resolve"
    if standing.state is DiscrepancyState.RESOLVING:
        return "its adjustment waits for approval: that is decided first"
    if standing.is_posted:
        return "what was said about it is posted already: another word would not take that back"
    return None


def _unpostable(standing: Standing, resolution: Resolution) -> str | None:
    if standing.leg not in _POSTING_LEGS:
        return f"nothing is posted about the leg {standing.leg} from here"
    if standing.difference_minor is None:
        return "there is no difference between two currencies to post"
    if standing.difference_minor == 0:
        return "there is no difference in money to post"
    if resolution is Resolution.WRITE_OFF:
        is_loss = (standing.difference_minor < 0) is (standing.leg is not Leg.PAYOUT)
        return None if is_loss else "nothing is lost by it: a difference in our favour is accepted"
    return None
