"""The reports that can be delivered, each written to a file. The one place delivery gets its reports from."""

from collections.abc import Mapping
from pathlib import Path

import orjson
from sqlalchemy.orm import Session

from core import csv_text
from core.files import whole
from ledger import periods
from reports import report
from reports.exports import producing
from reports.exports.catalogue import REPORTS, report_named

# The account of a whole month, which is no table of rows.
MONTH = "month"
_MONTH = {"csv": "text/csv", "json": "application/json"}

# Report -> the formats it has here. What changed since an export asks for a mark, and is nobody's month.
OFFERED: Mapping[str, tuple[str, ...]] = {
    MONTH: tuple(_MONTH),
    **{
        name: tuple(producing.formats_of(found))
        for name, found in REPORTS.items()
        if {"period", "as_of"} & {*found.takes}
    },
}


def produce(session: Session, report_name: str, form: str, period: str, folder: Path) -> Path:
    """Write one report of `period` into `folder` and return the file, which is on the disk then.

    A report that counts ages counts them to the last day of the month.
    """
    if report_name == MONTH:
        path = folder / f"{MONTH}-{period}.{form}"
        whole(path, lambda temporary: _write_month(session, form, period, temporary))
        return path
    takes = report_named(report_name).takes
    filters = {"period": period} if "period" in takes else {"as_of": periods.bounds(period)[1].isoformat()}
    wanted = producing.wanted(report_name, form, filters)
    path = folder / f"{report_name}-{period}.{wanted.suffix}"
    producing.produce(session, report_name, form, filters, path)
    return path


def mimetype(report_name: str, form: str) -> str:
    """Return what kind of file a report is."""
    return _MONTH[form] if report_name == MONTH else producing.mimetype_of(form)


def _write_month(session: Session, form: str, period: str, path: Path) -> None:
    found = report.of_month(session, period)
    if form == "csv":
        path.write_text(csv_text.table(report.CSV_HEADER, report.csv_rows(found)), encoding="utf-8", newline="")
    else:
        path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
