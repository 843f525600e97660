"""Which chain of approvals a subject takes: policies are data, the first chain that fits wins."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import conditions
from core.conditions import FieldType
from core.money import Money

# What a condition may ask about a subject. `amount_base` is what thresholds look at: the larger of this subject's
# amount and of what its affiliate comes to in the month, so that splitting ducks under none. `amount_alone` is this
# subject's by itself. Both count minor units of `currency`. `covered_fields` and `amount_is_covered` say what is
# covered by the proof of every conversion in it.
VOCABULARY: Mapping[str, FieldType] = {
    "amount_base": FieldType.INTEGER,
    "amount_alone": FieldType.INTEGER,
    "currency": FieldType.TEXT,
    "affiliate_id": FieldType.TEXT,
    "affiliate.status": FieldType.TEXT,
    "affiliate.bank_changed_days": FieldType.INTEGER,
    "payee.payouts_before": FieldType.INTEGER,
    "source_id": FieldType.TEXT,
    "campaign_id": FieldType.TEXT,
    "category": FieldType.TEXT,
    "assurance": FieldType.TEXT,
    "covered_fields": FieldType.TEXT,
    "amount_is_covered": FieldType.BOOLEAN,
}
# Of these a subject may have several values at once.
SEVERAL = frozenset({"source_id", "campaign_id", "category", "covered_fields"})

TIMEOUT = re.compile(r"([1-9][0-9]{0,3})([mhd])", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
# Who is asked when a step's own people do not decide in time, or too few of them are left.
ESCALATE_DEFAULT: Mapping[str, str] = {"role": "admin"}

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What people are asked to approve.

    `facts` is what chains are chosen by; `content` is plain JSON, what the decision is bound to by its hash; `barred`
    are the actors who may not decide: who made it, who edited its payee, who released it.
    """

    kind: str
    id: str
    money: Money
    title: str
    facts: Facts
    content: Mapping[str, Any]
    barred: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class RoutedStep:
    """One step as it applies to a subject; `skipped` says in words why it does not, None when it does.

    Steps of one `stage` stand open together. After `timeout_s` (None: never) those of `escalate` are asked too.
    """

    id: str
    stage: int
    approvers: Mapping[str, str]
    need: int
    skipped: str | None = None
    timeout_s: int | None = None
    escalate: Mapping[str, str] = field(default_factory=lambda: ESCALATE_DEFAULT)


@dataclass(frozen=True)
class Route:
    """The chain a subject takes. A chain without steps approves by itself, on the record."""

    chain_id: str
    steps: tuple[RoutedStep, ...]

    @property
    def is_approved_by_policy(self) -> bool:
        """Say whether the policy asks nobody."""
        return not self.steps


Router = Callable[[Facts], Route]


def content_hash(content: Mapping[str, Any]) -> str:
    """Return `sha256:` and the hash of `content` in canonical JSON: sorted keys, no spaces, ASCII."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def plain(facts: Facts) -> dict[str, Any]:
    """Return `facts` as JSON keeps them: a set becomes a sorted list, which conditions read the same way."""
    return {name: sorted(fact) if isinstance(fact, set | frozenset) else fact for name, fact in facts.items()}


def route(policy: Mapping[str, Any], facts: Facts) -> Route:
    """Return the first chain of `policy`, which must be without faults, whose condition fits `facts`."""
    return router(policy)(facts)


def router(policy: Mapping[str, Any]) -> Router:
    """Return `route` for one policy, compiled once: for routing many subjects."""
    defaults = policy.get("defaults", {})
    chains = [
        (conditions.compiled(chain["when"]), _chain_router(chain["id"], chain["steps"], defaults))
        for chain in policy["chains"]
    ]

    def routed(facts: Facts) -> Route:
        for fits, found in chains:
            if fits(facts):
                return found(facts)
        message = "no chain fits: the last chain of a policy always does"
        raise ValueError(message)

    return routed


def stages(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return each step's stage, from 1 on: `parallel_with` joins steps, and stages follow by their first step."""
    by_id = {step["id"]: position for position, step in enumerate(steps)}
    first = list(range(len(steps)))

    def root(position: int) -> int:
        while first[position] != position:
            position = first[position]
        return position

    for position, step in enumerate(steps):
        if "parallel_with" in step:
            ends = sorted((root(position), root(by_id[step["parallel_with"]])))
            first[ends[1]] = ends[0]
    roots = [root(position) for position in range(len(steps))]
    order = {found: number for number, found in enumerate(sorted(set(roots)), start=1)}
    return [order[found] for found in roots]


def seconds(timeout: str | None) -> int | None:
    """Return `48h`, `30m` or `2d` in seconds, None for None."""
    if timeout is None:
        return None
    found = TIMEOUT.fullmatch(timeout)
    if found is None:
        message = f"{timeout!r} is no length of time"
        raise ValueError(message)
    return int(found[1]) * _SECONDS[found[2]]


def in_words(condition: Mapping[str, Any]) -> str:
    """Return `condition` as one line for a person, such as `amount_base gt 100000 and currency eq EUR`."""
    if not condition:
        return "always"
    parts = []
    for key, inner in condition.items():
        if key == "not":
            parts.append(f"not ({in_words(inner)})")
        elif key in {"all", "any"}:
            words = [f"({in_words(part)})" if len(inner) > 1 else in_words(part) for part in inner]
            parts.append((" and " if key == "all" else " or ").join(words))
        else:
            parts += [f"{key} {operator} {_value_in_words(value)}" for operator, value in inner.items()]
    return " and ".join(parts)


def approvers_in_words(approvers: Mapping[str, str]) -> str:
    """Return whom a step asks, such as `the role finance`, or `those whose limit covers the amount`."""
    if "limit_covers" in approvers:
        return "those whose limit covers the amount"
    [(kind, name)] = approvers.items()
    return f"the {kind} {name.replace('_', ' ')}"


def _chain_router(chain_id: str, steps: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> Router:
    made = [
        (conditions.compiled(step.get("when", {})), _routed(step, stage, defaults), _skipped(step, stage, defaults))
        for step, stage in zip(steps, stages(steps), strict=True)
    ]
    if not any(step.get("when") for step in steps):
        always = Route(chain_id, tuple(taken for _fits, taken, _skipped in made))
        return lambda _facts: always
    return lambda facts: Route(chain_id, tuple(taken if fits(facts) else skipped for fits, taken, skipped in made))


def _routed(
    step: Mapping[str, Any], stage: int, defaults: Mapping[str, Any], *, skipped: str | None = None
) -> RoutedStep:
    return RoutedStep(
        id=step["id"],
        stage=stage,
        approvers=dict(step["approvers"]),
        need=step["need"],
        skipped=skipped,
        timeout_s=seconds(step.get("timeout", defaults.get("timeout"))),
        escalate=dict(step.get("escalate", defaults.get("escalate", ESCALATE_DEFAULT))),
    )


def _skipped(step: Mapping[str, Any], stage: int, defaults: Mapping[str, Any]) -> RoutedStep:
    return _routed(step, stage, defaults, skipped=f"applies only when {in_words(step.get('when', {}))}")


def _value_in_words(value: Any) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
