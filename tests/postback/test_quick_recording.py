"""The quick way records what the thorough one records, and records all that is new and plain."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from core import async_postgresql, async_sqlite
from core.runtime import Runtime
from postback import content, quick_recording, quick_sqlite, recording
from postback.beliefs import Belief, Recorded
from postback.content import Claim, Reading
from postback.models import Conversion, ConversionEvent, Receipt
from postback.receipts import Attempt
from tests.conftest import START
from tests.postback.conftest import Network, Trade

# What two recordings of one postback cannot share.
OWN = {"id", "receipt_id", "conversion_id", "latency_us"}


def belief(source_id: str, transaction_id: str, **changes: Any) -> Belief:
    values = {
        "click_id": "CLICK-1", "transaction_id": transaction_id, "payout": "1.25", "currency": "EUR",
        "amount": "30.00", "sub1": "größe ✓", **changes.pop("values", {}),
    }  # fmt: skip
    claim = content.read(values, Reading(), sent_at=START)
    assert isinstance(claim, Claim)
    attempt = Attempt(
        source_id, "POST", "192.0.2.1", b"raw=%00", START + timedelta(microseconds=7), 0.0, b'{"a": "\xff"}',
        {"webhook-id": "msg_1"},
    )  # fmt: skip
    return Belief(
        attempt, "sec_1", "B", ["payout", "their_id"], claim, claim.transaction_id, covered="payout", **changes
    )


def batch(source_id: str) -> list[Belief]:
    return [
        belief(source_id, "PLAIN"),
        belief(source_id, "NOBODYS", values={"click_id": "CLICK-UNKNOWN"}),
        belief(source_id, "PENDING", values={"status": "pending"}),
        belief(source_id, "LATE", is_late=True),
        belief(source_id, "TEST", is_test=True),
        belief(source_id, "TOLD", values={"occurred_at": "2026-01-01T00:00:00Z", "status": "", "payout": ""}),
    ]


async def quick(runtime: Runtime, beliefs: list[Belief], revision: int, rung: list[str]) -> dict[int, Recorded]:
    """Record by the way of the loop on this database."""
    held = {each.attempt.source_id: revision for each in beliefs}
    if runtime.engine.dialect.name == "postgresql":
        statements = async_postgresql.Statements(runtime.engine)
        try:
            return await quick_recording.record(runtime, statements, beliefs, held, rung.append)
        finally:
            await statements.close()
    other = async_sqlite.Statements(runtime.engine)
    try:
        return await quick_sqlite.record(runtime, other, beliefs, held, rung.append)
    finally:
        other.close()


def rows(runtime: Runtime) -> dict[str, list[dict[str, Any]]]:
    """Return all that was recorded, without what is each row's own."""
    found: dict[str, list[dict[str, Any]]] = {}
    with runtime.transaction() as session:
        for model, order in ((Conversion, "transaction_id"), (Receipt, "dedupe_key")):
            table = model.__table__
            mappings = session.execute(sa.select(table).order_by(sa.text(order))).mappings()
            found[model.__name__] = [{k: v for k, v in row.items() if k not in OWN | {"source_id"}} for row in mappings]
        events = session.execute(
            sa.select(ConversionEvent.__table__).join(Conversion).order_by(Conversion.transaction_id)
        ).mappings()
        found["events"] = [{k: v for k, v in row.items() if k not in OWN} for row in events]
    return found


def test_both_ways_record_the_same_rows(network: Network, trade: Trade, runtime: Runtime) -> None:
    trade.click("CLICK-1", clicked_at=START - timedelta(days=1))
    rung: list[str] = []
    beliefs = batch(network.source_id)

    done = asyncio.run(quick(runtime, beliefs, 1, rung))
    with runtime.transaction() as session:
        again = [replace_key(each) for each in beliefs]
        thorough = recording.record(runtime, session, again)

    assert set(done) == {id(each) for each in beliefs}
    assert [done[id(each)].status for each in beliefs] == [each.status for each in thorough]
    assert sorted(rung) == ["accrual", "matching-clicks"]
    for name, found in rows(runtime).items():
        assert len(found) == 2 * len(beliefs), name
        # Ordered by their ids, each stands before its twin.
        assert [plain(row) for row in found[::2]] == [plain(row) for row in found[1::2]], name


def replace_key(each: Belief) -> Belief:
    """Return the same postback under another id, which sorts next to its own."""
    claim = replace(each.claim, transaction_id=f"{each.claim.transaction_id}-AGAIN")
    return each._replace(claim=claim, dedupe_key=claim.transaction_id)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the ids of both ways spelt alike."""
    alike = {k: v.removesuffix("-AGAIN") if isinstance(v, str) else v for k, v in row.items()}
    return alike | ({"content_sha256": "-"} if "content_sha256" in alike else {})


def test_what_is_not_new_and_what_rests_on_an_earlier_revision_is_left_to_the_other_way(
    network: Network, trade: Trade, runtime: Runtime
) -> None:
    trade.click("CLICK-1", clicked_at=START - timedelta(days=1))
    first, second = belief(network.source_id, "A"), belief(network.source_id, "B")
    rung: list[str] = []

    assert set(asyncio.run(quick(runtime, [first], 1, rung))) == {id(first)}
    assert set(asyncio.run(quick(runtime, [first, second], 1, rung))) == {id(second)}
    assert asyncio.run(quick(runtime, [belief(network.source_id, "C")], 2, rung)) == {}
    assert [row["transaction_id"] for row in rows(runtime)["Conversion"]] == ["A", "B"]
    assert len(rows(runtime)["Receipt"]) == 2
