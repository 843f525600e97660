"""Unmatched conversions get their click when it arrives."""

from datetime import timedelta

from core import doorbell
from core.runtime import Runtime
from postback import jobs, matching
from tests.conftest import START, TestClock
from tests.journeys.engine import until
from tests.postback.conftest import NOW_S, Network, Stored, Trade


def waiting_stages(runtime: Runtime) -> set[str]:
    return {job.args[0] for job in doorbell.queue(runtime.redis).jobs}


def test_an_unmatched_conversion_is_matched_when_its_click_arrives(
    network: Network, trade: Trade, stored: Stored, runtime: Runtime, clock: TestClock
) -> None:
    network.send(click_id="SOON")
    network.send(click_id="NEVER", transaction_id="OTHER")
    until(lambda: waiting_stages(runtime) == {"matching-clicks"}, "the ring after the commit")
    clock.advance(seconds=30)
    click = trade.click("SOON", clicked_at=START)

    jobs.match_clicks()

    other, matched = stored.conversions()
    assert (matched.state, matched.click_id, matched.affiliate_id, matched.campaign_id, matched.hold_reason) == (
        "recorded", click, "aff_one", "cmp_one", None,
    )  # fmt: skip
    assert (other.state, other.click_id, other.version) == ("unmatched", None, 1)
    event = next(e for e in stored.events() if e.conversion_id == matched.id and e.seq == 2)
    assert (event.kind, event.actor_id, event.at) == ("matched", "matching-clicks", START + timedelta(seconds=30))
    assert matched.version == 2
    assert waiting_stages(runtime) == {"matching-clicks", "accrual"}
    assert network.send(click_id="SOON").json["status"] == "duplicate"


def test_a_click_too_old_for_its_campaign_holds_the_conversion_and_a_hold_it_had_stays(
    network: Network, trade: Trade, stored: Stored
) -> None:
    network.send(click_id="OLD", transaction_id="1")
    network.send(click_id="OLD", transaction_id="2", ts=str(NOW_S - 3600))
    trade.click("OLD", clicked_at=START - timedelta(days=31))

    jobs.match_clicks()

    assert [(c.state, c.hold_reason) for c in stored.conversions()] == [
        ("recorded", "outside_window"), ("recorded", "late"),
    ]  # fmt: skip


def test_a_batch_takes_its_limit_and_the_stage_goes_on_until_none_waits(
    network: Network, trade: Trade, stored: Stored, runtime: Runtime
) -> None:
    for number in range(5):
        network.send(click_id="SOON", transaction_id=str(number))
    trade.click("SOON")

    with runtime.transaction() as session:
        assert matching.run_batch(runtime, session, 2) == 2
    assert sorted(c.state for c in stored.conversions()) == ["recorded"] * 2 + ["unmatched"] * 3
    jobs.match_clicks()

    assert {c.state for c in stored.conversions()} == {"recorded"}
    assert len(stored.events()) == 10
