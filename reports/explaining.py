"""Why an item is matched, or is not: the first condition that fails in each pass, and the words for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from core.money import Money
from reports.match_rules import Rule, tolerance
from reports.matching import Pass

CANDIDATES_MAX = 5
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Item:
    """One item of either side as the passes see it; `partner` is what it is matched with, `is_rejected` with ours."""

    id: str
    amount_minor: int | None
    currency: str
    day: int
    reference: str | None = None
    click_id: str | None = None
    event: str | None = None
    status: str | None = None
    group_key: str | None = None
    text: str | None = None
    partner: str | None = None
    is_rejected: bool = False
    is_named: bool = False  # the reference of one stands in the text of the other, or an alias there means it

    @property
    def sentence(self) -> str:
        """Name it with its amount and day."""
        money = "no amount" if self.amount_minor is None else str(Money(self.amount_minor, self.currency))
        return f"{self.id} ({money}, {_EPOCH + timedelta(days=self.day)})"


@dataclass(frozen=True)
class Sum:
    """What shares a group key: how many items and what they make, on the item's side and on the other."""

    own_number: int
    own_minor: int
    other_number: int
    other_minor: int


@dataclass(frozen=True)
class Facts:
    """An item with those of the other side that come near, and for each of them those of the item's own side that do.

    `open_own` and `open_other` count what is open in its scope and currency; `groups` are the sums by currency.
    """

    item: Item
    is_ours: bool
    candidates: Sequence[Item]
    rivals: Mapping[str, Sequence[Item]]
    open_own: int
    open_other: int
    group: Sum | None = None


@dataclass(frozen=True)
class Tried:
    """What one pass makes of an item: the first condition that does not hold, and the nearest candidates."""

    kind: Pass
    outcome: str  # matched | suggested | failed | not_tried
    condition: str | None
    sentence: str
    candidates: tuple[str, ...] = ()


Holds = Callable[[Item], bool]
Condition = tuple[str, Holds, str]


def tried(facts: Facts, rules: Sequence[Rule], *, matched_by: str | None, suggested_by: str | None) -> list[Tried]:
    """Return what each pass of `rules` makes of the item, which is matched or suggested by those passes already."""
    found, is_matched = [], False
    for rule in rules:
        if rule.kind is Pass.NAMES:
            continue
        if is_matched:
            found.append(Tried(rule.kind, "not_tried", None, "an earlier pass matched it"))
        elif rule.kind == matched_by:
            found.append(Tried(rule.kind, "matched", None, "this pass matched it"))
            is_matched = True
        elif rule.kind == suggested_by:
            found.append(Tried(rule.kind, "suggested", None, "this pass suggests a partner: a person decides"))
        elif matched_by == Pass.MANUAL:
            found.append(Tried(rule.kind, "not_tried", None, "a person matched it"))
        else:
            found.append(_failed(facts, rule))
    return found


def _failed(facts: Facts, rule: Rule) -> Tried:
    if rule.kind is Pass.GROUP:
        return _of_group(facts)
    if rule.kind is Pass.SUBSET_SUM:
        return _of_sums(facts, rule)
    own = next(_missing(facts.item, rule.kind), None)
    if own is not None:
        return Tried(rule.kind, "failed", *own)
    left: Sequence[Item] = facts.candidates
    for name, holds, sentence in conditions(facts.item, rule, is_ours=facts.is_ours):
        still = [item for item in left if holds(item)]
        if not still:
            nearest = [] if left is facts.candidates else left[:CANDIDATES_MAX]
            near = f"; nearest: {', '.join(item.sentence for item in nearest)}" if nearest else ""
            return Tried(rule.kind, "failed", name, sentence + near, tuple(item.id for item in nearest))
        left = still
    return _only_one(facts, rule, left)


def conditions(item: Item, rule: Rule, *, is_ours: bool) -> list[Condition]:
    """Return what a pass asks of a partner of `item`, in order: a name, the question, what is said when none holds."""
    window = f"{rule.days_before} days before to {rule.days_after} days after"
    same_id: Condition = (
        "same_id",
        lambda other: other.reference == item.reference,
        f"nothing on the other side has the id {item.reference!r}",
    )
    same_click: Condition = (
        "same_click",
        lambda other: other.click_id == item.click_id,
        f"nothing on the other side claims click {item.click_id!r}",
    )
    same_currency: Condition = (
        "same_currency",
        lambda other: other.currency == item.currency,
        f"none of them is in {item.currency}",
    )
    same_amount: Condition = (
        "same_amount",
        lambda other: other.amount_minor == item.amount_minor,
        "none of them has the same amount",
    )
    about: Condition = (
        "amount_within_tolerance",
        lambda other: _is_about(item, other, rule, is_ours=is_ours),
        "no amount lies within the tolerance",
    )
    near_date: Condition = (
        "near_date",
        lambda other: _is_near(item, other, rule, is_ours=is_ours),
        f"none of them lies from {window}",
    )
    in_text: Condition = (
        "reference_in_text",
        lambda other: other.is_named,
        "no text and no alias names one to the other",
    )
    first: dict[Pass, list[Condition]] = {
        Pass.EXACT_ID: [same_id, same_currency],
        Pass.COMPOSITE: [same_click, same_currency, same_amount, near_date],
        Pass.REFERENCE: [in_text, same_currency],
        Pass.AMOUNT_DATE: [same_currency, about, near_date],
    }
    return [
        *first[rule.kind],
        ("not_rejected", lambda other: not other.is_rejected, "a person said that these are not the same"),
        ("open", lambda other: other.partner is None, "what fits is matched with another already"),
    ]


def _missing(item: Item, kind: Pass) -> Iterator[tuple[str, str]]:
    if kind is Pass.EXACT_ID and not item.reference:
        yield "has_id", "it has no id"
    if kind is Pass.COMPOSITE and not item.click_id:
        yield "has_click", "it claims no click"
    if kind in {Pass.COMPOSITE, Pass.AMOUNT_DATE} and item.amount_minor is None:
        yield "has_amount", "we were never told its amount"


def _only_one(facts: Facts, rule: Rule, left: Sequence[Item]) -> Tried:
    ids = tuple(item.id for item in left[:CANDIDATES_MAX])
    names = ", ".join(item.sentence for item in left[:CANDIDATES_MAX])
    if len(left) > 1 and rule.kind is not Pass.EXACT_ID:
        return Tried(rule.kind, "failed", "only_one", f"{len(left)} fit, and none is the only one: {names}", ids)
    [one] = left[:1]
    rivals = [
        rival
        for rival in facts.rivals.get(one.id, ())
        if all(holds(rival) for _, holds, _ in conditions(one, rule, is_ours=not facts.is_ours))
        and rival.id != facts.item.id
    ]
    if rivals:
        also = ", ".join(rival.sentence for rival in rivals[:CANDIDATES_MAX])
        return Tried(rule.kind, "failed", "only_one", f"{one.sentence} fits others as well: {also}", ids)
    return Tried(rule.kind, "failed", "run_since", f"nothing speaks against {names}: the next run decides", ids)


def _of_group(facts: Facts) -> Tried:
    key, group, currency = facts.item.group_key, facts.group, facts.item.currency
    if not key:
        return Tried(Pass.GROUP, "failed", "has_group_key", "it declares no group")
    ids = tuple(item.id for item in facts.candidates if item.group_key == key)[:CANDIDATES_MAX]
    if group is None or not group.other_number:
        return Tried(Pass.GROUP, "failed", "same_group_key", f"nothing open on the other side has the group {key!r}")
    if group.own_number > 1 and group.other_number > 1:
        sentence = f"many meet many under {key!r}: {group.own_number} on its side, {group.other_number} on the other"
        return Tried(Pass.GROUP, "failed", "one_side_is_one", sentence, ids)
    if group.own_minor != group.other_minor:
        own, other = Money(group.own_minor, currency), Money(group.other_minor, currency)
        sentence = f"the sums under {key!r} differ: {own} on its side, {other} on the other"
        return Tried(Pass.GROUP, "failed", "equal_sums", sentence, ids)
    return Tried(
        Pass.GROUP, "failed", "run_since", f"nothing speaks against the group {key!r}: the next run decides", ids
    )


def _of_sums(facts: Facts, rule: Rule) -> Tried:
    most = max(facts.open_own, facts.open_other)
    if most > rule.items_max:
        sentence = f"{most} items are open on one side, and sums are looked for among {rule.items_max} at most"
        return Tried(Pass.SUBSET_SUM, "failed", "few_open_items", sentence)
    if facts.item.amount_minor is None:
        return Tried(Pass.SUBSET_SUM, "failed", "has_amount", "we were never told its amount")
    sentence = f"no sum of the {facts.open_other} items that are open on the other side is its amount"
    return Tried(Pass.SUBSET_SUM, "failed", "some_sum", sentence)


def _is_near(item: Item, other: Item, rule: Rule, *, is_ours: bool) -> bool:
    days = (other.day - item.day) * (1 if is_ours else -1)
    return -rule.days_before <= days <= rule.days_after


def _is_about(item: Item, other: Item, rule: Rule, *, is_ours: bool) -> bool:
    if item.amount_minor is None or other.amount_minor is None:
        return False
    ours = item.amount_minor if is_ours else other.amount_minor
    return abs(other.amount_minor - item.amount_minor) <= tolerance(ours, rule)
