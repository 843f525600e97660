"""The command line's group for the books: the journal for other programs, and the journal held against its sources."""

import sys
from datetime import datetime

import click
from flask.cli import AppGroup

from core.runtime import installed
from ledger import exports
from ledger.periods import period_of
from reports import bills, rebuilding
from reports.bills import Dates, Lines, Wanted
from web.command_line import say

MONTH = click.DateTime(["%Y-%m"])


def group() -> AppGroup:
    """Return the group."""
    made = AppGroup("ledger", help="The journal.")
    made.add_command(_verify)
    made.add_command(_journal)
    made.add_command(_bills)
    return made


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print for machines: a line for each difference, then the sum.")
def _verify(*, as_json: bool) -> None:
    """Rebuild the journal from accruals, batches and settlements; exit with 1 and name each difference."""
    count = 0
    with installed().reading() as session:
        for each in rebuilding.differences(session):
            count += 1
            values = {
                "fault": each.fault.value,
                "kind": each.kind,
                "source_type": each.source_type,
                "source_id": each.source_id,
                "details": each.details,
            }
            say(values, str(each), as_json)
        entries = rebuilding.entries(session)
    told = f"{entries} entries, {count} differences" if count else f"all {entries} entries are what they are about"
    say({"entries": entries, "holds": count == 0, "differences": count}, told, as_json)
    if count:
        sys.exit(1)


@click.command("export")
@click.option("--format", "form", type=click.Choice(list(exports.WRITERS)), required=True)
@click.option("--period", type=MONTH, help="One month: YYYY-MM; all of the journal when left out.")
def _journal(form: str, period: datetime | None) -> None:
    """Write the journal to standard output."""
    with installed().reading() as session:
        for part in exports.WRITERS[form].write(session, period_of(period.date()) if period else None):
            click.echo(part, nl=False)


@click.command("bills")
@click.option("--layout", type=click.Choice(list(bills.LAYOUTS)), required=True)
@click.option("--lines", type=click.Choice([each.value for each in Lines]), default=Lines.PAYOUT.value)
@click.option("--dates", type=click.Choice([each.value for each in Dates]), default=Dates.ISO.value)
@click.option("--period", type=MONTH, help="The payouts of one month: YYYY-MM; all of them when left out.")
@click.option("--tax", help="The tax rate or code, by the name it has there; without it no tax column.")
def _bills(layout: str, lines: str, dates: str, period: datetime | None, tax: str | None) -> None:
    """Write the agreed payouts as bills in CSV, for Xero or QuickBooks Online, to standard output."""
    month = period_of(period.date()) if period else None
    wanted = Wanted(layout, Lines(lines), Dates(dates), month, tax)
    with installed().reading() as session:
        for part in bills.csv_lines(session, wanted):
            click.echo(part, nl=False)
