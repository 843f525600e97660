"""Whether an account's bank statements follow on from one another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Span:
    """One statement: from its opening to its closing balance. The same file imported twice is one span."""

    account: str
    currency: str
    reference: str
    opened_on: date
    opening_minor: int
    closed_on: date
    closing_minor: int


def gaps(spans: Iterable[Span]) -> list[Span]:
    """Return the statements whose opening balance is not the closing one of a statement right before them.

    The earliest of an account has none before it. Statements may overlap (a month's and its days') and several may
    share a day; one that ends further back than the latest before the opening is not right before it.
    """
    by_account: dict[tuple[str, str], set[Span]] = {}
    for span in spans:
        by_account.setdefault((span.account, span.currency), set()).add(span)
    found = [span for group in by_account.values() for span in group if not _follows(span, group)]
    return sorted(found, key=lambda span: (span.account, span.opened_on, span.reference))


def _follows(span: Span, group: set[Span]) -> bool:
    others = group - {span}
    before = [other for other in others if other.closed_on < span.opened_on]
    same_day = [other for other in others if other.closed_on == span.opened_on]
    is_first = not before and span.opened_on == min(other.opened_on for other in group)
    latest = max((other.closed_on for other in before), default=None)
    near = [other for other in before if other.closed_on == latest] + same_day
    return is_first or any(other.closing_minor == span.opening_minor for other in near)
