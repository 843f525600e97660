"""The command line's groups for the business: sources, imports, reconciliations, keys."""

import sys
from datetime import datetime

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from access import second_factor
from core.http import idempotency
from core.runtime import installed
from ledger.periods import period_of
from partners import secrets, sources
from partners.models import Source
from reports import queries, reconciliation
from reports.matching import Leg
from web import audit_heads, import_commands, period_commands
from web.command_line import COMMAND_LINE, MONTH, faults_said, say


def groups() -> list[AppGroup]:
    """Return the groups."""
    return [_source(), import_commands.group(), _reconcile(), _keys()]


def _source() -> AppGroup:
    group = AppGroup("source", help="Networks that fire postbacks.")

    @group.command("create")
    @click.argument("name")
    @click.option("--scheme", default="pb1", show_default=True, help="pb1, sw1, stripe1, token, or preset:NAME.")
    @click.option("--secret-stdin", is_flag=True, help="Read the network's own secret from standard input.")
    @click.option("--allow", "allowlist", multiple=True, help="An address or CIDR it fires from; none: every address.")
    @click.option("--currency", help="ISO 4217, for postbacks that name none.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def create(
        name: str, scheme: str, allowlist: tuple[str, ...], currency: str | None, *, secret_stdin: bool, as_json: bool
    ) -> None:
        """Add a source and print its secret, this once."""
        runtime = installed()
        asked: dict[str, object] = {
            "name": name,
            "scheme": scheme,
            "allowlist": allowlist,
            "default_currency": currency,
        }
        if secret_stdin:
            asked["secret"] = sys.stdin.read().strip()
        with faults_said(), runtime.transaction() as session:
            new = sources.asked_for({field: value for field, value in asked.items() if value})
            source, secret = sources.create(runtime, session, new, actor=COMMAND_LINE)
        url = sources.postback_url(runtime, source.id)
        values = {"id": source.id, "postback_url": url, "secret": {"id": secret.id, "value": secret.value}}
        say(values, f"{url}\n{secret.value}\n(the secret is shown this once)", as_json)

    @group.command("list")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def show(*, as_json: bool) -> None:
        """List the sources."""
        with installed().reading() as session:
            found = session.scalars(sa.select(Source).order_by(Source.id)).all()
        values = {"items": [{"id": each.id, "name": each.name, "state": each.state} for each in found]}
        say(values, "\n".join(f"{each.id}  {each.state:<8} {each.name}" for each in found) or "none yet", as_json)

    return group


def _reconcile() -> AppGroup:
    group = AppGroup("reconcile", help="Pair our month with theirs.")
    group.add_command(period_commands.verify_close)

    @group.command("run")
    @click.argument("period", type=MONTH)
    @click.option("--leg", type=click.Choice([leg.value for leg in Leg if leg is not Leg.ADVERTISER]), required=True)
    @click.option("--source", "source_id", help="Narrow the leg network to one source.")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def run(period: datetime, leg: str, source_id: str | None, *, as_json: bool) -> None:
        """Reconcile a month here and now, and say what was found."""
        runtime = installed()
        with faults_said():
            with runtime.transaction() as session:
                asked = reconciliation.ask(
                    runtime,
                    session,
                    period=period_of(period.date()),
                    leg=Leg(leg),
                    source_id=source_id,
                    actor=COMMAND_LINE,
                )
            with runtime.transaction() as session:
                reconciliation.run(runtime, session, asked.id)
            with runtime.reading() as session:
                shown = queries.shown_run(queries.reconciliation(session, asked.id))
        found = ", ".join(f"{count} {name}" for name, count in shown["discrepancies"].items()) or "no discrepancy"
        say(
            {name: shown[name] for name in ("id", "state", "period", "counts", "discrepancies", "digest")},
            f"{asked.id}: {shown['state']}, {shown['counts'].get('matched', 0)} matched, {found}",
            as_json,
        )

    return group


def _keys() -> AppGroup:
    group = AppGroup("keys", help="The key-encryption key.")

    @group.command("rotate")
    @click.option("--json", "as_json", is_flag=True, help="Print for machines.")
    def rotate(*, as_json: bool) -> None:
        """Bring all that is sealed under KEY_ENCRYPTION_KEY, from KEY_ENCRYPTION_KEY_PREVIOUS where it still is."""
        runtime = installed()
        with faults_said(), runtime.transaction() as session:
            count = secrets.reseal(runtime, session, actor=COMMAND_LINE) + second_factor.reseal(runtime, session)
            answers = idempotency.reseal(session, runtime.keyring)
        heads = audit_heads.sign_again(runtime)
        say(
            {"secrets": count, "answers": answers, "heads": heads, "key": runtime.keyring.fingerprint},
            f"{count} secrets, {answers} kept answers and {heads} audit heads stand under key "
            f"{runtime.keyring.fingerprint} now",
            as_json,
        )

    return group
