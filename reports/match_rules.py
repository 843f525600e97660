"""The rules of matching: which passes a run makes, in which order, and with what limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from core.errors import Fault
from reports.matching import Pass

DAYS_MAX = 31
ITEMS_MAX = 20
TOLERANCE_MINOR_MAX = 1_000_000
# A percentage is kept as hundredths of a percent: SQL then reckons in whole numbers.
PERCENT_PARTS = 100

CONFIRMING = (Pass.EXACT_ID, Pass.COMPOSITE, Pass.REFERENCE, Pass.GROUP)
SUGGESTING = (Pass.AMOUNT_DATE, Pass.SUBSET_SUM)
# What a ruleset may list. Each stands once at most; those that only suggest follow those that confirm, names come last.
PASSES = (*CONFIRMING, *SUGGESTING, Pass.NAMES)


@dataclass(frozen=True)
class Rule:
    """One pass with its limits. Days are theirs minus ours: a bank books after we send."""

    kind: Pass
    days_before: int = 1
    days_after: int = 3
    tolerance_minor: int = 100
    tolerance_parts: int = 100  # hundredths of a percent of our amount; the smaller of the two tolerances counts
    items_max: int = ITEMS_MAX


_WINDOW = {"days_before", "days_after"}
_FIELDS: Mapping[Pass, set[str]] = {
    Pass.EXACT_ID: set(),
    Pass.COMPOSITE: _WINDOW,
    Pass.REFERENCE: set(),
    Pass.GROUP: set(),
    Pass.AMOUNT_DATE: _WINDOW | {"tolerance_minor", "tolerance_percent"},
    Pass.SUBSET_SUM: {"items_max"},
    Pass.NAMES: set(),
}
_RANGES = {
    "days_before": (0, DAYS_MAX),
    "days_after": (0, DAYS_MAX),
    "tolerance_minor": (0, TOLERANCE_MINOR_MAX),
    "items_max": (2, ITEMS_MAX),
}


def rules(passes: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """Return the rules of `passes`, which must be without faults; what they leave out has its default."""
    return [_rule(entry) for entry in passes]


def faults(passes: object) -> list[Fault]:
    """Return everything wrong with `passes`, each fault with its dotted path; empty when `rules` takes them."""
    if not isinstance(passes, list) or not passes:
        return [Fault("passes", "takes a list of at least one pass")]
    found = [fault for position, entry in enumerate(passes) for fault in _faults(entry, f"passes.{position}")]
    return found or list(_order_faults([Pass(entry["pass"]) for entry in passes]))


def tolerance(ours_minor: int, rule: Rule) -> int:
    """Return by how much an amount may differ from ours: the smaller of the absolute and the relative tolerance."""
    return min(rule.tolerance_minor, abs(ours_minor) * rule.tolerance_parts // (100 * PERCENT_PARTS))


def _rule(entry: Mapping[str, Any]) -> Rule:
    given = {name: value for name, value in entry.items() if name not in {"pass", "tolerance_percent"}}
    if "tolerance_percent" in entry:
        given["tolerance_parts"] = int(Decimal(entry["tolerance_percent"]) * PERCENT_PARTS)
    return Rule(Pass(entry["pass"]), **given)


def _faults(entry: object, path: str) -> Iterator[Fault]:
    if not isinstance(entry, Mapping):
        yield Fault(path, "a pass is an object with pass and its limits")
        return
    names = [kind.value for kind in PASSES]
    if entry.get("pass") not in names:
        yield Fault(f"{path}.pass", f"is none of {', '.join(names)}")
        return
    kind = Pass(entry["pass"])
    for name, value in entry.items():
        if name == "pass":
            continue
        if name not in _FIELDS[kind]:
            yield Fault(
                f"{path}.{name}", f"is no limit of {kind}; these are: {', '.join(sorted(_FIELDS[kind])) or '-'}"
            )
        elif name == "tolerance_percent":
            if not _is_percent(value):
                yield Fault(f"{path}.{name}", 'takes 0 to 100 as text, with two decimals at most: "1.5"')
        elif type(value) is not int or not _RANGES[name][0] <= value <= _RANGES[name][1]:
            yield Fault(f"{path}.{name}", f"takes a whole number from {_RANGES[name][0]} to {_RANGES[name][1]}")


def _order_faults(kinds: Sequence[Pass]) -> Iterator[Fault]:
    rank = {**dict.fromkeys(CONFIRMING, 0), **dict.fromkeys(SUGGESTING, 1), Pass.NAMES: 2}
    for position, kind in enumerate(kinds):
        before = kinds[:position]
        if kind in before:
            yield Fault(f"passes.{position}.pass", f"{kind} stands here twice")
        if any(rank[earlier] > rank[kind] for earlier in before):
            yield Fault(f"passes.{position}.pass", "those that confirm come first, then those that suggest, then names")


def _is_percent(value: object) -> bool:
    try:
        percent = Decimal(value) if isinstance(value, str) and len(value) <= 6 else None  # noqa: PLR2004 - 100.00
    except InvalidOperation:
        return False
    if percent is None or not percent.is_finite() or not 0 <= percent <= 100:  # noqa: PLR2004 - percent
        return False
    return percent * PERCENT_PARTS == int(percent * PERCENT_PARTS)
