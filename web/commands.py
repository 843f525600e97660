"""The command line: `flask --app wsgi` and its groups."""

import sys
import tempfile
from pathlib import Path

import click
import flask
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from flask.cli import AppGroup

from access import people, tokens
from access.roles import SCOPES
from core import audit as audit_log
from core.runtime import installed
from postback import seals
from web import audit_heads, business_commands, ledger_commands, stages
from web.command_line import COMMAND_LINE, faults_said, say

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def migrate(engine: sa.Engine, revision: str = "head", *, down: bool = False) -> None:
    """Bring the database of `engine` to `revision`."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["engine"] = engine
    (command.downgrade if down else command.upgrade)(settings, revision)


def register(app: flask.Flask) -> None:
    """Add the groups to `app`."""
    for group in (_staff(), _token(), _audit(), _stage(), ledger_commands.group(), *business_commands.groups()):
        app.cli.add_command(group)
    app.cli.add_command(_migrate)
    app.cli.add_command(_demo)


@click.command("migrate")
def _migrate() -> None:
    """Bring the database to the newest revision."""
    migrate(installed().engine)
    click.echo("the database is at the newest revision")


@click.command("demo")
@click.option("--url", help="The running server on this database; PUBLIC_URL when left out.")
@click.option("--papers", type=click.Path(path_type=Path), help="A folder for the files that come and go.")
def _demo(url: str | None, papers: Path | None) -> None:
    """Play the demo's story on an empty database, at the server that runs on it (`make demo` starts one itself)."""
    # Here, not above: no server needs the story's client to start.
    from rich.console import Console  # noqa: PLC0415

    from web.demo import people, story  # noqa: PLC0415

    runtime = installed()
    if not people.is_empty(runtime.engine):
        click.echo("this database holds staff or sources: the demo leaves it alone", err=True)
        sys.exit(2)
    papers = papers or Path(tempfile.mkdtemp(prefix="clickledger-demo-"))
    everyone = people.create(runtime)
    console = Console(highlight=False, soft_wrap=True)
    account = story.play(runtime, everyone, url=url or runtime.public_url, papers=papers, console=console)
    account.print()
    click.echo(f"  the files of this run: {papers}")
    for login in everyone.logins:
        click.echo(f"  {login.email:<18} {login.password}   {' and '.join(login.roles)}")
    sys.exit(1 if account.faults else 0)


def _staff() -> AppGroup:
    group = AppGroup("staff", help="People who sign in.")

    @group.command("create")
    @click.argument("email")
    @click.option("--role", "roles", multiple=True, required=True, help="admin, affiliate_manager, finance, ..")
    @click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not from a prompt.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def create(email: str, roles: tuple[str, ...], *, password_stdin: bool, as_json: bool) -> None:
        """Add a person."""
        # Never an argument: those stand in the process list and in the shell's history.
        password = sys.stdin.readline().rstrip("\n") if password_stdin else click.prompt("Password", hide_input=True)
        runtime = installed()
        with faults_said(), runtime.transaction() as session:
            staff = people.create(
                runtime, session, email=email, roles=list(roles), password=password, actor=COMMAND_LINE
            )
        say({"id": staff.id, "email": staff.email}, f"{staff.email} may sign in as {', '.join(roles)}", as_json)

    return group


def _token() -> AppGroup:
    group = AppGroup("token", help="Keys for machines.")

    @group.command("create")
    @click.argument("name")
    @click.option("--scope", "scopes", multiple=True, required=True, help=f"all-machine or {', '.join(sorted(SCOPES))}")
    @click.option("--days", default=90, show_default=True, help="How long it lives; a year at most.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def create(name: str, scopes: tuple[str, ...], days: int, *, as_json: bool) -> None:
        """Make a token and print it, this once."""
        runtime = installed()
        with faults_said(), runtime.transaction() as session:
            token = tokens.create(runtime, session, name=name, scopes=list(scopes), days=days, actor=COMMAND_LINE)
        say({"id": token.id, "token": token.value}, f"{token.value}\n(shown this once; id {token.id})", as_json)

    @group.command("revoke")
    @click.argument("token_id")
    def revoke(token_id: str) -> None:
        """End a token at once."""
        runtime = installed()
        with faults_said(), runtime.transaction() as session:
            tokens.revoke(session, token_id, actor=COMMAND_LINE, now=runtime.clock())
        click.echo(f"{token_id} is revoked")

    return group


def _audit() -> AppGroup:
    group = AppGroup("audit", help="The log of what people did.")

    @group.command("verify")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def verify(*, as_json: bool) -> None:
        """Walk the chain of hashes, the seals of receipts and the signed heads; exit with 1 where one does not hold."""
        runtime = installed()
        with runtime.reading() as session:
            rows, broken = audit_log.first_break(session)
            sealed, broken_seal = seals.first_break(session)
            heads, broken_head = audit_heads.first_break(runtime, session)
        holds = broken is None and broken_seal is None and broken_head is None
        found = {
            "rows": rows,
            "holds": holds,
            "broken_at": broken.seq if broken else None,
            "seals": sealed,
            "broken_seal": broken_seal.seq if broken_seal else None,
            "heads": heads,
            "broken_head": broken_head.day if broken_head else None,
        }
        log = f"row {broken.seq} {broken.reason}" if broken else f"all {rows} rows hold"
        receipts = f"seal {broken_seal.seq} {broken_seal.reason}" if broken_seal else f"all {sealed} seals hold"
        files = f"head {broken_head.day}: {broken_head.reason}" if broken_head else f"all {heads} heads hold"
        say(found, f"{log}; {receipts}; {files}", as_json)
        if not holds:
            sys.exit(1)

    return group


def _stage() -> AppGroup:
    group = AppGroup("stage", help="The engine's stages.")

    @group.command("run")
    @click.argument("name", type=click.Choice(list(stages.STAGES)))
    @click.option("--period", help="The month, for a stage that works on months: YYYY-MM.")
    def run(name: str, period: str | None) -> None:
        """Run one stage here and now, until nothing waits for it."""
        options = {"period": period} if period and stages.STAGES[name].takes_period else {}
        with faults_said():
            stages.run(name, options)
        click.echo(f"{name} ran")

    return group
