"""What is wrong in the network's reports and the bank's statement, planted on purpose. Pure and seeded."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from web.demo.data import NETWORKS, SEED, Kind, Sample

MISSING_AT_US = "missing_at_us"
MISSING_AT_NETWORK = "missing_at_network"
AMOUNT_MISMATCH = "amount_mismatch"
CURRENCY_MISMATCH = "currency_mismatch"
DUPLICATE_AT_NETWORK = "duplicate_at_network"
UNMATCHED_DEBIT = "unmatched_debit"

# How many of each in each network's report, in the order of NETWORKS.
COUNTS: Mapping[str, tuple[int, int, int]] = {
    MISSING_AT_US: (2, 1, 1),
    MISSING_AT_NETWORK: (2, 2, 2),
    AMOUNT_MISMATCH: (2, 2, 1),
    CURRENCY_MISMATCH: (1, 1, 1),
    DUPLICATE_AT_NETWORK: (1, 2, 1),
}
# Debits that pay nobody we know.
STRAY_DEBITS = (
    ("Account fee, month", Decimal("14.90")),
    ("Card terminal rent", Decimal("55.50")),
    ("Direct debit of Acme Office Supplies", Decimal("231.17")),
)
# Of the payments, so many come back with their end-to-end id only in the text.
REFERENCES_IN_TEXT = 2


@dataclass(frozen=True)
class Line:
    """One line of a network's report, before it is written in that network's way."""

    transaction_id: str
    amount: Decimal
    currency: str
    occurred_at: datetime


@dataclass(frozen=True, order=True)
class Problem:
    """One difference: its class, the network or bank it is with, and the transaction id or text it is about."""

    klass: str
    where: str
    about: str


@dataclass(frozen=True)
class Report:
    """One network's report and what is wrong with it."""

    network: int
    lines: Sequence[Line]
    problems: frozenset[Problem]


def reports(sample: Sample) -> list[Report]:
    """Return what each network reports about the month."""
    chance = random.Random(SEED)
    return [_report(chance, sample, network) for network in range(len(NETWORKS))]


def stray_debits() -> frozenset[Problem]:
    """Return what must be found in the bank's statement."""
    return frozenset(Problem(UNMATCHED_DEBIT, "bank", text) for text, _ in STRAY_DEBITS)


def _report(chance: random.Random, sample: Sample, network: int) -> Report:
    true = [each for each in sample.conversions if each.network == network]
    lines = {
        each.transaction_id: [Line(each.transaction_id, each.payout, each.currency, each.occurred_at)]
        for each in true
        if each.occurred_at is not None
    }
    # Only ordinary conversions are tampered with: what else is odd about the others would be a second reason.
    touched = {each.transaction_id for each in sample.of(Kind.DUPLICATE, Kind.CONFLICT)}
    ordinary = [each.transaction_id for each in true if each.kind is Kind.GENUINE]
    chosen = iter(chance.sample([each for each in ordinary if each not in touched], 20))
    problems = set()
    for klass, counts in COUNTS.items():
        for number in range(counts[network]):
            about = f"{NETWORKS[network].prefix}-GHOST-{number}" if klass == MISSING_AT_US else next(chosen)
            _spoil(lines, klass, about, sample.month)
            problems.add(Problem(klass, NETWORKS[network].name, about))
    written = [line for each in lines.values() for line in each]
    return Report(network, sorted(written, key=lambda line: line.occurred_at), frozenset(problems))


def _spoil(lines: dict[str, list[Line]], klass: str, about: str, month: datetime) -> None:
    match klass:
        case "missing_at_us":
            lines[about] = [Line(about, Decimal("7.77"), "EUR", month.replace(day=15, hour=9))]
        case "missing_at_network":
            del lines[about]
        case "amount_mismatch":
            lines[about] = [replace(line, amount=line.amount + Decimal("0.40")) for line in lines[about]]
        case "currency_mismatch":
            lines[about] = [replace(line, currency="USD") for line in lines[about]]
        case "duplicate_at_network":
            lines[about] *= 2
