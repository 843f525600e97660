"""Many at once: true commits, a connection a thread, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import flask

from core.runtime import Runtime
from tests.conftest import Answer, answer_of
from tests.postback.conftest import Network, Stored, Trade

THREADS = 8


def all_at_once(app: flask.Flask, network: Network, queries: list[str]) -> list[Answer]:
    together = threading.Barrier(len(queries))

    def fire(query: str) -> Answer:
        client = app.test_client()
        together.wait()
        return answer_of(client.get(f"/postback/{network.source_id}", query_string=query))

    with ThreadPoolExecutor(len(queries)) as threads:
        return list(threads.map(fire, queries))


def test_eight_threads_with_one_postback_record_one_conversion_and_all_hear_its_id(
    app: flask.Flask, network: Network, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1")

    for number in range(4):
        query = network.signed(transaction_id=f"TXN{number}")
        answers = all_at_once(app, network, [query] * THREADS)

        assert {answer.status_code for answer in answers} == {200}
        assert len({(a.json["receipt_id"], a.json["conversion_id"]) for a in answers}) == 1
        assert sorted(a.json["status"] for a in answers) == ["accepted"] + ["duplicate"] * (THREADS - 1)

    assert len(stored.conversions()) == len(stored.events()) == 4
    assert len(stored.receipts()) == 4 * THREADS


def test_conflicting_contents_at_once_leave_one_conversion_held_and_numbered_events(
    app: flask.Flask, network: Network, trade: Trade, stored: Stored, runtime: Runtime
) -> None:
    trade.click("CLICK-1")

    answers = all_at_once(app, network, [network.signed(payout=f"{number}.00") for number in range(1, THREADS + 1)])

    assert sorted(a.json["status"] for a in answers) == ["accepted"] + ["conflict"] * (THREADS - 1)
    [conversion] = stored.conversions()
    assert (conversion.hold_reason, conversion.version) == ("conflict", THREADS)
    assert [event.seq for event in stored.events()] == list(range(1, THREADS + 1))
