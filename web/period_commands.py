"""The command that holds a month's close against today."""

import json
import sys
from datetime import datetime

import click

from core.runtime import installed
from ledger.periods import period_of
from reports import verifying
from reports.period_routes import shown_verified
from reports.verifying import Verified
from web.command_line import faults_said, say


@click.command("verify-close")
@click.argument("period", type=click.DateTime(["%Y-%m"]))
@click.option("--number", type=click.IntRange(min=1), help="Which of its closes; the last one when left out.")
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def verify_close(period: datetime, number: int | None, *, as_json: bool) -> None:
    """Read a closed month anew: its digest comes out again, or what differs is named and the exit code is 1."""
    with faults_said(), installed().reading() as session:
        found = verifying.verify(session, period_of(period.date()), number)
    say(shown_verified(found), _said(found), as_json)
    if not found.holds:
        sys.exit(1)


def _said(found: Verified) -> str:
    close = f"close {found.number} of {found.period}"
    lines = [f"{close}: {found.digest}"]
    if not found.is_kept:
        lines.append("  the rows as they were kept do not make this digest: the snapshot was changed")
    for change in found.named:
        lines.append(f"  {change.kind} {change.key}: {change.change}")
        lines += [f"    {name}: {before} -> {after}" for name, before, after in _fields(change.before, change.after)]
    if found.differences > len(found.named):
        lines.append(f"  and {found.differences - len(found.named)} more")
    moved = ", ".join(f"{count} {kind}" for kind, count in found.moved_on.items())
    if moved:
        lines.append(f"  moved on since, by what happened in later months: {moved}")
    if found.rebuilt is None:
        lines.append("  the month is not closed under it any more: only what was kept was checked")
    lines.append("it holds" if found.holds else f"it does not hold: {found.differences} differences")
    return "\n".join(lines)


def _fields(before: object, after: object) -> list[tuple[str, str, str]]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [(name, json.dumps(before[name]), json.dumps(after[name])) for name in before if before[name] != after[name]]
