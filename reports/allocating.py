"""How much of which item a match takes: one currency, one sign, and never more of an item than there is."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.errors import Fault
from core.money import Money


class Clash(StrEnum):
    """Why a match that was decided upon cannot stand beside those there are by now."""

    TAKEN = "another match that stands has taken it"
    CHANGED = "its amount has changed since: reconcile again"
    GONE = "is not there any more: reconcile again"


@dataclass(frozen=True)
class Item:
    """One item of either side, in minor units; an amount that we were never told is None.

    `taken_minor` is what the `edges` that stand have taken of it.
    """

    id: str
    amount_minor: int | None
    currency: str
    taken_minor: int = 0
    edges: int = 0

    @property
    def left_minor(self) -> int | None:
        """What no match has taken yet; None where the amount is not known."""
        return None if self.amount_minor is None else self.amount_minor - self.taken_minor

    @property
    def is_free(self) -> bool:
        """Say whether a match may still take something of it."""
        return not self.edges or bool(self.left_minor)


@dataclass(frozen=True)
class Edge:
    """One of ours and one of theirs: `allocated_minor` of theirs, less `difference_minor` of ours.

    `is_whole`: the two are matched with each other alone, and wholly, whatever lies between their amounts.
    """

    our_id: str
    their_id: str
    allocated_minor: int
    difference_minor: int = 0
    is_whole: bool = False

    @property
    def ours_minor(self) -> int:
        """How much of ours it takes."""
        return self.allocated_minor - self.difference_minor


@dataclass(frozen=True)
class Allocation:
    """So much of the one is so much of the other, as a person says it."""

    our_id: str
    their_id: str
    amount_minor: int


@dataclass(frozen=True)
class Refused:
    """Why items may not be matched. `is_conflict`: it is no mistake, somebody else was quicker."""

    faults: list[Fault]
    is_conflict: bool = False


def difference_of(edges: Iterable[Edge]) -> int:
    """Return theirs minus ours over a whole group."""
    return sum(edge.difference_minor for edge in edges)


def after(item: Item, parts: Iterable[int]) -> Item:
    """Return `item` when edges have taken `parts` of it."""
    taken = list(parts)
    return replace(item, taken_minor=item.taken_minor + sum(taken), edges=item.edges + len(taken))


def match(ours: Sequence[Item], theirs: Sequence[Item], allocations: Sequence[Allocation] = ()) -> list[Edge] | Refused:
    """Return the edges of a group of these items, or every reason why they may not be matched.

    Without `allocations` one side has one item, and all that is left of every item goes into the group: in their
    order, so that what does not fit stands on the last edge as its difference. With them each takes what it says of
    both sides, and what is left of an item stays open.
    """
    faults = [*_repeated("ours", ours), *_repeated("theirs", theirs), *_foreign(ours, theirs)]
    taken = [*_taken("ours", ours), *_taken("theirs", theirs)]
    if not faults and allocations:
        more, edges = _as_said(ours, theirs, allocations)
        late = [] if more else _overdrawn(ours, theirs, edges)
        # What an earlier match left too little of is no mistake either.
        taken = taken or late
        faults += more
    elif not faults and not taken:
        more, edges = _all_that_is_left(ours, theirs)
        faults += more
    if faults:
        return Refused(faults)
    return Refused(taken, is_conflict=True) if taken else edges


def clashes(edges: Sequence[Edge], ours: Mapping[str, Item], theirs: Mapping[str, Item]) -> dict[str, Clash]:
    """Return for each item that `edges` cannot take, as things stand, why; nothing when they may be confirmed."""
    found: dict[str, Clash] = {}
    for side, name, part in ((ours, "our_id", "ours_minor"), (theirs, "their_id", "allocated_minor")):
        parts: dict[str, list[tuple[int, bool]]] = {}
        for edge in edges:
            parts.setdefault(getattr(edge, name), []).append((getattr(edge, part), edge.is_whole))
        for id_, taken in parts.items():
            clash = _clash(side.get(id_), taken)
            if clash is not None:
                found[id_] = clash
    return found


def parted(
    edges: Sequence[Edge], *, our_ids: Sequence[str] = (), their_ids: Sequence[str] = ()
) -> tuple[list[Edge], list[Edge]] | Refused:
    """Return the edges of a group that stay, and those about the named items that leave it; some of both."""
    faults = []
    for field, named, known in (
        ("our_ids", our_ids, {edge.our_id for edge in edges}),
        ("their_ids", their_ids, {edge.their_id for edge in edges}),
    ):
        faults += [
            Fault(f"{field}.{place}", "is not in this group") for place, id_ in enumerate(named) if id_ not in known
        ]
    leaving = [edge for edge in edges if edge.our_id in our_ids or edge.their_id in their_ids]
    if not faults and not leaving:
        faults = [Fault("their_ids", "their_ids or our_ids name what is to leave the group")]
    if not faults and len(leaving) == len(edges):
        faults = [Fault("our_ids" if our_ids else "their_ids", "are the whole group: nothing would stay in it")]
    return Refused(faults) if faults else ([edge for edge in edges if edge not in leaving], leaving)


def _clash(item: Item | None, taken: Sequence[tuple[int, bool]]) -> Clash | None:
    if item is None:
        return Clash.GONE
    is_whole = any(whole for _, whole in taken)
    total = sum(part for part, _ in taken)
    if not item.is_free or (is_whole and (item.edges or len(taken) > 1)):
        return Clash.TAKEN
    if item.amount_minor is None:
        return None
    if total != item.amount_minor if is_whole else _exceeds(total, item.amount_minor):
        return Clash.CHANGED
    return Clash.TAKEN if _exceeds(item.taken_minor + total, item.amount_minor) else None


def _repeated(field: str, items: Sequence[Item]) -> list[Fault]:
    seen: Counter[str] = Counter()
    faults = []
    for place, item in enumerate(items):
        seen[item.id] += 1
        if seen[item.id] > 1:
            faults.append(Fault(f"{field}.{place}", "stands here twice"))
    return faults


def _foreign(ours: Sequence[Item], theirs: Sequence[Item]) -> list[Fault]:
    currency = ours[0].currency
    return [
        Fault(f"{field}.{place}", f"is in {item.currency}, the first of ours in {currency}: no match mixes currencies")
        for field, items in (("ours", ours), ("theirs", theirs))
        for place, item in enumerate(items)
        if item.currency != currency
    ]


def _taken(field: str, items: Sequence[Item]) -> list[Fault]:
    return [Fault(f"{field}.{place}", Clash.TAKEN.value) for place, item in enumerate(items) if not item.is_free]


def _all_that_is_left(ours: Sequence[Item], theirs: Sequence[Item]) -> tuple[list[Fault], list[Edge]]:
    if len(ours) > 1 and len(theirs) > 1:
        return [Fault("allocations", "are needed between several of ours and several of theirs")], []
    if len(ours) == len(theirs) == 1 and not ours[0].edges and not theirs[0].edges:
        return [], [_whole(ours[0], theirs[0])]
    if len(theirs) == 1:
        return _shared_out(theirs[0], ours)
    return _gathered(ours[0], theirs)


def _whole(our: Item, their: Item) -> Edge:
    allocated = their.amount_minor or 0
    ours = allocated if our.amount_minor is None else our.amount_minor
    return Edge(our.id, their.id, allocated, allocated - ours, is_whole=True)


def _shared_out(their: Item, ours: Sequence[Item]) -> tuple[list[Fault], list[Edge]]:
    """One of theirs, as when a bank books a batch in one sum."""
    total = their.left_minor or 0
    faults = [
        Fault(f"ours.{place}", "was told without an amount: allocations say how much of the line is its own")
        for place, item in enumerate(ours)
        if item.left_minor is None and len(ours) > 1
    ]
    lefts = [total if item.left_minor is None else item.left_minor for item in ours]
    faults += [*faults, *_wrong_signs("ours", lefts, total)] if not faults else []
    if faults:
        return faults, []
    takes = _portions(lefts, total)
    faults = _empty("ours", takes)
    edges = [Edge(item.id, their.id, take, take - left) for item, left, take in zip(ours, lefts, takes, strict=True)]
    return faults, edges


def _gathered(our: Item, theirs: Sequence[Item]) -> tuple[list[Fault], list[Edge]]:
    """One of ours, as when a network tells of one conversion in two lines."""
    lefts = [item.left_minor or 0 for item in theirs]
    total = our.left_minor
    if total is None:
        return _wrong_signs("theirs", lefts, lefts[0]), [
            Edge(our.id, item.id, left) for item, left in zip(theirs, lefts, strict=True)
        ]
    faults = _wrong_signs("theirs", lefts, total)
    if faults:
        return faults, []
    takes = _portions(lefts, total)
    edges = [Edge(our.id, item.id, left, left - take) for item, left, take in zip(theirs, lefts, takes, strict=True)]
    return _empty("theirs", takes), edges


def _portions(lefts: Sequence[int], total: int) -> list[int]:
    """Return what each takes of `total`, all of one sign: its own amount while there is any, the last one the rest."""
    portions, rest = [], total
    for place, left in enumerate(lefts):
        is_last = place == len(lefts) - 1
        portion = rest if is_last or _exceeds(left, rest) else left
        portions.append(portion)
        rest -= portion
    return portions


def _empty(field: str, takes: Sequence[int]) -> list[Fault]:
    return [
        Fault(f"{field}.{place}", "nothing is left for it: match it apart, or say allocations")
        for place, take in enumerate(takes)
        if take == 0
    ]


def _wrong_signs(field: str, amounts: Sequence[int], total: int) -> list[Fault]:
    return [
        Fault(f"{field}.{place}", "has the other sign: match it apart")
        for place, amount in enumerate(amounts)
        if amount * total < 0
    ]


def _as_said(
    ours: Sequence[Item], theirs: Sequence[Item], allocations: Sequence[Allocation]
) -> tuple[list[Fault], list[Edge]]:
    our, their = {item.id: item for item in ours}, {item.id: item for item in theirs}
    faults: list[Fault] = []
    seen: set[tuple[str, str]] = set()
    for place, said in enumerate(allocations):
        at = f"allocations.{place}"
        faults += [Fault(f"{at}.our_id", "is not among ours")] if said.our_id not in our else []
        faults += [Fault(f"{at}.their_id", "is not among theirs")] if said.their_id not in their else []
        faults += [Fault(at, "the pair stands here twice")] if (said.our_id, said.their_id) in seen else []
        seen.add((said.our_id, said.their_id))
        amounts = [item.amount_minor for item in (our.get(said.our_id), their.get(said.their_id)) if item]
        if said.amount_minor == 0:
            faults.append(Fault(f"{at}.amount", "takes more than nothing"))
        elif any(amount is not None and amount * said.amount_minor < 0 for amount in amounts):
            faults.append(Fault(f"{at}.amount", "has another sign than the item it is taken of"))
    edges = [Edge(said.our_id, said.their_id, said.amount_minor) for said in allocations]
    for field, items, place_of in (("ours", ours, 0), ("theirs", theirs, 1)):
        named = {pair[place_of] for pair in seen}
        for place, item in enumerate(items):
            parts = [edge.allocated_minor for edge in edges if (edge.our_id, edge.their_id)[place_of] == item.id]
            if item.id not in named:
                faults.append(Fault(f"{field}.{place}", "no allocation names it"))
            elif item.amount_minor is not None and _exceeds(sum(parts), item.amount_minor):
                whole = Money(item.amount_minor, item.currency)
                faults.append(
                    Fault(f"{field}.{place}", f"allocations take {Money(sum(parts), item.currency)} of {whole}")
                )
    return faults, _whole_if_it_is(our, their, edges) if not faults else edges


def _whole_if_it_is(our: Mapping[str, Item], their: Mapping[str, Item], edges: list[Edge]) -> list[Edge]:
    """A pair that takes both items to the last cent is what it would be without allocations."""
    [only, *others] = edges
    ours, theirs = our[only.our_id], their[only.their_id]
    is_all = only.allocated_minor == theirs.amount_minor and ours.amount_minor in {None, only.allocated_minor}
    return [replace(only, is_whole=True)] if not others and is_all and not ours.edges and not theirs.edges else edges


def _overdrawn(ours: Sequence[Item], theirs: Sequence[Item], edges: Sequence[Edge]) -> list[Fault]:
    faults = []
    for field, items, place_of in (("ours", ours, 0), ("theirs", theirs, 1)):
        for place, item in enumerate(items):
            parts = [edge.allocated_minor for edge in edges if (edge.our_id, edge.their_id)[place_of] == item.id]
            left = item.left_minor
            if left is not None and _exceeds(sum(parts), left):
                faults.append(Fault(f"{field}.{place}", f"only {Money(left, item.currency)} of it is left"))
    return faults


def _exceeds(part: int, whole: int) -> bool:
    """Say whether `part` is more than `whole`, of the same sign, holds."""
    return part * whole < 0 or abs(part) > abs(whole)
