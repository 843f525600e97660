"""Which chain of approvals a subject takes: policies are data, the first chain that fits wins."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core import conditions
from core.conditions import FieldType
from core.errors import Fault
from core.money import Money

CHAINS_MAX = 100
STEPS_MAX = 10
NEED_MAX = 10
_ID = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_CHAIN_FIELDS = {"id", "when", "steps"}
_STEP_FIELDS = {"id", "approvers", "need", "when"}

# What a condition may ask about a subject. `amount_base` counts minor units of the subject's own currency.
# `covered_fields` and `amount_is_covered` say what is covered by the proof of every conversion in it.
VOCABULARY: Mapping[str, FieldType] = {
    "amount_base": FieldType.INTEGER,
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


@dataclass(frozen=True)
class Subject:
    """What people are asked to approve.

    `facts` is what chains are chosen by; `content` is plain JSON, what the decision is bound to by its hash; `barred`
    are the actors who may not decide: who made it, who edited its payee, who releases it.
    """

    kind: str
    id: str
    money: Money
    title: str
    facts: Mapping[str, Any]
    content: Mapping[str, Any]
    barred: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class RoutedStep:
    """One step as it applies to a subject; `skipped` says in words why it does not, None when it does."""

    id: str
    approvers: Mapping[str, str]
    need: int
    skipped: str | None = None


@dataclass(frozen=True)
class Route:
    """The chain a subject takes. A chain without steps approves by itself, on the record."""

    chain_id: str
    steps: tuple[RoutedStep, ...]

    @property
    def is_approved_by_policy(self) -> bool:
        """Say whether the policy asks nobody."""
        return not self.steps


def content_hash(content: Mapping[str, Any]) -> str:
    """Return `sha256:` and the hash of `content` in canonical JSON: sorted keys, no spaces, ASCII."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return `facts` as JSON keeps them: a set becomes a sorted list, which conditions read the same way."""
    return {name: sorted(fact) if isinstance(fact, set | frozenset) else fact for name, fact in facts.items()}


def route(policy: Mapping[str, Any], facts: Mapping[str, Any]) -> Route:
    """Return the first chain of `policy`, which must be without faults, whose condition fits `facts`."""
    for chain in policy["chains"]:
        if conditions.compiled(chain["when"])(facts):
            return Route(chain["id"], tuple(_routed(step, facts) for step in chain["steps"]))
    message = "no chain fits: the last chain of a policy always does"
    raise ValueError(message)


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


def faults(content: object, roles: Collection[str]) -> list[Fault]:
    """Return everything wrong with a policy's `content`; `roles` are those whose people may decide."""
    return list(_policy_faults(content, roles))


def _routed(step: Mapping[str, Any], facts: Mapping[str, Any]) -> RoutedStep:
    condition = step.get("when", {})
    skipped = None if conditions.compiled(condition)(facts) else f"applies only when {in_words(condition)}"
    return RoutedStep(step["id"], dict(step["approvers"]), step["need"], skipped)


def _value_in_words(value: Any) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _policy_faults(content: object, roles: Collection[str]) -> Iterator[Fault]:
    if not isinstance(content, Mapping):
        yield Fault("chains", 'a policy is an object, such as {"chains": [..]}')
        return
    yield from _unknown(content, {"chains"}, "")
    chains = content.get("chains")
    if not isinstance(chains, list) or not chains:
        yield Fault("chains", "takes a list of at least one chain")
        return
    if len(chains) > CHAINS_MAX:
        yield Fault("chains", f"takes at most {CHAINS_MAX} chains")
        return
    for position, chain in enumerate(chains):
        yield from _chain_faults(chain, roles, f"chains.{position}")
    yield from _repeated(chains, "chains")
    last = chains[-1]
    if not isinstance(last, Mapping) or last.get("when") != {}:
        yield Fault(f"chains.{len(chains) - 1}.when", "the last chain takes {}, so that every subject finds one")


def _chain_faults(chain: object, roles: Collection[str], path: str) -> Iterator[Fault]:
    if not isinstance(chain, Mapping):
        yield Fault(path, "a chain is an object with id, when and steps")
        return
    yield from _unknown(chain, _CHAIN_FIELDS, f"{path}.")
    yield from _id_faults(chain, f"{path}.id")
    yield from conditions.faults(chain.get("when"), VOCABULARY, path=f"{path}.when")
    steps = chain.get("steps")
    if not isinstance(steps, list):
        yield Fault(f"{path}.steps", "takes a list of steps; an empty one approves by policy")
        return
    if len(steps) > STEPS_MAX:
        yield Fault(f"{path}.steps", f"takes at most {STEPS_MAX} steps")
        return
    for position, step in enumerate(steps):
        yield from _step_faults(step, roles, f"{path}.steps.{position}")
    yield from _repeated(steps, f"{path}.steps")
    # Were every step skipped, nobody would have been asked though the policy names approvers.
    if steps and all(isinstance(step, Mapping) and step.get("when") for step in steps):
        yield Fault(f"{path}.steps", "needs a step without a condition; what nobody need approve takes a chain with []")


def _step_faults(step: object, roles: Collection[str], path: str) -> Iterator[Fault]:
    if not isinstance(step, Mapping):
        yield Fault(path, "a step is an object with id, approvers and need")
        return
    yield from _unknown(step, _STEP_FIELDS, f"{path}.")
    yield from _id_faults(step, f"{path}.id")
    approvers = step.get("approvers")
    if not isinstance(approvers, Mapping) or set(approvers) != {"role"}:
        yield Fault(f"{path}.approvers", 'takes {"role": ".."}')
    elif not isinstance(approvers["role"], str) or approvers["role"] not in roles:
        yield Fault(f"{path}.approvers.role", f"is no role that decides; these do: {', '.join(sorted(roles))}")
    need = step.get("need")
    if not isinstance(need, int) or isinstance(need, bool) or not 1 <= need <= NEED_MAX:
        yield Fault(f"{path}.need", f"takes a whole number from 1 to {NEED_MAX}")
    if "when" in step:
        yield from conditions.faults(step["when"], VOCABULARY, path=f"{path}.when")


def _id_faults(part: Mapping[Any, Any], path: str) -> Iterator[Fault]:
    given = part.get("id")
    if not isinstance(given, str) or not _ID.fullmatch(given):
        yield Fault(path, "takes 1 to 40 of a-z, 0-9, _ and -")


def _unknown(part: Mapping[Any, Any], known: set[str], prefix: str) -> Iterator[Fault]:
    for name in part:
        if name not in known:
            yield Fault(f"{prefix}{name}", f"is not a field here; these are: {', '.join(sorted(known))}")


def _repeated(parts: list[Any], path: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for position, part in enumerate(parts):
        given = part.get("id") if isinstance(part, Mapping) else None
        if isinstance(given, str):
            if given in seen:
                yield Fault(f"{path}.{position}.id", f"{given!r} stands here twice")
            seen.add(given)
