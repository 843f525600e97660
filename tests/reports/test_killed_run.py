"""A worker that is killed in the middle of a run: the next one ends with the same result, on both databases."""

import signal
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core import bulk
from core.actors import system
from core.database import table_of
from core.runtime import Runtime
from postback.models import Conversion
from reports import jobs, reconciliation
from reports.match_models import Match
from reports.matching import Leg
from reports.models import Discrepancy, NetworkLine, Reconciliation
from tests.builders import Builder
from tests.processes import started

LINES = 20_000
AT_ONCE = 1000
AT = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
# What a worker does, without a queue: it says when it begins.
WORKER = """
import os, config
from core import runtime
from web import assembly
runtime.install(assembly.build(config.load(os.environ)))
from reports import jobs
print("begins", flush=True)
jobs.month_end()
"""


def test_a_run_whose_worker_is_killed_is_done_whole_by_the_next(
    runtime: Runtime, environment: dict[str, str], tmp_path: Path
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        _fill(session, source.id, build.report(source).id)
        asked = reconciliation.ask(
            runtime, session, period="2026-10", leg=Leg.NETWORK, source_id=source.id, actor=system("tests")
        )
    killed = [_killed_after(delay_s, environment, tmp_path) for delay_s in (0.05, 0.2, 0.4)]
    with runtime.reading() as session:
        assert session.get_one(Reconciliation, asked.id).state == "waiting"
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 0

    jobs.month_end()

    assert killed == [-signal.SIGKILL] * 3
    with runtime.reading() as session:
        run = session.get_one(Reconciliation, asked.id)
        assert (run.state, run.counts) == (
            "finished",
            {
                "ours": 20_000,
                "theirs": 19_900,
                "matched": 19_800,
                "by_pass": {"confirmed": {"composite": 500, "exact_id": 19_300}, "suggested": {}},
                "discrepancies": {"amount_mismatch": 400, "missing_at_network": 200, "missing_at_us": 100},
            },
        )
        assert session.scalar(sa.select(sa.func.count(sa.distinct(Match.their_id)))) == 19_800
        assert session.scalar(sa.select(sa.func.count(sa.distinct(Match.our_id)))) == 19_800
        assert session.scalar(sa.select(sa.func.count(Discrepancy.id))) == 700


def _killed_after(delay_s: float, environment: dict[str, str], folder: Path) -> int:
    log = folder / f"worker-{delay_s}.log"
    with started([sys.executable, "-c", WORKER], environment, log) as process:
        deadline = time.monotonic() + 60
        while "begins" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        return process.wait(timeout=20)


def _fill(session: Any, source_id: str, statement_id: str) -> None:
    """Fill a month: of 100 conversions one is missing at the network and two differ, of 40 one has no id there."""
    ours, theirs = [], []
    for number in range(LINES):
        amount = 100 + number * 7919 % 9901
        ours.append(_conversion(source_id, number, amount))
        if number % 100 == 0:
            continue
        has_id = number % 40 != 3
        told = amount + 20_000 if number % 50 == 7 else amount
        theirs.append(_line(source_id, statement_id, number, told, f"T{number}" if has_id else None))
    theirs += [
        _line(source_id, statement_id, LINES + number, 50_000_000 + number * 1_000, f"N{number}")
        for number in range(100)
    ]
    for table, rows in ((Conversion, ours), (NetworkLine, theirs)):
        for start in range(0, len(rows), AT_ONCE):
            bulk.insert(session, table_of(table), rows[start : start + AT_ONCE])


def _conversion(source_id: str, number: int, amount_minor: int) -> dict[str, Any]:
    return {
        "id": f"cnv_{number:026}", "source_id": source_id, "dedupe_key": f"T{number}", "content_sha256": "0" * 64,
        "receipt_id": f"rcp_{number:026}", "transaction_id": f"T{number}", "claimed_click_id": f"c{number}",
        "event": "sale", "payout_minor": amount_minor, "currency": "EUR", "occurred_at": AT, "recorded_at": AT,
        "subs": {}, "assurance": "A", "state": "accrued",
    }  # fmt: skip


def _line(
    source_id: str, statement_id: str, number: int, amount_minor: int, transaction_id: str | None
) -> dict[str, Any]:
    return {
        "id": f"nln_{number:026}", "statement_id": statement_id, "source_id": source_id, "line_key": f"{number:064}",
        "line_number": number, "transaction_id": transaction_id, "claimed_click_id": f"c{number}",
        "amount_minor": amount_minor, "currency": "EUR", "occurred_on": date(2026, 10, 15), "period": "2026-10",
    }  # fmt: skip
