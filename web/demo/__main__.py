"""`make demo`: starts everything, plays the story, prints the account, and leaves the console open until Ctrl-C.

With EXIT=1 it ends there. Exit code 0: everything planted was found, and nothing else. 1: something did not go as the
story says. 2: it could not begin.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from rich.console import Console

import config
from core.clock import system_clock
from core.database import connect
from web import assembly, kept, welcome
from web.demo import people, server, story
from web.demo.people import People


def main() -> int:
    """Play; return the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    # As with Ctrl-C: what was started here is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _play(console, dict(os.environ))
    except (server.NotStartedError, config.ConfigurationError) as refusal:
        console.print(str(refusal), markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


def _play(console: Console, given: Mapping[str, str]) -> int:
    folder = config.var_dir(given) / "demo"
    if config.is_given(given, "DATABASE_URL"):
        _refuse_a_used_database(given)
    folder = server.fresh_folder(folder, system_clock())
    environment = server.environment_of(folder, given)
    kept.make_secrets(folder, environment)
    settings = config.load(environment)
    console.print(f"[bold]Clickledger demo[/] at {settings.public_url}, all of it under {folder}")
    runtime = assembly.build(settings)
    with server.running(environment, settings) as launcher:
        everyone = people.create(runtime)
        account = story.play(
            runtime, everyone, url=welcome.local_url(settings), papers=folder / "papers", console=console
        )
        account.print()
        console.print(f"  the files of this run: {folder / 'papers'}", markup=False)
        if not config.is_given(given, "DATABASE_URL"):
            console.print(f"  to open it again later: make run VAR_DIR={folder}", markup=False)
        if not given.get("EXIT"):
            _leave_open(console, launcher, f"{settings.public_url}/sign-in", everyone)
    runtime.engine.dispose()
    return 1 if account.faults else 0


def _refuse_a_used_database(given: Mapping[str, str]) -> None:
    """Raise NotStartedError for a database that somebody works with: nothing has been changed in it then."""
    # Only the address is wanted: a demo needs no secret that the environment does not have yet.
    stand_ins = {name: make() for name, make in kept.SECRETS.items() if not config.is_given(given, name)}
    engine = connect(config.load({**given, **stand_ins}).database_url)
    try:
        if not people.is_empty(engine):
            message = (
                "the database of DATABASE_URL holds staff or sources: the demo leaves it alone. Unset DATABASE_URL"
            )
            raise server.NotStartedError(message)
    finally:
        engine.dispose()


def _leave_open(console: Console, launcher: subprocess.Popen[bytes], url: str, everyone: People) -> None:
    console.print(f"\n[bold]The console is open at {url}[/]")
    for login in everyone.logins:
        console.print(f"  {login.email:<18} {login.password}   {' and '.join(login.roles)}", markup=False)
    console.print("Ctrl-C ends the demo.")
    with suppress(KeyboardInterrupt):  # the way it is meant to end
        launcher.wait()
        message = "the server has ended by itself"
        raise server.NotStartedError(message)


if __name__ == "__main__":
    sys.exit(main())
