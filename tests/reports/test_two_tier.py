"""Our conversions beside an advertiser's own list: nothing lost, nothing told twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reports.two_tier import Meaning, Ours, Theirs, compare, is_sampled, meaning_of, vocabulary


def ours(id_: str, transaction_id: str, amount_minor: int | None = 100, **flags: bool) -> Ours:
    is_void, is_old, is_due = (flags.get(name, name != "is_void") for name in ("is_void", "is_old", "is_due"))
    return Ours(id_, transaction_id, amount_minor, "EUR", is_void=is_void, is_old=is_old, is_due=is_due)


def theirs(
    id_: str, transaction_id: str, amount_minor: int = 100, meaning: Meaning = Meaning.VALID, currency: str = "EUR"
) -> Theirs:
    return Theirs(id_, transaction_id, amount_minor, currency, meaning)


def told(mine: list[Ours], others: list[Theirs]) -> list[tuple[str | None, str | None, str | None]]:
    return [
        (each.ours.id if each.ours else None, each.theirs.id if each.theirs else None, each.klass)
        for each in compare(mine, others)
    ]


def test_each_class_is_told_once_and_what_agrees_is_not() -> None:
    mine = [
        ours("c1", "A"), ours("c2", "B"), ours("c3", "C"), ours("c4", "D", is_void=True), ours("c5", "E"),
        ours("c6", "F", None), ours("c7", "G", is_void=True), ours("c8", "H"),
    ]  # fmt: skip
    others = [
        theirs("l1", "A"), theirs("l2", "B", 90), theirs("l3", "C", 1, Meaning.VOID), theirs("l4", "D"),
        theirs("l5", "F", 7), theirs("l6", "G", 1, Meaning.VOID), theirs("l7", "H", 100, currency="USD"),
        theirs("l8", "X"), theirs("l9", "Y", 1, Meaning.VOID),
    ]  # fmt: skip

    assert told(mine, others) == [
        ("c1", "l1", None),
        ("c2", "l2", "amount_mismatch"),
        ("c3", "l3", "status_mismatch"),
        ("c4", "l4", "status_mismatch"),
        ("c5", None, "missing_at_advertiser"),
        ("c6", "l5", None),
        ("c7", "l6", None),
        ("c8", "l7", "currency_mismatch"),
        (None, "l8", "missing_at_us"),
        (None, "l9", None),
    ]


def test_one_that_is_young_or_not_covered_is_nobody_s_mistake() -> None:
    young = ours("c1", "A", 50, is_old=False, is_due=False)
    new = Theirs("l1", "B", 100, "EUR", Meaning.VALID, is_old=False)

    assert told([young], [theirs("l1", "A")]) == [("c1", "l1", None)]
    assert told([young], [new]) == [("c1", None, None), (None, "l1", None)]


def test_of_one_id_equal_amounts_are_paired_first() -> None:
    mine = [ours("c1", "A", 100), ours("c2", "A", 200)]
    others = [theirs("l1", "A", 200), theirs("l2", "A", 300)]

    assert told(mine, others) == [("c2", "l1", None), ("c1", "l2", "amount_mismatch")]


IDS = st.lists(st.sampled_from(["", "A", "B", "a", "é", "\U0001f600"]), max_size=12).map(sorted)


@given(mine=IDS, others=IDS)
def test_every_conversion_and_every_line_comes_out_once(mine: list[str], others: list[str]) -> None:
    ours_ = [ours(f"c{number}", id_) for number, id_ in enumerate(mine)]
    theirs_ = [theirs(f"l{number}", id_) for number, id_ in enumerate(others)]

    found = list(compare(ours_, theirs_))

    assert sorted(each.ours.id for each in found if each.ours) == sorted(each.id for each in ours_)
    assert sorted(each.theirs.id for each in found if each.theirs) == sorted(each.id for each in theirs_)
    pairs = Counter(each.ours.transaction_id for each in found if each.ours and each.theirs)
    assert pairs == Counter(mine) & Counter(others)


@given(seed=st.integers(0, 2**63 - 1), percent=st.integers(1, 100), id_=st.text(max_size=20))
def test_a_larger_sample_of_one_seed_holds_the_smaller_one(seed: int, percent: int, id_: str) -> None:
    if is_sampled(id_, seed=seed, percent=percent):
        assert is_sampled(id_, seed=seed, percent=min(100, percent + 1))
    assert is_sampled(id_, seed=seed, percent=100)


def test_a_sample_takes_about_its_share_and_another_seed_takes_others() -> None:
    ids = [f"TX-{number}" for number in range(2000)]
    first, second = ({id_ for id_ in ids if is_sampled(id_, seed=seed, percent=10)} for seed in (1, 2))

    assert (len(first), len(second)) == (208, 217)
    assert len(first & second) < 40


def test_words_of_its_own_come_before_ours_and_all_faults_are_told() -> None:
    words, faults = vocabulary({"void": ["Storno ", "paid"]})

    assert faults == []
    assert [meaning_of(word, words) for word in ("STORNO", "Paid", "In  Progress", None, "hm")] == [
        "void", "void", "open", "open", None,
    ]  # fmt: skip
    _, faults = vocabulary({"good": ["x"], "void": "x", "valid": ["y"], "open": ["Y"]})
    assert [fault.field for fault in faults] == ["statuses.good", "statuses.void", "statuses.open"]
    assert [fault.field for fault in vocabulary([])[1]] == ["statuses"]
