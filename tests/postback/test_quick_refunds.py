"""The way of most postbacks leaves to the other what asks for more."""

import asyncio

from core import async_postgresql, async_sqlite
from core.runtime import Runtime
from postback import content, quick_recording, quick_sqlite, recording
from postback.beliefs import Belief, Recorded
from postback.content import Claim, DedupeBy, Reading
from postback.receipts import Attempt
from tests.conftest import START
from tests.postback.conftest import Network, Stored

BY_EVENT = Reading(dedupe_by=DedupeBy.TRANSACTION_EVENT, reversal={"kind": "status"})


def belief(source_id: str, transaction_id: str, event: str, status: str = "approved") -> Belief:
    values = {
        "click_id": "CLICK-1", "transaction_id": transaction_id, "payout": "1.00", "currency": "EUR", "event": event,
        "status": status,
    }  # fmt: skip
    claim = content.read(values, BY_EVENT, sent_at=START)
    assert isinstance(claim, Claim)
    return Belief(
        Attempt(source_id, "GET", "192.0.2.1", b"raw", START, started=0.0), "sec_1", "A", ["payout"], claim,
        f"{transaction_id}|{event}", dedupe_by=DedupeBy.TRANSACTION_EVENT,
    )  # fmt: skip


def test_a_sale_whose_refund_came_first_is_left_to_be_held_and_others_are_written(
    network: Network, stored: Stored, runtime: Runtime
) -> None:
    with runtime.transaction() as session:
        recording.record(runtime, session, [belief(network.source_id, "T1", "refund", "refunded")])
    first, second = belief(network.source_id, "T1", "sale"), belief(network.source_id, "T2", "sale")

    async def tried(beliefs: list[Belief]) -> dict[int, Recorded]:
        if runtime.engine.dialect.name == "postgresql":
            there = async_postgresql.Statements(runtime.engine)
            done = await quick_recording.record(runtime, there, beliefs, {network.source_id: 1}, lambda _stage: None)
            await there.close()
            return done
        here = async_sqlite.Statements(runtime.engine)
        done = await quick_sqlite.record(runtime, here, beliefs, {network.source_id: 1}, lambda _stage: None)
        here.close()
        return done

    both, alone = asyncio.run(tried([first, second])), asyncio.run(tried([first]))

    assert (id(first) in both, id(second) in both, alone) == (False, True, {})
    assert [(each.transaction_id, each.state) for each in stored.conversions()] == [
        ("T1", "reversed"), ("T2", "unmatched"),
    ]  # fmt: skip
    assert {tuple(each.covered_fields) for each in stored.receipts()} == {("payout",)}
