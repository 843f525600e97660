"""How much of which item a match takes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reports.allocating import (
    Allocation,
    Clash,
    Edge,
    Item,
    Refused,
    after,
    clashes,
    difference_of,
    match,
    parted,
)


def eur(id_: str, amount_minor: int | None, taken_minor: int = 0) -> Item:
    return Item(id_, amount_minor, "EUR", taken_minor, 1 if taken_minor else 0)


def faults(result: object) -> list[str]:
    assert isinstance(result, Refused)
    return [f"{fault.field}: {fault.reason}" for fault in result.faults]


def test_one_and_one_take_each_other_whole_whatever_lies_between_their_amounts() -> None:
    assert match([eur("o", 1250)], [eur("t", 1200)]) == [Edge("o", "t", 1200, -50, is_whole=True)]
    # An amount that nobody told us is whatever they say.
    assert match([eur("o", None)], [eur("t", 1200)]) == [Edge("o", "t", 1200, 0, is_whole=True)]


def test_a_line_for_several_gives_each_its_own_and_the_last_what_is_over_or_wanting() -> None:
    ours = [eur("a", 1250), eur("b", 750)]

    assert match(ours, [eur("t", 2000)]) == [Edge("a", "t", 1250), Edge("b", "t", 750)]
    assert match(ours, [eur("t", 1990)]) == [Edge("a", "t", 1250), Edge("b", "t", 740, -10)]
    assert match(ours, [eur("t", 2010)]) == [Edge("a", "t", 1250), Edge("b", "t", 760, 10)]
    assert faults(match(ours, [eur("t", 1250)])) == [
        "ours.1: nothing is left for it: match it apart, or say allocations"
    ]


def test_several_lines_for_one_say_together_what_it_is() -> None:
    assert match([eur("o", 1250)], [eur("s", 1000), eur("t", 240)]) == [Edge("o", "s", 1000), Edge("o", "t", 240, -10)]
    assert match([eur("o", None)], [eur("s", 1000), eur("t", 240)]) == [Edge("o", "s", 1000), Edge("o", "t", 240)]


def test_what_an_earlier_match_left_is_what_there_is() -> None:
    assert match([eur("o", 500)], [eur("t", 2000, 1500)]) == [Edge("o", "t", 500)]
    assert match([eur("o", 500)], [eur("t", 2000, 1500)], [Allocation("o", "t", 300)]) == [Edge("o", "t", 300)]
    late = match([eur("o", 900)], [eur("t", 2000, 1500)], [Allocation("o", "t", 600)])
    assert isinstance(late, Refused)
    assert (late.is_conflict, faults(late)) == (True, ["theirs.0: only 5.00 EUR of it is left"])
    taken = match([eur("o", 900)], [eur("t", 2000, 2000)])
    assert isinstance(taken, Refused)
    assert (taken.is_conflict, faults(taken)) == (True, ["theirs.0: another match that stands has taken it"])


def test_every_fault_of_a_match_is_told_at_once() -> None:
    foreign = match([eur("o", 100), eur("o", 100)], [Item("t", 200, "USD")])
    many = match([eur("a", 1), eur("b", 1)], [eur("s", 1), eur("t", 1)])
    said = match(
        [eur("a", 100), eur("b", 100)],
        [eur("s", 150), eur("t", -50)],
        [Allocation("a", "s", 120), Allocation("a", "s", 1), Allocation("x", "t", 0), Allocation("a", "t", 5)],
    )

    assert faults(foreign) == [
        "ours.1: stands here twice",
        "theirs.0: is in USD, the first of ours in EUR: no match mixes currencies",
    ]
    assert faults(many) == ["allocations: are needed between several of ours and several of theirs"]
    assert faults(said) == [
        "allocations.1: the pair stands here twice",
        "allocations.2.our_id: is not among ours",
        "allocations.2.amount: takes more than nothing",
        "allocations.3.amount: has another sign than the item it is taken of",
        "ours.0: allocations take 1.26 EUR of 1.00 EUR",
        "ours.1: no allocation names it",
        "theirs.1: allocations take 0.05 EUR of -0.50 EUR",
    ]
    assert faults(match([eur("a", 100)], [eur("s", 150), eur("t", -50)])) == [
        "theirs.1: has the other sign: match it apart"
    ]
    assert faults(match([eur("a", None), eur("b", 100)], [eur("s", 150)])) == [
        "ours.0: was told without an amount: allocations say how much of the line is its own"
    ]


def test_a_suggestion_clashes_with_what_is_taken_changed_or_gone() -> None:
    whole, part = [Edge("o", "t", 1200, -50, is_whole=True)], [Edge("o", "t", 1200)]

    def found(edges: list[Edge], our: Item | None, their: Item) -> dict[str, Clash]:
        return clashes(edges, {our.id: our} if our else {}, {their.id: their})

    assert found(whole, eur("o", 1250), eur("t", 1200)) == {}
    assert found(whole, eur("o", 1250), eur("t", 1200, 1)) == {"t": Clash.TAKEN}
    assert found(whole, eur("o", 1251), eur("t", 1200)) == {"o": Clash.CHANGED}
    assert found(whole, None, eur("t", 1200)) == {"o": Clash.GONE}
    assert found(part, eur("o", 1250, 50), eur("t", 1200)) == {}
    assert found(part, eur("o", 1250, 51), eur("t", 1200)) == {"o": Clash.TAKEN}
    assert found(part, eur("o", 1199), eur("t", 1200)) == {"o": Clash.CHANGED}
    assert found(part, eur("o", None), eur("t", -1200)) == {"t": Clash.CHANGED}


def test_a_group_is_parted_into_what_stays_and_what_leaves() -> None:
    group = [Edge("a", "t", 1), Edge("b", "t", 1)]

    assert parted(group, our_ids=["b"]) == ([group[0]], [group[1]])
    assert faults(parted(group, their_ids=["t"])) == ["their_ids: are the whole group: nothing would stay in it"]
    assert faults(parted(group, our_ids=["c"])) == ["our_ids.0: is not in this group"]
    assert faults(parted(group)) == ["their_ids: their_ids or our_ids name what is to leave the group"]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Item], list[Item], list[Allocation]]:
    """Items of both sides, some taken in part, and perhaps what is to be taken of them."""

    def items(prefix: str) -> list[Item]:
        amounts = draw(st.lists(st.one_of(st.integers(-40, 40), st.integers(1, 40)), min_size=1, max_size=4))
        left = [draw(st.integers(0, abs(amount))) for amount in amounts]
        is_new = draw(st.booleans())
        return [
            Item(f"{prefix}{number}", amount, "EUR", *((0, 0) if is_new else (amount - at * _sign(amount), 1)))
            for number, (amount, at) in enumerate(zip(amounts, left, strict=True))
        ]

    ours, theirs = items("o"), items("t")
    pair = st.builds(
        Allocation, st.sampled_from([o.id for o in ours]), st.sampled_from([t.id for t in theirs]), st.integers(1, 20)
    )
    return ours, theirs, draw(st.lists(pair, max_size=4))


def _sign(amount: int) -> int:
    return (amount > 0) - (amount < 0)


@given(scenes())
def test_no_item_is_ever_taken_beyond_its_amount_and_what_is_decided_can_stand(scene: Any) -> None:
    ours, theirs, allocations = scene

    edges = match(ours, theirs, allocations)

    if isinstance(edges, Refused):
        assert edges.faults
        return
    by_id = {item.id: item for item in [*ours, *theirs]}
    assert clashes(edges, by_id, by_id) == {}
    taken = {
        item.id: after(item, [edge.ours_minor for edge in edges if edge.our_id == item.id]
                       + [edge.allocated_minor for edge in edges if edge.their_id == item.id])
        for item in by_id.values()
    }  # fmt: skip
    for item in taken.values():
        assert abs(item.taken_minor) <= abs(item.amount_minor or 0)
        assert item.taken_minor * (item.amount_minor or 0) >= 0
    lefts = [sum(item.left_minor or 0 for item in side) for side in (theirs, ours)]
    if not allocations:
        # Without a word about parts nothing stays behind, and theirs minus ours is the difference of the group.
        assert not any(item.is_free for item in taken.values())
        assert difference_of(edges) == lefts[0] - lefts[1]
