"""Texts made comparable, and what matches by hand teach."""

from hypothesis import given
from hypothesis import strategies as st

from reports import aliases
from reports.aliases import Kept, Lesson, Lessons, Meaning, MeaningKind

BLOG = Meaning(MeaningKind.AFFILIATE, "aff_blog")
SHOP = Meaning(MeaningKind.AFFILIATE, "aff_shop")


def test_case_accents_months_numbers_and_punctuation_do_not_count() -> None:
    september = "SEPA-ÜBERWEISUNG  Müller & Söhne, Provision September 2026 RE-4711 E2E_01K9X"
    october = "sepa überweisung Mu\u0308ller & Söhne/Provision OKTOBER 26 Re-4811 E2E_02K9Y"

    assert aliases.normalised(september) == aliases.normalised(october)
    assert aliases.normalised(october) == "sepa uberweisung muller sohne provision re"
    assert aliases.normalised("März 2026 / 17") == ""
    assert aliases.normalised_id(" ABC-0017/x ") == aliases.normalised_id("abc_0017 X") == "abc0017x"


@given(st.text(max_size=400))
def test_what_is_normalised_stays_as_it_is_and_fits(text: str) -> None:
    for normalised in (aliases.normalised, aliases.normalised_id):
        once = normalised(text)

        assert normalised(once) == once
        assert len(once) <= 255


def test_the_counterparty_says_more_than_the_text() -> None:
    assert aliases.of_bank_line("Blog One GmbH", "Provision 10/2026") == "blog one gmbh"
    assert aliases.of_bank_line("4711", "Provision 10/2026 Blog One") == "provision blog one"
    assert aliases.of_bank_line(None, "123") == ""


def test_a_text_teaches_when_it_says_something_and_means_one() -> None:
    assert aliases.lesson("DE02", "blog one gmbh", [BLOG, BLOG]) == Lesson("DE02", "blog one gmbh", BLOG)
    assert aliases.lesson("DE02", "blog one gmbh", [BLOG, SHOP]) is None
    assert aliases.lesson("DE02", "blog one gmbh", []) is None
    assert aliases.lesson("DE02", "sepa payment of ab", [BLOG]) is None
    assert aliases.lesson("DE02", "", [BLOG]) is None


def test_an_id_teaches_when_the_network_writes_it_otherwise() -> None:
    written = Lesson("src_a", "t0017", Meaning(MeaningKind.TRANSACTION, "T17"))

    assert aliases.lesson_of_ids("src_a", "t-0017", ["T17"]) == written
    assert aliases.lesson_of_ids("src_a", "T17", ["T17"]) is None
    assert aliases.lesson_of_ids("src_a", "t-0017", ["T17", "T18"]) is None
    assert aliases.lesson_of_ids("src_a", None, ["T17"]) is None


def test_a_text_that_stands_for_two_is_dropped_and_what_was_dropped_is_not_learnt_again() -> None:
    blog, shop = Lesson("DE02", "one", BLOG), Lesson("DE02", "one", SHOP)
    key = ("DE02", "one")

    assert aliases.learnt([blog], {}) == Lessons([blog], [])
    assert aliases.learnt([blog], {key: Kept("mal_1", BLOG, is_active=True)}) == Lessons([], [])
    assert aliases.learnt([shop], {key: Kept("mal_1", BLOG, is_active=True)}) == Lessons([], ["mal_1"])
    assert aliases.learnt([blog], {key: Kept("mal_1", BLOG, is_active=False)}) == Lessons([], [])
    assert aliases.learnt([blog, shop], {}) == Lessons([], [])
