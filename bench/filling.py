"""Many stored conversions at once: clicks, conversions, events and receipts as intake writes them; either database."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from sqlalchemy.orm import Session

from bench.scene import BY, Scene
from core.runtime import Runtime
from partners import affiliates, campaigns
from partners.affiliates import NewAffiliate
from partners.campaigns import NewCampaign
from partners.terms import NewTerms

CHUNK_ROWS = 250_000
CAMPAIGNS, AFFILIATES = 20, 100
# Ids of a time before now, so that what is measured afterwards is written behind them, as it would be.
_ERA = "01k"


class _Connection(Protocol):
    def execute(self, statement: Any, values: Any = ..., /) -> Any: ...


@dataclass(frozen=True)
class Stored:
    """How many rows of each kind, `days` of history, and in which state the conversions are.

    Those that are `unmatched` claim a click that is here and do not have it yet.
    """

    rows: int
    days: int = 90
    state: str = "recorded"
    has_receipts: bool = True


def click_id(number: int) -> str:
    """Return the click id of the filled row `number`, counted from 1."""
    return f"{_ERA}{number:011}{hashlib.md5(f'clk{number}'.encode(), usedforsecurity=False).hexdigest()[:12]}"


def parties(runtime: Runtime) -> list[tuple[str, str]]:
    """Make campaigns and affiliates; return as many pairs of their ids as there are affiliates."""
    with runtime.transaction() as session:
        made = [_campaign(runtime, session, number) for number in range(CAMPAIGNS)]
        return [(made[number % CAMPAIGNS], _affiliate(runtime, session, number)) for number in range(AFFILIATES)]


def _campaign(runtime: Runtime, session: Session, number: int) -> str:
    new = NewCampaign(f"Campaign {number}", "https://shop.example/", NewTerms("told"))
    return campaigns.create(runtime, session, new, actor=BY).id


def _affiliate(runtime: Runtime, session: Session, number: int) -> str:
    return affiliates.create(runtime, session, NewAffiliate(f"Blog {number}", "EUR"), actor=BY).id


def fill(url: str, scene: Scene, pairs: Sequence[tuple[str, str]], stored: Stored) -> None:
    """Fill a fresh database."""
    is_postgresql = not url.startswith("sqlite:///")
    with opened(url) as connection:
        connection.execute("CREATE TEMPORARY TABLE parties (place integer, campaign_id text, affiliate_id text)")
        mark = "%s" if is_postgresql else "?"
        for place, pair in enumerate(pairs):
            connection.execute(f"INSERT INTO parties VALUES ({mark}, {mark}, {mark})", (place, *pair))
        indexes = _without_indexes(connection) if is_postgresql else []
        for first in range(1, stored.rows + 1, CHUNK_ROWS):
            last = min(stored.rows, first + CHUNK_ROWS - 1)
            for statement in _statements(scene, stored, len(pairs), first, last, is_postgresql=is_postgresql):
                connection.execute(statement)
            print(f"  {last} of {stored.rows} rows stored", flush=True)
        for definition in indexes:
            connection.execute(definition)
        connection.execute("ANALYZE")
        if is_postgresql:
            connection.execute("CHECKPOINT")


@contextlib.contextmanager
def opened(url: str) -> Iterator[_Connection]:
    """Open a database to fill it: nothing is checked, and no commit waits for the disk."""
    if url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            # The few functions of PostgreSQL that the statements below use.
            file.create_function("md5", 1, lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
            file.create_function("lpad", 3, lambda text, width, by: text.rjust(width, by))
            file.create_function("convert_to", 2, lambda text, _: text.encode())
            yield file
        return
    with psycopg.connect(url, autocommit=True) as connection:
        # No foreign keys are looked up while filling, and no commit waits for the disk: a checkpoint follows.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute("SET synchronous_commit = off")
        yield connection


def _without_indexes(connection: _Connection) -> list[str]:
    """Drop the indexes that no constraint stands on; return the statements that make them again, all at once."""
    found = connection.execute(
        """SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN (
            SELECT conname FROM pg_constraint)
        AND tablename IN ('clicks', 'conversions', 'conversion_events', 'receipts')"""
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [definition for _, definition in found]


def _statements(
    scene: Scene, stored: Stored, pairs: int, first: int, last: int, *, is_postgresql: bool
) -> Iterator[str]:
    step_s = stored.days * 86_400 / stored.rows
    if is_postgresql:
        numbers = f"generate_series({first}, {last}) AS series(n)"
        moment = f"now() - ({stored.rows} - n) * interval '{step_s:.6f} seconds'"
    else:
        numbers = f"(WITH RECURSIVE series(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})"
        numbers += " SELECT n FROM series) AS series"
        moment = f"strftime('%Y-%m-%d %H:%M:%S', 'now', -(({stored.rows} - n) * {step_s:.6f}) || ' seconds')"
        moment += " || '.000000'"
    source = f"{numbers} JOIN parties ON place = n % {pairs}"
    count = "lpad(CAST(n AS text), 11, '0')"
    click, conversion, receipt = (
        f"'{_ERA}' || {count} || substr(md5('{kind}' || CAST(n AS text)), 1, 12)" for kind in ("clk", "cnv", "rcp")
    )
    matched = f"'clk_' || {click}, campaign_id, affiliate_id" if stored.state != "unmatched" else "NULL, NULL, NULL"
    transaction = f"'TXN-' || substr(md5('txn' || CAST(n AS text)), 1, 16) || '-' || {count}"
    query = (
        f"'click_id=' || {click} || '&transaction_id=' || {transaction} || '&payout=12.34&currency=EUR&event=sale"
        f"&sub1=spring-2026&ts=1767225600&sig=' || md5('a' || CAST(n AS text)) || md5('b' || CAST(n AS text))"
    )
    yield f"""INSERT INTO clicks (id, click_id, campaign_id, affiliate_id, sub1, via, clicked_at, recorded_at)
        SELECT 'clk_' || {click}, {click}, campaign_id, affiliate_id, 'spring-2026', 'redirect', {moment}, {moment}
        FROM {source}"""
    yield f"""INSERT INTO conversions (id, source_id, dedupe_key, content_sha256, receipt_id, transaction_id,
            claimed_click_id, click_id, campaign_id, affiliate_id, event, payout_minor, currency, occurred_at,
            recorded_at, subs, assurance, state)
        SELECT 'cnv_' || {conversion}, '{scene.source_id}', {transaction},
            md5('c' || CAST(n AS text)) || md5('d' || CAST(n AS text)), 'rcp_' || {receipt}, {transaction}, {click},
            {matched}, 'sale', 100 + n * 7919 % 9900, 'EUR', {moment}, {moment},
            '{{"sub1": "spring-2026"}}', 'A', '{stored.state}'
        FROM {source}"""
    yield f"""INSERT INTO conversion_events (conversion_id, seq, kind, at, actor_kind, actor_id, receipt_id, details)
        SELECT 'cnv_' || {conversion}, 1, 'recorded', {moment}, 'system', 'intake', 'rcp_' || {receipt},
            '{{"state": "recorded", "hold_reason": null}}'
        FROM {source}"""
    if stored.has_receipts:
        names = '["click_id", "currency", "event", "payout", "sub1", "transaction_id", "ts"]'
        yield f"""INSERT INTO receipts (id, received_at, source_id, peer, method, raw_query, raw_body,
                signature_headers, verdict, faults, secret_id, assurance, covered_fields, dedupe_key, outcome,
                conversion_id, latency_us)
            SELECT 'rcp_' || {receipt}, {moment}, '{scene.source_id}', '127.0.0.1', 'GET', convert_to({query}, 'UTF8'),
                convert_to('', 'UTF8'), '{{}}', 'believed', '[]', '{scene.secret_id}', 'A', '{names}', {transaction},
                'accepted', 'cnv_' || {conversion}, 900
            FROM {source}"""
