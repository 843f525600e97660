"""Which expense category an accrual goes to: ordered rules, the first that fits wins."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core import conditions
from core.conditions import Facts, FieldType
from core.errors import Fault

RULES_MAX = 1000
ACCOUNT_LENGTH_MAX = 120
_TEXT_LENGTHS_MAX = {"code": 40, "name": 200}
_RULE_FIELDS = {"id", "when", "category"}
_CATEGORY_FIELDS = {"code", "name", "account"}
_CENTRE_FIELDS = ("department", "cost_centre")
_CENTRE_LENGTH_MAX = 60
_ID = re.compile(r"[A-Za-z0-9._-]{1,60}", re.ASCII)
_ACCOUNT = re.compile(r"expense(:[a-z0-9_-]+)+", re.ASCII)

# What a rule may ask. `amount_minor` and `currency` are those of what we owe, not of the sale; `amount_base` is in
# minor units of BASE_CURRENCY, at the newest rate known by then, absent without one. `covered_fields` are our
# fields that the network's proof covers, `amount_is_covered` whether what we owe follows from covered ones alone.
VOCABULARY: Mapping[str, FieldType] = {
    "source_id": FieldType.TEXT,
    "campaign_id": FieldType.TEXT,
    "affiliate_id": FieldType.TEXT,
    "event": FieldType.TEXT,
    "currency": FieldType.TEXT,
    "assurance": FieldType.TEXT,
    "covered_fields": FieldType.TEXT,
    "amount_is_covered": FieldType.BOOLEAN,
    "amount_minor": FieldType.INTEGER,
    "amount_base": FieldType.INTEGER,
    "sub1": FieldType.TEXT,
    "sub2": FieldType.TEXT,
    "sub3": FieldType.TEXT,
    "sub4": FieldType.TEXT,
    "sub5": FieldType.TEXT,
}


@dataclass(frozen=True)
class Category:
    """An expense category; `account` is its account in the journal, the rest is for whoever keeps the books."""

    code: str
    name: str
    account: str
    department: str | None = None
    cost_centre: str | None = None

    @classmethod
    def of(cls, row: Any) -> "Category":
        """Return the category of an accrual, or of a row that has its columns."""
        return cls(**{name: getattr(row, f"category_{name}") for name in cls.__dataclass_fields__})

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of an accrual."""
        return {f"category_{name}": getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def shown(self) -> dict[str, str]:
        """What of it is said, without what is not."""
        return {name: value for name, value in asdict(self).items() if value is not None}


UNCATEGORISED = Category("uncategorised", "Uncategorised", "expense:uncategorised")


@dataclass(frozen=True)
class Chosen:
    """The category and the rule that chose it; no rule: nothing fitted, and it waits in `uncategorised`."""

    category: Category
    rule_id: str | None


Chooser = Callable[[Facts], Chosen]


def chooser(rules: Sequence[Mapping[str, Any]]) -> Chooser:
    """Return a closure that chooses among `rules`, which must be without faults; it always chooses.

    It decides once for all facts that are alike where some rule looks at them, and remembers it: take a new one for
    each batch.
    """
    compiled = [(conditions.compiled(rule["when"]), Chosen(Category(**rule["category"]), rule["id"])) for rule in rules]
    nothing_fits = Chosen(UNCATEGORISED, None)

    asked = sorted(set().union(*(conditions.fields(rule["when"]) for rule in rules)))
    decided: dict[tuple[Any, ...], Chosen] = {}

    def choose(facts: Facts) -> Chosen:
        alike = tuple([facts.get(field) for field in asked])
        chosen = decided.get(alike)
        if chosen is None:
            chosen = next((chosen for fits, chosen in compiled if fits(facts)), nothing_fits)
            decided[alike] = chosen
        return chosen

    return choose


def faults(rules: object) -> list[Fault]:
    """Return everything wrong with `rules`, each fault with its dotted path; empty when `chooser` takes them."""
    if not isinstance(rules, list):
        return [Fault("rules", "takes a list of rules")]
    if len(rules) > RULES_MAX:
        return [Fault("rules", f"takes at most {RULES_MAX} rules")]
    found = [fault for position, rule in enumerate(rules) for fault in _rule_faults(rule, f"rules.{position}")]
    return found + list(_repeated(rules))


def _rule_faults(rule: object, path: str) -> Iterator[Fault]:
    if not isinstance(rule, Mapping):
        yield Fault(path, "a rule is an object with id, when and category")
        return
    yield from _unknown(rule, _RULE_FIELDS, path)
    if not isinstance(rule.get("id"), str) or not _ID.fullmatch(rule["id"]):
        yield Fault(f"{path}.id", "takes 1 to 60 letters, digits, dots, underscores and hyphens")
    yield from conditions.faults(rule.get("when"), VOCABULARY, path=f"{path}.when")
    yield from category_faults(rule.get("category"), path=f"{path}.category")


def category_faults(category: object, *, path: str = "category") -> Iterator[Fault]:
    """Yield everything wrong with one category, each fault with its dotted path."""
    if not isinstance(category, Mapping):
        yield Fault(path, "takes an object with code, name and account")
        return
    yield from _unknown(category, _CATEGORY_FIELDS | set(_CENTRE_FIELDS), path)
    for field, length_max in _TEXT_LENGTHS_MAX.items():
        if not _is_text(category.get(field), length_max):
            yield Fault(f"{path}.{field}", f"takes 1 to {length_max} printable characters")
    for field in _CENTRE_FIELDS:
        text = category.get(field)
        if text is not None and not _is_text(text, _CENTRE_LENGTH_MAX):
            yield Fault(f"{path}.{field}", f"takes 1 to {_CENTRE_LENGTH_MAX} printable characters, or is left out")
    account = category.get("account")
    if not isinstance(account, str) or not _ACCOUNT.fullmatch(account) or len(account) > ACCOUNT_LENGTH_MAX:
        yield Fault(
            f"{path}.account",
            f"takes expense: and parts of a-z, 0-9, _ and - joined by colons, {ACCOUNT_LENGTH_MAX} characters at most",
        )


def _is_text(text: object, length_max: int) -> bool:
    return isinstance(text, str) and bool(text.strip()) and text.isprintable() and len(text) <= length_max


def _unknown(part: Mapping[Any, Any], known: set[str], path: str) -> Iterator[Fault]:
    for name in part:
        if name not in known:
            yield Fault(f"{path}.{name}", f"is not a field here; these are: {', '.join(sorted(known))}")


def _repeated(rules: list[Any]) -> Iterator[Fault]:
    seen: set[str] = set()
    for position, rule in enumerate(rules):
        rule_id = rule.get("id") if isinstance(rule, Mapping) else None
        if isinstance(rule_id, str):
            if rule_id in seen:
                yield Fault(f"rules.{position}.id", f"{rule_id!r} stands here twice")
            seen.add(rule_id)
