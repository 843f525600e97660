"""What it costs to write a report of 200,000 rows to a file in every form, on SQLite, and how much memory that takes.

`python -m bench.exports`; `--rows` for more or less. A tenth of them is written too: memory must not grow with rows.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import results
from bench.results import table
from bench.scene import Stage, sqlite_template, stage
from core import runtime as runtimes
from reports.exports import producing
from reports.exports.formats import FORMATS
from tests.payouts import filling
from tests.payouts.books import Books

REPORT = "conversions"
PARTS = 10
_MIB = 2**20


def main() -> int:
    """Fill a database and write each form in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench.exports", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--format", help=argparse.SUPPRESS)  # one file in a process of its own
    parser.add_argument("--database", help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    parser.add_argument("--affiliate", default="", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    if options.format:
        place = Stage(Path(options.database).parent, options.redis)
        print(*_measured(place, f"sqlite:///{options.database}", options.format, options.affiliate))
        return 0
    found: list[dict[str, Any]] = []
    with stage() as place:
        path = _filled(place, options.rows)
        for form in FORMATS:
            for affiliate in (_affiliate(0), ""):
                if affiliate or FORMATS[form].rows_max is None:
                    found.append(_in_its_own_process(place, path, form, affiliate))
                    print(found[-1], flush=True)
    head = ("format", "rows", "seconds", "rows/s", "peak MiB", "MiB written")
    about = (
        f"The report `{REPORT}` from SQLite, each file in a process of its own. The peak is that of the whole process,"
        " most of which is there before a row is read. A PDF bears 20,000 rows and is not asked for more."
    )
    page = [
        "# Exports",
        "",
        about,
        "",
        *table(head, [list(each.values()) for each in found]),
    ]
    print("\n".join(page))
    results.write("exports", {"files": found}, page, folder=options.results)
    return 0


def _affiliate(number: int) -> str:
    return f"aff_f{number:05}"


def _filled(place: Stage, rows: int) -> Path:
    path, _scene = sqlite_template(place)
    with place.runtime(f"sqlite:///{path}") as runtime:
        runtimes.install(runtime)
        books = Books(runtime)
        books.source()
        books.campaign()
        names = [_affiliate(number) for number in range(PARTS)]
        filling.affiliates(runtime, names)
        filling.accruals(runtime, [(names[n % PARTS], 100 + n % 997) for n in range(rows)], is_posted=False)
    return path


def _in_its_own_process(place: Stage, path: Path, form: str, affiliate: str) -> dict[str, Any]:
    words = [
        sys.executable, "-m", "bench.exports", "--format", form, "--database", str(path), "--redis", place.redis_url,
        "--affiliate", affiliate,
    ]  # fmt: skip
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    rows, seconds, peak, written = int(told[0]), float(told[1]), float(told[2]), float(told[3])
    return {
        "format": form, "rows": rows, "seconds": seconds, "per_second": round(rows / seconds), "peak_mib": peak,
        "written_mib": written,
    }  # fmt: skip


def _measured(place: Stage, url: str, form: str, affiliate: str) -> tuple[str, ...]:
    """Return the rows, the seconds, the peak of the process's memory in MiB, and what was written in MiB."""
    file = place.folder / f"export.{form}"
    filters = {"affiliate_id": affiliate} if affiliate else {}
    with place.runtime(url) as runtime, runtime.reading() as session:
        began = time.perf_counter()
        produced = producing.produce(session, REPORT, form, filters, file, now=runtime.clock())
        seconds = time.perf_counter() - began
    file.unlink()
    return str(produced.rows), f"{seconds:.2f}", f"{_peak_kib() / 1024:.1f}", f"{produced.size_bytes / _MIB:.1f}"


def _peak_kib() -> int:
    # Not getrusage: its peak is inherited from whoever started this process.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
