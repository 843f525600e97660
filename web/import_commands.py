"""The command line's group for files that come in: networks' reports and bank statements."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from core.errors import Fault, Invalid
from core.runtime import installed
from ledger.periods import period_of
from reports import bank_imports, mapping_text, network_imports, report_mappings
from reports.bank_formats.reading import AUTO, FORMATS
from reports.bank_imports import Wanted
from reports.imports import Imported, Upload
from web.command_line import COMMAND_LINE, FILE, MONTH, faults_said, say


def group() -> AppGroup:
    """Return the group `import`."""
    group = AppGroup("import", help="Network reports and bank statements.")

    @group.command("network-report")
    @click.argument("file", type=FILE)
    @click.option("--source", "source_id", required=True, help="Whose report it is: src_..")
    @click.option("--period", type=MONTH, required=True, help="The month it is about: YYYY-MM.")
    @click.option("--mapping", help="A YAML or JSON file that says which column is what, or the name of a mapping.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def network_report(file: Path, source_id: str, period: datetime, mapping: str | None, *, as_json: bool) -> None:
        """Import a network's report of a month: CSV, TSV, JSON or XLSX, read from the disk however large it is.

        Without a mapping the only one that fits is taken.
        """
        runtime = installed()
        with faults_said(), file.open("rb") as opened, _progress(file, as_json=as_json) as told:
            upload = Upload(file.name, opened, COMMAND_LINE)
            with runtime.reading() as session:
                said = report_mappings.reading(session, opened, _said(mapping))
                wanted = network_imports.Wanted(source_id, period_of(period.date()), said)
                faults = network_imports.faults_of(session, wanted)
            with (
                network_imports.reading(upload, wanted, faults=faults, told=told) as read,
                runtime.transaction() as session,
            ):
                imported = network_imports.store(runtime, session, upload, wanted, read)
        _say_imported(imported, as_json=as_json)

    @group.command("bank-statement")
    @click.argument("file", type=FILE)
    @click.option("--account", help="The IBAN it is of; without it each statement goes to the account that it names.")
    @click.option("--format", "format_", type=click.Choice([AUTO, *FORMATS]), default=AUTO, show_default=True)
    @click.option("--mapping", type=FILE, help="For CSV: a JSON file that says which column is what.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def bank_statement(file: Path, account: str | None, format_: str, mapping: Path | None, *, as_json: bool) -> None:
        """Import a bank's file: camt.053, MT940, BAI2, OFX, or CSV with a mapping."""
        runtime = installed()
        with faults_said(), file.open("rb") as opened, runtime.transaction() as session:
            upload = Upload(file.name, opened, COMMAND_LINE)
            wanted = Wanted(format_, account, _object(mapping) if mapping else None)
            imported = bank_imports.load(runtime, session, upload, wanted)
        _say_imported(imported, as_json=as_json)

    return group


def _said(mapping: str | None) -> dict[str, Any] | str | None:
    if mapping is None or not Path(mapping).is_file():
        return mapping
    return mapping_text.read(Path(mapping).read_text(encoding="utf-8"))


@contextmanager
def _progress(file: Path, *, as_json: bool) -> Iterator[Callable[[int], object]]:
    """Show people how many lines of `file` are read."""
    # Here, not above: no server needs it to start.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} lines"))
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as shown:
        task = shown.add_task(file.name, total=None)
        yield lambda lines: shown.update(task, completed=lines)


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Invalid.of(Fault("mapping", f"is no JSON: {error}")) from error
    if not isinstance(found, dict):
        raise Invalid.of(Fault("mapping", "is a JSON object"))
    return found


def _say_imported(imported: Imported, *, as_json: bool) -> None:
    rejected = "".join(f"\n  line {row['line']}: {row['reason']}" for row in imported.rejected)
    say(
        {
            "id": imported.id,
            "lines": imported.lines,
            "new": imported.new,
            "repeated": imported.repeated,
            "restated": imported.restated,
            "rejected": imported.rejected,
        },
        f"{imported.id}: {imported.new} new, {imported.repeated} repeated, {len(imported.rejected)} rejected{rejected}",
        as_json,
    )
