"""A report becomes a file: whole, or not at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.errors import Fault, Invalid
from core.files import whole
from core.runtime import installed
from ledger.exports import WRITERS, Writer
from reports.exports import filtering, marks
from reports.exports.catalogue import report_named
from reports.exports.filtering import Filters
from reports.exports.formats import FORMATS, Format, into_file
from reports.exports.report import Report
from reports.exports.tables import Table
from reports.exports.texts import gathered

ROWS_A_TICK = 5_000

PartT = TypeVar("PartT")
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Wanted:
    """A report in one of its forms, its filters read. `form` is None where the report writes `format` itself."""

    report: Report
    format: str
    form: Format | None
    filters: Filters

    @property
    def suffix(self) -> str:
        """The end of its file's name."""
        return _kind_of(self.format).suffix

    @property
    def mimetype(self) -> str:
        """Its media type."""
        return mimetype_of(self.format)

    @property
    def file_name(self) -> str:
        """What people see it called."""
        narrowed = self.filters.period or (self.filters.as_of.isoformat() if self.filters.as_of else "")
        return f"{'-'.join(part for part in (self.report.name, narrowed) if part)}.{self.suffix}"


@dataclass(frozen=True)
class Produced:
    """A file that was written, and the filters it was written by, with what was left open filled in."""

    rows: int
    size_bytes: int
    sha256: str
    filters: Filters


def mimetype_of(form: str) -> str:
    """Return the media type of a format, also of one whose extra is no longer installed."""
    return _kind_of(form).mimetype


def formats_of(report: Report) -> list[str]:
    """Return the forms in which this installation can write `report`."""
    return [*(form.name for form in FORMATS.values() if form.is_installed), *report.texts]


def wanted(report: str, form: str, filters: Mapping[str, Any], *, path: str = "filters.") -> Wanted:
    """Return what is asked for; raise NotFound for no report, Invalid with every fault of format and filters."""
    found = report_named(report)
    faults = [] if form in formats_of(found) else [Fault("format", _why_not(found, form))]
    try:
        read = filtering.read(filters, takes=found.takes, needs=found.needs, path=path)
    except Invalid as error:
        faults += error.faults
    if faults:
        raise Invalid.of(*faults)
    return Wanted(found, form, FORMATS.get(form), read)


def produce(
    session: Session,
    report: str,
    form: str,
    filters: Mapping[str, Any],
    path: Path,
    *,
    now: datetime | None = None,
    tick: Tick | None = None,
) -> Produced:
    """Write `report` in the form `form` to `path`, in the place of what may be there, and return what it is.

    Read within `session`, one that only reads, in its snapshot; rows are not gathered, so memory stays bounded.
    `filters` are texts by name, `tick` is told every ROWS_A_TICK rows how many are done. The file appears under its
    name when all of it is on the disk: an error, or the end of the process, leaves `path` as it was. Raises NotFound
    and Invalid as `wanted` does, and Invalid for more rows than the form bears.
    """
    return write(session, wanted(report, form, filters), path, now=now or installed().clock(), tick=tick)


def write(
    session: Session,
    asked: Wanted,
    path: Path,
    *,
    now: datetime,
    is_awaited: bool = False,
    tick: Tick | None = None,
) -> Produced:
    """Do what `produce` promises; with `is_awaited` for no more rows than somebody should wait for."""
    filters = filled_in(session, asked, now)
    rows = _Watched(_rows_max(asked.form, is_awaited=is_awaited), tick)

    def fill(temporary: Path) -> None:
        if asked.form is None:
            into_file(gathered(rows.of(asked.report.texts[asked.format](session, filters))), temporary)
        else:
            asked.form.write(_table(asked.report, filters, rows.of(asked.report.rows(session, filters))), temporary)

    size_bytes, sha256 = whole(path, fill)
    return Produced(rows.count, size_bytes, sha256, filters)


def pieces(session: Session, asked: Wanted, *, now: datetime) -> Iterator[bytes]:
    """Yield the report as it is read, in a form that can be sent so."""
    filters = filled_in(session, asked, now)
    if asked.form is None:
        return gathered(asked.report.texts[asked.format](session, filters))
    if asked.form.pieces is None:
        message = f"{asked.format} is written to a file first"
        raise ValueError(message)
    return asked.form.pieces(_table(asked.report, filters, asked.report.rows(session, filters)))


def filled_in(session: Session, asked: Wanted, now: datetime) -> Filters:
    """Return the filters with what was left open: the day that ages are counted to, the moments of a mark."""
    filters = asked.filters
    if "as_of" in asked.report.takes and filters.as_of is None:
        filters = replace(filters, as_of=now.date())
    return marks.between(session, filters, now) if "until" in asked.report.takes else filters


def awaited(rows: Iterable[PartT], form: Format) -> Iterator[PartT]:
    """Yield `rows`; raise Invalid for more of them than `form` bears while somebody waits."""
    return _Watched(form.rows_at_once_max, None).of(rows)


class _Watched:
    """Counts what is written, tells of it, and stops it where it is too much."""

    def __init__(self, most: int | None, tick: Tick | None) -> None:
        self.count = 0
        self._most = most
        self._tick = tick

    def of(self, parts: Iterable[PartT]) -> Iterator[PartT]:
        """Yield `parts`, counting each."""
        for part in parts:
            if self._most is not None and self.count >= self._most:
                message = (
                    f"there are more than {self._most:,} rows, which is what this form bears here: narrow the report,"
                    " or ask for an export as csv, xlsx, json or parquet"
                )
                raise Invalid(message, slug="too-many-rows")
            yield part
            self.count += 1
            if self._tick is not None and self.count % ROWS_A_TICK == 0:
                self._tick(self.count)


def _kind_of(form: str) -> Format | Writer:
    return FORMATS.get(form) or WRITERS[form]


def _rows_max(form: Format | None, *, is_awaited: bool) -> int | None:
    if form is None:
        return None
    return form.rows_at_once_max if is_awaited else form.rows_max


def _table(report: Report, filters: Filters, rows: Any) -> Table:
    return Table(report.name, report.title, report.columns, rows, filters.shown())


def _why_not(report: Report, form: str) -> str:
    known = FORMATS.get(form)
    if known is not None:
        return f"needs the extra `{form}`, which is not installed here: pip install 'clickledger[{form}]'"
    if form in WRITERS:
        return f"is for the journal alone; this report is written as {', '.join(formats_of(report))}"
    return f"is none of {', '.join(formats_of(report))}"
