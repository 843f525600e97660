"""What it costs to bundle 100,000 accruals, and to write 10,000 payments into a file.

`python -m bench.payment_files`; `--accruals`, `--affiliates` and `--payments` for less.
"""

import argparse
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sepaxml
import sqlalchemy as sa

from bench import results
from bench.databases import TEMPLATE
from bench.results import table
from bench.rounds import Ground, ground
from bench.scene import stage
from core import runtime as runtimes
from core.runtime import Runtime
from payouts import bundling, releasing
from payouts.formats import nacha, pain001
from payouts.formats.values import BatchFile, Payee, PayeeKind, Payer, Payment, UsAccount
from payouts.models import Accrual, Payout
from tests.payouts import filling
from tests.payouts.books import Books

PER_SECOND_MIN = 5_000
PERIOD = "2026-10"
_IBAN = "DE89370400440532013000"


def main() -> int:
    """Measure bundling on each database and the files by themselves; return 1 when the target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.payment_files", description=__doc__)
    parser.add_argument("--accruals", type=int, default=100_000)
    parser.add_argument("--affiliates", type=int, default=100)
    parser.add_argument("--payments", type=int, default=10_000)
    parser.add_argument("--file", choices=[*FILES], help=argparse.SUPPRESS)  # one file in a process of its own
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    if options.file:
        print(*_measured(options.file, options.payments))
        return 0
    bundled: dict[str, dict[str, Any]] = {}
    with stage() as place, ground(place) as prepared:
        for kind in prepared.scenes:
            bundled[kind] = _bundled(prepared, kind, options.accruals, options.affiliates)
            print(kind, bundled[kind], flush=True)
    files = {name: _in_its_own_process(name, options.payments) for name in FILES}
    bundling_head = ("database", "accruals", "payouts", "seconds", "accruals/s", "CPU seconds, ours")
    about_bundling = (
        f"{options.accruals:,} accruals of {options.affiliates} affiliates, one transaction a payout, one worker;"
        f" the target is {PER_SECOND_MIN:,} accruals a second."
    )
    about_files = (
        f"{options.payments:,} payments in one file, each in a process of its own. The peak is that of Python's own"
        " memory, traced in a second run; writing alone yields chunks that are dropped."
    )
    page = [
        "# Bundling and payment files",
        "",
        about_bundling,
        "",
        *table(bundling_head, [[kind, *each.values()] for kind, each in bundled.items()]),
        "",
        about_files,
        "",
        *table(("what", "seconds", "peak MiB", "MiB written"), [[name, *each] for name, each in files.items()]),
    ]
    print("\n".join(page))
    found = {"bundling": bundled, "files": files}
    results.write("payment-files", found, page, folder=options.results)
    return 0 if all(each["per_second"] >= PER_SECOND_MIN for each in bundled.values()) else 1


def _bundled(prepared: Ground, kind: str, accruals: int, affiliates: int) -> dict[str, Any]:
    url = _fresh(prepared, kind)
    with prepared.stage.runtime(url) as runtime:
        runtimes.install(runtime)
        _fill(runtime, accruals, affiliates)
        began, cpu_before = time.perf_counter(), time.process_time()
        with runtime.reading() as session:
            ids = bundling.affiliates_with_payable(session, period=PERIOD, today=runtime.clock().date())
        for affiliate_id in ids:
            payout = True
            while payout:
                with runtime.transaction() as session:
                    payout = bundling.bundle(runtime, session, affiliate_id, period=PERIOD) is not None
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_before
        with runtime.reading() as session:
            payouts = session.scalar(sa.select(sa.func.count()).select_from(Payout)) or 0
            left = session.scalar(sa.select(sa.func.count()).where(Accrual.payout_id.is_(None)))
        if left:
            message = f"{left} accruals were left"
            raise RuntimeError(message)
        return {
            "accruals": accruals, "payouts": payouts, "seconds": round(seconds, 2),
            "per_second": round(accruals / seconds), "cpu_s": round(cpu_s, 2),
        }  # fmt: skip


def _fresh(prepared: Ground, kind: str) -> str:
    if kind == "postgresql" and prepared.cluster is not None:
        return prepared.cluster.create("bench_payments", template=TEMPLATE)
    path = prepared.stage.folder / "payments.sqlite"
    shutil.copy(prepared.stage.folder / "template.sqlite", path)
    return f"sqlite:///{path}"


def _fill(runtime: Runtime, accruals: int, affiliates: int) -> None:
    books = Books(runtime)
    books.source()
    books.campaign()
    names = [f"aff_f{number:05}" for number in range(affiliates)]
    filling.affiliates(runtime, names)
    # The journal has no part in bundling.
    filling.accruals(runtime, [(names[n % affiliates], 100 + n % 997) for n in range(accruals)], is_posted=False)


def _in_its_own_process(name: str, payments: int) -> tuple[str, ...]:
    words = [sys.executable, "-m", "bench.payment_files", "--file", name, "--payments", str(payments)]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    print(name, told.strip(), flush=True)
    return tuple(told.split())


def _measured(name: str, count: int) -> tuple[str, str, str]:
    """Return the seconds, the peak of memory in MiB, and what was written in MiB."""
    write, file = FILES[name], _file(name, count)
    began = time.perf_counter()
    size = sum(len(chunk) for chunk in write(file))
    seconds = time.perf_counter() - began
    tracemalloc.start()
    for _chunk in write(file):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    return f"{seconds:.2f}", f"{peak / 2**20:.1f}", f"{size / 2**20:.1f}"


def _file(name: str, count: int) -> BatchFile:
    american = name == "NACHA"
    account = UsAccount("021000021", "123456789").as_text() if american else _IBAN
    kind = PayeeKind.US_BANK if american else PayeeKind.IBAN
    payments = [
        Payment(
            Payee(f"Payee {n} & Söhne", kind, account), 100 + n, f"E2E{n:012}", f"Affiliate payout {PERIOD} E2E{n:012}"
        )
        for n in range(count)
    ]
    payer = Payer("Example GmbH", "DE02120300000000202051", None, "091000019", "1234567890", "Example Bank")
    made_at = datetime(2026, 11, 2, 9, tzinfo=UTC)
    return BatchFile("bat_bench", "USD" if american else "EUR", payer, payments, made_at, date(2026, 11, 3))


def _checked(file: BatchFile) -> Iterator[bytes]:
    content = b"".join(pain001.write_03(file))
    releasing.check_schema(content, pain001.V03)
    yield content


def _by_sepaxml(file: BatchFile) -> Iterator[bytes]:
    config = {"name": file.payer.name, "IBAN": file.payer.iban, "currency": "EUR", "batch": True}
    theirs = sepaxml.SepaTransfer(config, schema=pain001.V03)
    for each in file.payments:
        theirs.add_payment(
            {
                "name": each.payee.name, "IBAN": each.payee.account, "amount": each.amount_minor,
                "execution_date": file.made_at.date() + timedelta(days=1), "description": each.text,
                "endtoend_id": each.end_to_end_id,
            }
        )  # fmt: skip
    yield theirs.export(validate=False)


FILES = {
    "pain.001.001.03": pain001.write_03,
    "pain.001.001.09": pain001.write_09,
    "pain.001.001.03, joined and checked against its schema": _checked,
    "pain.001.001.03 by sepaxml, not checked": _by_sepaxml,
    "NACHA": nacha.write,
}


if __name__ == "__main__":
    sys.exit(main())
