"""Whether every contender that records believes, refuses and stores the same as ours: `python -m bench.agree`.

A peer that skips a check would be faster for nothing.
"""

import hashlib
import hmac
import http.client
import sys
import time
from typing import Any

import psycopg

from bench.contenders import CONTENDERS, POSTGRESQL, REFERENCE, Contender
from bench.postbacks import target
from bench.rounds import Ground, ground, serving
from bench.scene import Scene, stage

# Of a row all that the sender decides; ids, moments, the hash and the latency are each server's own.
COLUMNS = (
    "c.dedupe_key, c.transaction_id, claimed_click_id, click_id, campaign_id, affiliate_id, event, payout_minor,"
    " currency, occurred_at = to_timestamp(substring(encode(raw_query, 'escape') from 'ts=([0-9]+)')::float8), subs,"
    " state, hold_reason, c.assurance, peer, method, raw_body, verdict, faults, secret_id, covered_fields, outcome,"
    " e.kind, e.actor_kind, e.actor_id, e.details, e.seq"
)
STORED = f"""SELECT {COLUMNS} FROM receipts r JOIN conversions c ON c.id = r.conversion_id
    JOIN conversion_events e ON e.conversion_id = c.id ORDER BY c.dedupe_key, r.id"""


def main() -> int:
    """Ask each the same questions; return 1 when one answers or stores otherwise than the first."""
    with stage() as place, ground(place) as prepared:
        taking_part = [each for each in CONTENDERS.values() if each.database == POSTGRESQL and each.kind != REFERENCE]
        found = {each.name: _asked(prepared, each) for each in taking_part if not each.missing()}
    ours = next(iter(found.values()))
    for name, said in found.items():
        differences = [question for question in ours if said[question] != ours[question]]
        print(f"{name}: {'differs' if differences else 'agrees'} in {len(ours)} answers and stored rows")
        for question in differences:
            print(f"  {question}: {said[question]} instead of {ours[question]}")
    return 0 if all(said == ours for said in found.values()) else 1


def _asked(prepared: Ground, contender: Contender) -> dict[str, Any]:
    scene = prepared.scenes[POSTGRESQL]
    good, now = target(scene, "TXN-1"), int(time.time())
    questions = {
        "good": good,
        "repeated": good,
        "unknown click": target(scene, "TXN-2", click_id="0" * 26),
        "forged": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "unsigned": good.partition("&sig=")[0],
        "unknown source": good.replace(scene.source_id, "src_nobody"),
        "from the future": _signed(scene, "transaction_id=T3&click_id=c&payout=1.00&currency=EUR&ts=9999999999"),
        "name twice": _signed(scene, "transaction_id=T4&transaction_id=T5&click_id=c&payout=1&currency=EUR&ts={now}"),
        "not UTF-8": _signed(scene, f"transaction_id=%ff&click_id=c&payout=1&currency=EUR&ts={now}"),
        "amount": _signed(scene, f"transaction_id=T6&click_id=c&payout=1e3&currency=EUR&ts={now}"),
    }
    with serving(prepared, contender) as (place, _):
        said: dict[str, Any] = {name: _status(place.port, path) for name, path in questions.items()}
        with psycopg.connect(place.database_url) as connection:
            for number, row in enumerate(connection.execute(STORED.encode()).fetchall()):
                said[f"stored row {number}"] = row
    return said


def _signed(scene: Scene, query: str) -> str:
    message = f"pb1\nGET\n/postback/{scene.source_id}\n{query}".encode()
    return f"/postback/{scene.source_id}?{query}&sig={hmac.new(scene.key, message, hashlib.sha256).hexdigest()}"


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
