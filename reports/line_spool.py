"""A report as it was read: its lines in a file, ready to be copied into the database, and what was rejected of it.

Reading needs no database and takes the longest: so it is done before anything is locked.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from core import copying
from core.errors import Fault, Invalid
from reports import line_keys
from reports.csv_report import Rejected
from reports.report_lines import Lines
from reports.report_reading import Report

# The digits of a line's number are the end of its id.
LINES_MAX = 10**8 - 1
# A file with more rows that cannot be read is not a bad file, but a good one with another file's mapping.
REJECTED_MAX = 10_000
LINE_COLUMNS = (
    "line_number", "line_key", "transaction_id", "claimed_click_id", "group_key", "currency", "amount_minor",
    "status_word", "occurred_on",
)  # fmt: skip
_SHOWN = 3
_REASON_LENGTH_MAX = 500
_IN_MEMORY_BYTES = 4 << 20
_TOLD_EVERY_LINES = 10_000

# Hears, now and then, how many lines are done.
Told = Callable[[int], object]


@dataclass
class Spool:
    """What was read: `file` holds LINE_COLUMNS of every good line, `rejected` the others with their reasons."""

    has_own_ids: bool
    file: IO[bytes]
    lines: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, line: int, reason: str) -> None:
        """Add a row that is not loaded; raise Invalid when there are more than REJECTED_MAX."""
        self.rejected.append({"line": line, "reason": reason[:_REASON_LENGTH_MAX]})
        if len(self.rejected) > REJECTED_MAX:
            first = "; ".join(f"line {each['line']} {each['reason']}" for each in self.rejected[:_SHOWN])
            reason = f"more than {REJECTED_MAX:,} rows cannot be read: is this the mapping of this file? {first}"
            raise Invalid.of(Fault("file", reason))


@contextmanager
def spooled(report: Report, *, source_id: str, period: str, told: Told = bool) -> Iterator[Spool]:
    """Read all of `report`; raise Invalid for what breaks off and for what is hardly readable."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        spool = Spool(report.mapping.line_id is not None, file)
        heard = _TOLD_EVERY_LINES
        try:
            for good, bad in report.parts():
                if good.numbers:
                    _add(spool, good, source_id, period)
                _reject(spool, bad)
                done = spool.lines + len(spool.rejected)
                if done >= heard:
                    heard = done + _TOLD_EVERY_LINES
                    told(done)
        finally:
            report.table.close()
        file.seek(0)
        yield spool


def _add(spool: Spool, lines: Lines, source_id: str, period: str) -> None:
    if lines.numbers[-1] > LINES_MAX:
        raise Invalid.of(Fault("file", f"has more than {LINES_MAX:,} lines"))
    if spool.has_own_ids:
        keys = line_keys.of_own_ids(source_id, period, [str(line_id) for line_id in lines.line_ids])
    else:
        keys = line_keys.of_content(
            source_id,
            period,
            days=lines.days,
            amounts_minor=lines.amounts_minor,
            currencies=lines.currencies,
            transaction_ids=lines.transaction_ids,
            click_ids=lines.click_ids,
        )
    columns: list[list[Any]] = [
        lines.numbers, keys, lines.transaction_ids, lines.click_ids, lines.group_keys, lines.currencies,
        lines.amounts_minor, lines.words, lines.days,
    ]  # fmt: skip
    spool.file.write(copying.text_of(columns).encode())
    spool.lines += len(lines.numbers)


def _reject(spool: Spool, rejected: list[Rejected]) -> None:
    for each in rejected:
        spool.reject(each.line, each.reason)
