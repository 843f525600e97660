"""What every command shares: who acts, how faults and answers are said."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from core.actors import system
from core.errors import Problem

COMMAND_LINE = system("command line")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MONTH = click.DateTime(["%Y-%m"])


@contextmanager
def faults_said() -> Iterator[None]:
    """Turn a Problem into the command line's error: every fault a line, exit code 1."""
    try:
        yield
    except Problem as problem:
        lines = [f"{fault.field}: {fault.reason}" for fault in problem.faults] or [problem.detail]
        raise click.ClickException("\n".join(lines)) from None


def say(values: Mapping[str, object], sentence: str, as_json: bool) -> None:  # noqa: FBT001 - click's own flag
    """Print `values` for machines or `sentence` for people."""
    click.echo(json.dumps(values) if as_json else sentence)
