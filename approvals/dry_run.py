"""How a month's requests would have been routed by another policy: counts, sums, and what differs from what was."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import routing
from approvals.deciding import StepState
from approvals.models import ApprovalPolicy, ApprovalRequest
from approvals.routing import Route
from core import versions
from core.ids import first_of_month, first_token
from core.money import Money

DIFFERENCES_MAX = 500
_ROWS = 1000


@dataclass
class _Tally:
    count: int = 0
    minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, money: Money) -> None:
        self.count += 1
        self.minor[money.currency] += money.amount_minor

    @property
    def sums(self) -> list[Money]:
        return [Money(amount, currency) for currency, amount in sorted(self.minor.items())]


@dataclass(frozen=True)
class ChainTally:
    """How many requests, and how much in each currency, a chain would have taken and how many it took."""

    chain: str
    would: int
    would_sums: list[Money]
    was: int
    was_sums: list[Money]


@dataclass(frozen=True)
class Difference:
    """One request that would have gone another way: by another chain, or asking others."""

    id: str
    subject_id: str
    title: str
    money: Money
    was_chain: str
    would_chain: str
    was_asked: str
    would_ask: str


@dataclass(frozen=True)
class DryRun:
    """The answer for one month; `differences` names at most DIFFERENCES_MAX of `different`, the oldest first."""

    period: str
    version: int
    requests: int
    different: int
    chains: list[ChainTally]
    differences: list[Difference]


def run(session: Session, version: int, period: str) -> DryRun:
    """Route every request made in `period` (YYYY-MM, UTC) by the policy `version`; nothing is changed.

    The facts are those each request was routed on then. Raise NotFound when there is no such policy.
    """
    policy = versions.get(session, ApprovalPolicy, version)
    route = routing.router(policy.content)
    would: defaultdict[str, _Tally] = defaultdict(_Tally)
    was: defaultdict[str, _Tally] = defaultdict(_Tally)
    differences: list[Difference] = []
    count = different = 0
    for request in _of(session, period):
        count += 1
        routed = route(request.facts)
        money = Money(request.amount_minor, request.currency)
        would[routed.chain_id].add(money)
        was[request.chain_id].add(money)
        was_asked, would_ask = _asked_then(request), _would_ask(routed)
        if (routed.chain_id, would_ask) != (request.chain_id, was_asked):
            different += 1
            if len(differences) < DIFFERENCES_MAX:
                ways = (request.chain_id, routed.chain_id, was_asked, would_ask)
                differences.append(Difference(request.id, request.subject_id, request.title, money, *ways))
    chains = [
        ChainTally(chain, would[chain].count, would[chain].sums, was[chain].count, was[chain].sums)
        for chain in sorted({*would, *was})
    ]
    return DryRun(period, version, count, different, chains, differences)


def _of(session: Session, period: str) -> Iterator[ApprovalRequest]:
    first = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    # Ids hold their time: the primary key finds a month without an index of its own.
    low, high = (f"apr_{first_token(moment)}" for moment in (first, first_of_month(first, 1)))
    while True:
        rows = session.scalars(
            sa.select(ApprovalRequest)
            .where(ApprovalRequest.id >= low, ApprovalRequest.id < high)
            .order_by(ApprovalRequest.id)
            .limit(_ROWS)
            .options(sa.orm.selectinload(ApprovalRequest.steps))
        ).all()
        yield from rows
        if len(rows) < _ROWS:
            return
        low = f"{rows[-1].id}0"  # the next above it
        for row in rows:
            session.expunge(row)


def _asked_then(request: ApprovalRequest) -> str:
    steps = [(step.need, step.approvers) for step in request.steps if step.state != StepState.SKIPPED]
    return _in_words(steps)


def _would_ask(route: Route) -> str:
    return _in_words([(step.need, dict(step.approvers)) for step in route.steps if step.skipped is None])


def _in_words(steps: list[tuple[int, dict[str, str]]]) -> str:
    return "; ".join(f"{need} of {routing.approvers_in_words(who)}" for need, who in steps) or "nobody"
