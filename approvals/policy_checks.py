"""What is wrong with a policy: every fault at once, against the people there are. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from approvals import delegating, routing
from approvals.routing import SEVERAL, TIMEOUT, VOCABULARY
from core import conditions, contradictions
from core.errors import Fault

CHAINS_MAX = 100
STEPS_MAX = 10
NEED_MAX = 10
SEPARATION = ("creator", "payee_editor", "batch_releaser")
LIMIT_OF = "amount_base"
_ID = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_POLICY_FIELDS = {"defaults", "chains"}
_DEFAULT_FIELDS = {"separation", "on_change", "timeout", "escalate"}
_CHAIN_FIELDS = {"id", "when", "steps"}
_STEP_FIELDS = {"id", "approvers", "need", "when", "parallel_with", "timeout", "escalate"}


@dataclass(frozen=True)
class Roster:
    """Who may decide today: staff ids by deciding role, by group, and those with any limit; who decides for whom."""

    roles: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()
    delegations: Sequence[tuple[str, str]] = ()

    def of(self, approvers: Mapping[str, str]) -> frozenset[str]:
        """Return the people that `approvers`, which must be without faults, may come to."""
        if "role" in approvers:
            return self.roles[approvers["role"]]
        return self.groups[approvers["group"]] if "group" in approvers else self.limited


def faults(content: object, roster: Roster) -> list[Fault]:
    """Return everything wrong with a policy's `content`; empty when it can be put in force."""
    return list(_policy_faults(content, roster))


def _policy_faults(content: object, roster: Roster) -> Iterator[Fault]:
    if not isinstance(content, Mapping):
        yield Fault("chains", 'a policy is an object, such as {"chains": [..]}')
        return
    yield from _unknown(content, _POLICY_FIELDS, "")
    if "defaults" in content:
        yield from _default_faults(content["defaults"], roster)
    for loop in delegating.chains(roster.delegations):
        yield Fault("delegations", f"are a chain, and a delegate delegates no further: {' -> '.join(loop)}")
    chains = content.get("chains")
    if not isinstance(chains, list) or not chains:
        yield Fault("chains", "takes a list of at least one chain")
        return
    if len(chains) > CHAINS_MAX:
        yield Fault("chains", f"takes at most {CHAINS_MAX} chains")
        return
    for position, chain in enumerate(chains):
        yield from _chain_faults(chain, roster, f"chains.{position}")
    yield from _repeated(chains, "chains")
    yield from _reach_faults(chains)


def _default_faults(defaults: object, roster: Roster) -> Iterator[Fault]:
    if not isinstance(defaults, Mapping):
        yield Fault("defaults", "is an object with separation, on_change, timeout and escalate")
        return
    yield from _unknown(defaults, _DEFAULT_FIELDS, "defaults.")
    separation = defaults.get("separation", list(SEPARATION))
    if not isinstance(separation, list) or sorted(map(str, separation)) != sorted(SEPARATION):
        yield Fault("defaults.separation", f"is always all of {', '.join(SEPARATION)}: the database holds them")
    if defaults.get("on_change", "restart") != "restart":
        yield Fault("defaults.on_change", "takes restart: what has changed is asked about anew")
    yield from _time_faults(defaults, roster, "defaults")


def _chain_faults(chain: object, roster: Roster, path: str) -> Iterator[Fault]:
    if not isinstance(chain, Mapping):
        yield Fault(path, "a chain is an object with id, when and steps")
        return
    yield from _unknown(chain, _CHAIN_FIELDS, f"{path}.")
    yield from _id_faults(chain, f"{path}.id")
    when_faults = conditions.faults(chain.get("when"), VOCABULARY, path=f"{path}.when")
    when = chain.get("when", {}) if not when_faults else {}
    yield from when_faults
    yield from contradictions.faults(when, VOCABULARY, several=SEVERAL, path=f"{path}.when")
    steps = chain.get("steps")
    if not isinstance(steps, list):
        yield Fault(f"{path}.steps", "takes a list of steps; an empty one approves by policy")
        return
    if len(steps) > STEPS_MAX:
        yield Fault(f"{path}.steps", f"takes at most {STEPS_MAX} steps")
        return
    found = [
        fault
        for position, step in enumerate(steps)
        for fault in _step_faults(step, roster, f"{path}.steps.{position}", given=when)
    ]
    yield from found
    yield from _repeated(steps, f"{path}.steps")
    yield from _parallel_faults(steps, f"{path}.steps")
    # Were every step skipped, nobody would have been asked though the policy names approvers.
    if steps and all(isinstance(step, Mapping) and step.get("when") for step in steps):
        yield Fault(f"{path}.steps", "needs a step without a condition; what nobody need approve takes a chain with []")
    if not found:
        yield from _people_faults(steps, roster, f"{path}.steps")


def _step_faults(step: object, roster: Roster, path: str, *, given: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(step, Mapping):
        yield Fault(path, "a step is an object with id, approvers and need")
        return
    yield from _unknown(step, _STEP_FIELDS, f"{path}.")
    yield from _id_faults(step, f"{path}.id")
    wrong = list(_approver_faults(step.get("approvers"), roster, f"{path}.approvers", may_be_limit=True))
    yield from wrong
    need = step.get("need")
    if not isinstance(need, int) or isinstance(need, bool) or not 1 <= need <= NEED_MAX:
        yield Fault(f"{path}.need", f"takes a whole number from 1 to {NEED_MAX}")
    elif not wrong:
        able = len(roster.of(step["approvers"]))
        if need > able:
            who = routing.approvers_in_words(step["approvers"])
            yield Fault(f"{path}.need", f"is {need}, and {who} comes to {able} people today")
    if "when" in step:
        found = conditions.faults(step["when"], VOCABULARY, path=f"{path}.when")
        yield from found
        if not found:
            yield from contradictions.faults(
                step["when"], VOCABULARY, several=SEVERAL, path=f"{path}.when", given=[given]
            )
    yield from _time_faults(step, roster, path)


def _time_faults(part: Mapping[Any, Any], roster: Roster, path: str) -> Iterator[Fault]:
    timeout = part.get("timeout")
    if timeout is not None and not (isinstance(timeout, str) and TIMEOUT.fullmatch(timeout)):
        yield Fault(f"{path}.timeout", "takes a number and m, h or d, such as 48h")
    if "escalate" in part:
        wrong = list(_approver_faults(part["escalate"], roster, f"{path}.escalate", may_be_limit=False))
        yield from wrong
        if not wrong and part["escalate"] == part.get("approvers"):
            yield Fault(f"{path}.escalate", "escalates to those who are asked already")


def _approver_faults(approvers: object, roster: Roster, path: str, *, may_be_limit: bool) -> Iterator[Fault]:
    kinds = ["role", "group", *(["limit_covers"] if may_be_limit else [])]
    if not isinstance(approvers, Mapping) or len(approvers) != 1 or next(iter(approvers)) not in kinds:
        yield Fault(path, "takes one of " + ", ".join(f'{{"{kind}": ".."}}' for kind in kinds))
        return
    [(kind, name)] = approvers.items()
    if kind == "limit_covers":
        if name != LIMIT_OF:
            yield Fault(f"{path}.limit_covers", f"takes {LIMIT_OF}")
        return
    known: Collection[str] = roster.roles if kind == "role" else roster.groups
    if not isinstance(name, str) or name not in known:
        what = "role that decides" if kind == "role" else "group with a member who may decide"
        yield Fault(f"{path}.{kind}", f"is no {what}; these are: {', '.join(sorted(known)) or 'none'}")


def _parallel_faults(steps: Sequence[Any], path: str) -> Iterator[Fault]:
    named = {
        str(step.get("id")): step.get("parallel_with")
        for step in steps
        if isinstance(step, Mapping) and isinstance(step.get("id"), str)
    }
    for position, step in enumerate(steps):
        if not isinstance(step, Mapping) or "parallel_with" not in step:
            continue
        other, place = step["parallel_with"], f"{path}.{position}.parallel_with"
        if not isinstance(other, str) or other not in named:
            yield Fault(place, "names no step of this chain")
            continue
        seen = [step.get("id")]
        while isinstance(other, str) and other in named and other not in seen:
            seen.append(other)
            other = named[other]
        if other == seen[0]:
            yield Fault(place, f"goes round in a circle: {' -> '.join(map(str, [*seen, other]))}")


def _people_faults(steps: Sequence[Mapping[str, Any]], roster: Roster, path: str) -> Iterator[Fault]:
    """Find out whether the steps that always apply can all be passed by different people: one counts once a request."""
    places = [roster.of(step["approvers"]) for step in steps if not step.get("when") for _ in range(step["need"])]
    taken: dict[str, int] = {}

    def seat(place: int, asked: set[str]) -> bool:
        for person in sorted(places[place] - asked):
            asked.add(person)
            if person not in taken or seat(taken[person], asked):
                taken[person] = place
                return True
        return False

    seated = sum(seat(place, set()) for place in range(len(places)))
    if seated < len(places):
        yield Fault(path, f"take {len(places)} different people in all, and {seated} can be found today")


def _reach_faults(chains: Sequence[Any]) -> Iterator[Fault]:
    conditions_seen: list[Any] = []
    for position, chain in enumerate(chains):
        when = chain.get("when") if isinstance(chain, Mapping) else None
        if {} in conditions_seen or (when is not None and when in conditions_seen):
            yield Fault(f"chains.{position}.when", "is never reached: an earlier chain takes everything it would")
        conditions_seen.append(when)
    if conditions_seen[-1] != {}:
        yield Fault(f"chains.{len(chains) - 1}.when", "the last chain takes {}, so that every subject finds one")


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
