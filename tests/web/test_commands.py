"""The command line as an operator types it."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask
import pytest

from core import runtime as runtimes
from core.encryption import EncryptionKeyError, Keyring
from core.runtime import Runtime
from partners import secrets
from partners.models import Source
from tests.builders import OUR_IBAN
from tests.conftest import KEY_ENCRYPTION_KEY, Caller
from tests.reports.bank_formats.test_mt940 import SMALL as MT940

NEW_KEY = base64.b64encode(bytes(range(32, 64))).decode()
MAPPING = {
    "transaction_id": "id",
    "amount": "payout",
    "currency": "=EUR",
    "occurred_on": {"column": "date", "format": "%Y-%m-%d", "timezone": "UTC"},
}

Command = Callable[..., Any]


@pytest.fixture
def command(app: flask.Flask) -> Command:
    """Run `flask ...` and return what it prints as JSON; `expect` is the exit code, anything but 0 returns the text."""

    def run(*words: str, stdin: str = "", expect: int = 0) -> Any:
        done = app.test_cli_runner().invoke(args=[*words], input=stdin)
        assert done.exit_code == expect, done.output
        return json.loads(done.output) if expect == 0 else done.output

    return run


def test_a_report_is_imported_and_reconciled_from_the_command_line(command: Command, tmp_path: Path) -> None:
    source = command("source", "create", "Everflow", "--allow", "127.0.0.1/32", "--currency", "EUR", "--json")
    (tmp_path / "report.csv").write_text("id,payout,date\nTX-1,4.00,2026-10-03\nTX-2,four,2026-10-03\n")
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))

    imported = command(
        "import", "network-report", str(tmp_path / "report.csv"), "--source", source["id"], "--period", "2026-10",
        "--mapping", str(tmp_path / "mapping.json"), "--json",
    )  # fmt: skip
    run = command("reconcile", "run", "2026-10", "--leg", "network", "--source", source["id"], "--json")

    assert (imported["new"], [row["line"] for row in imported["rejected"]]) == (1, [3])
    assert (run["state"], run["discrepancies"]) == ("finished", {"missing_at_us": 1})
    assert [each["name"] for each in command("source", "list", "--json")["items"]] == ["Everflow"]


def test_a_bank_statement_of_any_format_is_imported_from_the_command_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bank.sta").write_text(MT940)
    (tmp_path / "bank.csv").write_text("day,sum\n2026-10-03,-4.00\n")
    (tmp_path / "mapping.json").write_text(json.dumps({"booked_on": "day", "amount": "sum", "currency": "=EUR"}))

    swift = command("import", "bank-statement", str(tmp_path / "bank.sta"), "--account", OUR_IBAN, "--json")
    table = command(
        "import", "bank-statement", str(tmp_path / "bank.csv"), "--account", "A", "--mapping",
        str(tmp_path / "mapping.json"), "--json",
    )  # fmt: skip
    said = command("import", "bank-statement", str(tmp_path / "bank.sta"), "--format", "bai2", expect=1)

    assert (swift["new"], table["new"]) == (2, 1)
    assert "file: line 1 begins with no record code of BAI2" in said


def test_faults_are_said_a_line_each_and_nothing_is_stored(command: Command) -> None:
    said = command("staff", "create", "nobody", "--role", "king", "--password-stdin", stdin="short\n", expect=1)

    assert [line.partition(":")[0] for line in said.removeprefix("Error: ").splitlines()] == [
        "email",
        "role",
        "password",
    ]


def test_the_key_encryption_key_is_replaced_while_everything_goes_on(
    command: Command, machine: Caller, runtime: Runtime
) -> None:
    body = {"name": "Everflow", "scheme": "pb1"}
    created = machine.post("/api/v1/sources", body, headers={"Idempotency-Key": "k"}).json

    both = replace(runtime, keyring=Keyring.from_text(NEW_KEY, previous=KEY_ENCRYPTION_KEY))
    runtimes.install(both)
    assert _key(both, created["id"]) == _bytes(created["secret"]["value"])
    rotated = command("keys", "rotate", "--json")

    assert (rotated["secrets"], rotated["answers"], rotated["key"]) == (1, 1, Keyring.from_text(NEW_KEY).fingerprint)
    new = replace(runtime, keyring=Keyring.from_text(NEW_KEY))
    runtimes.install(new)
    assert _key(new, created["id"]) == _bytes(created["secret"]["value"])
    assert machine.post("/api/v1/sources", body, headers={"Idempotency-Key": "k"}).json == created
    with pytest.raises(EncryptionKeyError):
        _key(runtime, created["id"])


def _key(runtime: Runtime, source_id: str) -> bytes:
    with runtime.reading() as session:
        [secret] = secrets.live(runtime, session.get_one(Source, source_id), runtime.clock())
    return secret.key


def _bytes(value: str) -> bytes:
    return base64.b64decode(value.removeprefix("whsec_"))
