"""Who decides for whom: from, to, dates, scope and limit. A delegate delegates no further. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import conditions
from core.money import Money


@dataclass(frozen=True)
class Delegation:
    """`to_id` may decide for `from_id` from `starts_at` up to, and not at, `ends_at`.

    Only requests whose facts fit `scope`, and whose threshold amount is in the limit's currency and no more than it.
    """

    from_id: str
    to_id: str
    starts_at: datetime
    ends_at: datetime
    scope: Mapping[str, Any]
    limit: Money | None = None
    is_out_of_office: bool = False

    def is_live(self, now: datetime) -> bool:
        """Say whether it counts at `now`."""
        return self.starts_at <= now < self.ends_at

    def covers(self, facts: Mapping[str, Any]) -> bool:
        """Say whether a request with `facts` is within scope and limit."""
        if not conditions.compiled(self.scope)(facts):
            return False
        if self.limit is None:
            return True
        amount = facts.get("amount_base")
        return (
            facts.get("currency") == self.limit.currency
            and isinstance(amount, int)
            and amount <= self.limit.amount_minor
        )


def principals(
    delegations: Iterable[Delegation], to_id: str, facts: Mapping[str, Any], now: datetime
) -> frozenset[str]:
    """Return the ids of those for whom `to_id` may decide a request with `facts` at `now`."""
    return frozenset(
        each.from_id for each in delegations if each.to_id == to_id and each.is_live(now) and each.covers(facts)
    )


def refusal(wanted: Delegation, others: Sequence[Delegation]) -> str | None:
    """Return in words why `wanted` cannot stand beside `others`, None when it can.

    At no moment may one who decides for another have handed on his own decisions: that would be a chain, or a loop.
    """
    if wanted.from_id == wanted.to_id:
        return "nobody delegates to himself"
    if wanted.ends_at <= wanted.starts_at:
        return "it ends before it starts"
    for other in others:
        if other.starts_at >= wanted.ends_at or wanted.starts_at >= other.ends_at:
            continue
        if (other.from_id, other.to_id) == (wanted.to_id, wanted.from_id):
            return "that would be a loop: the other has delegated to this person in the same time"
        if other.from_id == wanted.to_id:
            return "that would be a chain: whoever is to decide has delegated his own decisions in that time"
        if other.to_id == wanted.from_id:
            return "that would be a chain: whoever delegates decides for somebody else in that time"
    return None


def chains(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return every (from, over, to) among `pairs` of from and to: what `refusal` keeps from being."""
    found = list(pairs)
    return [(giver, taker, to) for giver, taker in found for from_, to in found if from_ == taker]
