"""Why an item is not matched: the first condition that fails in each pass, in words, on plain values."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reports.explaining import Facts, Item, Sum, Tried, tried
from reports.match_rules import Rule
from reports.matching import Pass

DAY = 20_376  # 2025-10-15
OURS = Item("cnv_1", 1250, "EUR", DAY, reference="T1", click_id="c1", group_key="T1")
LINE = Item("nln_1", 1250, "EUR", DAY + 1, reference="T9", click_id="c9")
RULES = [Rule(kind) for kind in (Pass.EXACT_ID, Pass.COMPOSITE, Pass.REFERENCE, Pass.GROUP, Pass.AMOUNT_DATE)]
RULES += [Rule(Pass.SUBSET_SUM), Rule(Pass.NAMES)]


def facts(*candidates: Item, item: Item = OURS, **more: Any) -> Facts:
    return replace(Facts(item, True, candidates, {}, 1, len(candidates)), **more)


def conditions(found: Facts) -> dict[str, str | None]:
    return {each.kind.value: each.condition for each in tried(found, RULES, matched_by=None, suggested_by=None)}


def one(kind: Pass, found: Facts) -> Tried:
    return next(each for each in tried(found, RULES, matched_by=None, suggested_by=None) if each.kind is kind)


def test_with_nothing_near_every_pass_names_its_first_condition() -> None:
    assert conditions(facts()) == {
        "exact_id": "same_id",
        "composite": "same_click",
        "reference": "reference_in_text",
        "group": "same_group_key",
        "amount_date": "same_currency",
        "subset_sum": "some_sum",
    }


def test_the_condition_after_the_last_that_holds_is_named_with_the_nearest() -> None:
    same_id = replace(LINE, reference="T1", currency="USD")
    same_click = replace(LINE, id="nln_2", click_id="c1", amount_minor=1200)
    late = replace(LINE, id="nln_3", click_id="c1", day=DAY + 4)

    exact = one(Pass.EXACT_ID, facts(same_id))
    composite = one(Pass.COMPOSITE, facts(LINE, same_click))

    assert (exact.condition, exact.candidates) == ("same_currency", ("nln_1",))
    assert exact.sentence == "none of them is in EUR; nearest: nln_1 (12.50 USD, 2025-10-16)"
    assert (composite.condition, composite.candidates) == ("same_amount", ("nln_2",))
    assert one(Pass.COMPOSITE, facts(late)).condition == "near_date"


def test_what_is_taken_rejected_or_not_the_only_one_is_said_so() -> None:
    fits = replace(LINE, click_id="c1")

    assert one(Pass.COMPOSITE, facts(replace(fits, partner="cnv_2"))).condition == "open"
    assert one(Pass.COMPOSITE, facts(replace(fits, is_rejected=True))).condition == "not_rejected"
    assert one(Pass.COMPOSITE, facts(fits, replace(fits, id="nln_2"))).condition == "only_one"
    rival = replace(OURS, id="cnv_2")
    also = one(Pass.COMPOSITE, facts(fits, rivals={"nln_1": [OURS, rival]}))
    assert (also.condition, also.sentence) == (
        "only_one",
        "nln_1 (12.50 EUR, 2025-10-16) fits others as well: cnv_2 (12.50 EUR, 2025-10-15)",
    )
    assert one(Pass.COMPOSITE, facts(fits, rivals={"nln_1": [OURS]})).condition == "run_since"


def test_groups_and_sums_say_what_they_add_up_to() -> None:
    differ = facts(group=Sum(1, 1250, 2, 1200))

    assert (
        one(Pass.GROUP, differ).sentence == "the sums under 'T1' differ: 12.50 EUR on its side, 12.00 EUR on the other"
    )
    assert one(Pass.GROUP, facts(group=Sum(2, 1250, 2, 1250))).condition == "one_side_is_one"
    assert one(Pass.SUBSET_SUM, facts(open_other=21)).condition == "few_open_items"


def test_what_matched_it_is_named_and_what_comes_after_was_not_tried() -> None:
    found = tried(facts(), RULES, matched_by="composite", suggested_by=None)
    by_hand = tried(facts(), RULES, matched_by="manual", suggested_by=None)

    assert [each.outcome for each in found] == ["failed", "matched", *["not_tried"] * 4]
    assert {each.sentence for each in by_hand} == {"a person matched it"}


items = st.builds(
    Item,
    id=st.sampled_from(["x1", "x2", "x3"]),
    amount_minor=st.none() | st.integers(0, 3),
    currency=st.sampled_from(["EUR", "USD"]),
    day=st.integers(DAY, DAY + 5),
    reference=st.none() | st.sampled_from(["A", "B"]),
    click_id=st.none() | st.sampled_from(["c", "d"]),
    partner=st.none() | st.just("y"),
    is_named=st.booleans(),
)


@given(items, st.lists(items, max_size=4, unique_by=lambda item: item.id), st.booleans())
def test_whatever_the_facts_every_pass_answers_once_with_a_condition(
    item: Item,
    others: list[Item],
    is_ours: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    found = tried(replace(facts(*others, item=item), is_ours=is_ours), RULES, matched_by=None, suggested_by=None)

    assert [each.kind for each in found] == [rule.kind for rule in RULES if rule.kind is not Pass.NAMES]
    assert all(each.outcome == "failed" and each.condition and each.sentence for each in found)
