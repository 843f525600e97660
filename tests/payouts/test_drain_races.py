"""Stages drained by several workers at once, with true commits, killed in the middle, and with rules at work."""

import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

import config
from core import doorbell
from core.runtime import Runtime
from ledger.models import JournalEntry, JournalLine
from payouts import jobs
from payouts.models import Accrual
from postback.models import Conversion, ConversionEvent
from tests.conftest import KEY_ENCRYPTION_KEY, SECRET_KEY
from tests.payouts.books import OCTOBER, Books
from tests.processes import started

WORKERS = 4
PATIENCE_S = 60


def many(books: Books, count: int, **values: object) -> None:
    """Add conversions by the hundred, each with its first event; every tenth without a payout that could be priced."""
    common = {
        "source_id": "src_1", "campaign_id": "cmp_1", "affiliate_id": "aff_1", "content_sha256": "0" * 64,
        "event": "sale", "amount_minor": 100, "currency": "EUR", "occurred_at": OCTOBER, "recorded_at": OCTOBER,
        "subs": {}, "assurance": "A", "state": "recorded", "version": 1, **values,
    }  # fmt: skip
    ids = [f"cnv_{number:06}" for number in range(count)]
    named = ("dedupe_key", "receipt_id", "transaction_id", "claimed_click_id")
    rows = [
        {**common, "id": id_, **dict.fromkeys(named, id_), "payout_minor": None if number % 10 == 9 else number}
        for number, id_ in enumerate(ids)
    ]
    first = {"seq": 1, "kind": "recorded", "at": OCTOBER, "actor_kind": "system", "actor_id": "t", "details": {}}
    with books.runtime.transaction() as session:
        session.execute(sa.insert(Conversion), rows)
        session.execute(sa.insert(ConversionEvent), [{"conversion_id": id_, **first} for id_ in ids])


def check(runtime: Runtime, count: int) -> None:
    """Each conversion has one accrual, one more event and one balanced entry, or none of them and a hold."""
    priced = {f"cnv_{number:06}" for number in range(count) if number % 10 != 9}
    with runtime.reading() as session:
        accrued = {row.id: row.conversion_id for row in session.execute(sa.select(Accrual.id, Accrual.conversion_id))}
        posted = session.scalars(sa.select(JournalEntry.source_id)).all()
        kinds = Counter(session.scalars(sa.select(ConversionEvent.kind)))
        standing = Counter(
            tuple(row)
            for row in session.execute(sa.select(Conversion.state, Conversion.hold_reason, Conversion.version))
        )
        entries = session.execute(
            sa.select(sa.func.count(), sa.func.sum(JournalLine.amount_minor)).group_by(JournalLine.entry_id)
        ).all()
        owed = session.scalar(sa.select(sa.func.sum(Accrual.amount_minor)))
    # The first conversion owes nothing: its accrual has no entry.
    assert Counter(accrued.values()) == Counter(priced)
    assert sorted(posted) == sorted(id_ for id_, conversion_id in accrued.items() if conversion_id != "cnv_000000")
    assert kinds == {"recorded": count, "accrued": len(priced), "unpriceable": count - len(priced)}
    assert standing == {("accrued", None, 2): len(priced), ("recorded", "unpriceable", 2): count - len(priced)}
    assert {tuple(entry) for entry in entries} == {(2, 0)}
    assert owed == sum(number for number in range(count) if number % 10 != 9)


def test_workers_at_once_accrue_each_conversion_exactly_once(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH_ROWS_MAX", 23)
    many(books, 300)
    together = threading.Barrier(WORKERS)

    def work(_: int) -> None:
        together.wait(timeout=10)
        jobs.accrue()

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))

    check(runtime, 300)


def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_half_done(
    runtime: Runtime, books: Books, settings: config.Settings, tmp_path: Path
) -> None:
    count = 12_000
    many(books, count)
    environment = {
        "SECRET_KEY": SECRET_KEY,
        "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "VAR_DIR": str(tmp_path),
    }
    with started([sys.executable, "worker.py", "work"], environment, tmp_path / "worker.log") as worker:
        doorbell.ring(runtime.redis, "accrual")
        deadline = time.monotonic() + PATIENCE_S
        while _accrued(runtime) == 0:
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(timeout=10)
    # It died within a batch, or between two.
    assert 0 < _accrued(runtime) <= count

    jobs.accrue()

    check(runtime, count)


def _accrued(runtime: Runtime) -> int:
    with runtime.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Accrual)) or 0
