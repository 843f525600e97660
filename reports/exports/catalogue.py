"""REPORTS: every report there is, by name, in the order people look for them."""

from collections.abc import Mapping

from core.errors import NotFound
from reports.exports import accrual_sums, ageing, changes, differences, lists, logs, rolling
from reports.exports.report import Report

_MODULES = (rolling, accrual_sums, ageing, differences, logs, lists, changes)
REPORTS: Mapping[str, Report] = {report.name: report for module in _MODULES for report in module.REPORTS}


def report_named(name: str) -> Report:
    """Return the report `name`; raise NotFound, with the names there are, when it is none."""
    found = REPORTS.get(name)
    if found is None:
        message = f"there is no report {name}; these there are: {', '.join(REPORTS)}"
        raise NotFound(message)
    return found
