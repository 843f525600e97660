"""What a receipt that is read again comes to: examples at the edges, and sums that add up."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from postback import replaying
from postback.content import Claim, Meaning
from postback.event_rules import State
from postback.replaying import Difference, Facts, Finding, Payouts, Replay, Standing

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
CLAIM = Claim("TXN", "CLICK", "sale", None, Money(50, "GBP"), None, "GBP", {}, None, NOW)
STANDING = Standing(
    "cnv_1", 3, State.RECORDED, "TXN", "GBP", Facts(Money(50, "GBP"), None, None, "CLICK"), is_changed_since=False
)
DEARER = replace(CLAIM, payout=Money(400, "GBP"))


def decided(claim: Claim | None, standing: Standing | None = STANDING, **changes: Any) -> Difference:
    """Decide about one receipt."""
    return replaying.decide(replace(Replay("rcp_1", claim, "TXN", standing, is_key_taken=False), **changes))


@pytest.mark.parametrize(
    ("claim", "standing", "changes", "finding"),
    [
        (None, None, {}, Finding.STILL_INVALID),
        (None, STANDING, {}, Finding.NO_LONGER_VALID),
        (CLAIM, None, {}, Finding.RECORD),
        (CLAIM, None, {"is_key_taken": True}, Finding.KNOWN),
        (replace(CLAIM, meaning=Meaning.IGNORED), None, {}, Finding.IGNORED),
        (replace(CLAIM, meaning=Meaning.REFUNDED), None, {}, Finding.TAKES_BACK),
        (replace(CLAIM, meaning=Meaning.CHARGED_BACK), STANDING, {}, Finding.TAKES_BACK),
        (CLAIM, STANDING, {}, Finding.SAME),
        (CLAIM, replace(STANDING, is_changed_since=True), {}, Finding.SAME),
        (replace(CLAIM, payout=None), STANDING, {}, Finding.SAME),
        (replace(CLAIM, status_word="ok"), STANDING, {}, Finding.DIFFERS),
        (replace(CLAIM, click_id="OTHER"), STANDING, {}, Finding.DIFFERS),
        (DEARER, STANDING, {}, Finding.ADJUST),
        (DEARER, replace(STANDING, state=State.ACCRUED), {}, Finding.ADJUST),
        (replace(CLAIM, amount=Money(9, "GBP")), STANDING, {}, Finding.ADJUST),
        (DEARER, STANDING, {"dedupe_key": "OTHER"}, Finding.OTHER_KEY),
        (replace(DEARER, currency="EUR", payout=Money(50, "EUR")), STANDING, {}, Finding.OTHER_CURRENCY),
        (DEARER, replace(STANDING, is_changed_since=True), {}, Finding.CHANGED_SINCE),
        (DEARER, replace(STANDING, state=State.REJECTED), {}, Finding.ENDED),
        (DEARER, replace(STANDING, state=State.REVERSED), {}, Finding.ENDED),
        (DEARER, replace(STANDING, state=State.TEST), {}, Finding.ENDED),
    ],
)
def test_what_a_receipt_read_again_comes_to(
    claim: Claim | None, standing: Standing | None, changes: dict[str, Any], finding: Finding
) -> None:
    assert decided(claim, standing, **changes).finding is finding


def test_the_sums_hold_what_would_be_done_and_nothing_else() -> None:
    differences = [
        decided(DEARER),
        decided(DEARER, replace(STANDING, is_changed_since=True)),
        decided(CLAIM, None),
        decided(replace(CLAIM, payout=Money(7, "EUR"), currency="EUR"), None),
        decided(CLAIM, None, is_key_taken=True),
        decided(None),
    ]

    assert replaying.payouts(differences) == {"EUR": Payouts(0, 7), "GBP": Payouts(150, 550)}
    assert replaying.changes([*differences, decided(replace(DEARER, status_word="ok"))]) == {
        "payout": 2, "amount": 0, "status": 1, "click_id": 0,
    }  # fmt: skip


def test_the_hash_moves_on_with_everything_it_rests_on() -> None:
    differences = [
        decided(DEARER),
        decided(CLAIM),
        decided(DEARER, replace(STANDING, version=4)),
        decided(DEARER, replace(STANDING, conversion_id="cnv_2")),
        decided(DEARER, receipt_id="rcp_2"),
        decided(replace(DEARER, event="lead")),
    ]

    hashes = {replaying.content_sha256(1, [each]) for each in differences}
    hashes |= {replaying.content_sha256(2, [differences[0]]), replaying.content_sha256(1, differences[:2])}

    assert len(hashes) == 8


AMOUNTS = st.integers(0, 10**6).map(lambda minor: Money(minor, "GBP"))


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, st.booleans()), max_size=6))
def test_before_and_after_differ_by_the_adjustments_alone(rows: list[tuple[Money, Money, bool]]) -> None:
    differences = [
        decided(
            replace(CLAIM, payout=told),
            replace(STANDING, facts=replace(STANDING.facts, payout=stands), is_changed_since=is_changed),
        )
        for stands, told, is_changed in rows
    ]

    sums = replaying.payouts(differences).get("GBP", Payouts(0, 0))

    adjusted = sum(told.amount_minor - stands.amount_minor for stands, told, is_changed in rows if not is_changed)
    assert sums.after_minor - sums.before_minor == adjusted
