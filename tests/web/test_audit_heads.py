"""Signed heads of the audit log: who rewrites the whole chain in the database is convicted by a file."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core import audit
from core import runtime as runtimes
from core.audit import GENESIS, Act, AuditEntry
from core.encryption import Keyring
from core.runtime import Runtime
from tests.conftest import KEY_ENCRYPTION_KEY, Caller, TestClock
from tests.core.test_audit import PERSON, tamper
from web import audit_heads, stages

NEW_KEY = base64.b64encode(bytes(range(32, 64))).decode()
Verify = Callable[[], tuple[int, str]]


@pytest.fixture
def verify(app: flask.Flask) -> Verify:
    """Run `audit verify`; return its exit code and what it said."""

    def verified() -> tuple[int, str]:
        done = app.test_cli_runner().invoke(args=["audit", "verify"])
        return done.exit_code, done.output

    return verified


def record(runtime: Runtime, *verbs: str) -> None:
    for verb in verbs:
        with runtime.transaction() as session:
            audit.record(session, Act(PERSON, verb, "source", "src_1", runtime.clock()))


def write(runtime: Runtime) -> Path:
    """Let the stage write the day's head; return its file."""
    stages.run("audit-heads", {})
    return runtime.audit_heads / f"{runtime.clock().date().isoformat()}.json"


def days(runtime: Runtime, clock: TestClock, count: int) -> list[Path]:
    """Write the heads of as many days, one act before each."""
    found = []
    for number in range(count):
        record(runtime, f"act {number}")
        found.append(write(runtime))
        clock.advance(days=1)
    return found


def rewrite(runtime: Runtime) -> None:
    """Rewrite the second row and every hash from there on, as its owner can: the triggers off, the chain consistent."""
    with runtime.reading() as session:
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.seq)).all()
    previous = GENESIS
    changes = []
    for entry in entries:
        entry.verb = "harmless" if entry.seq == 2 else entry.verb
        entry.previous_hash = previous
        entry.hash = previous = audit.chained_hash(entry)
        changes.append((entry.verb, entry.previous_hash, entry.hash, entry.seq))
    tamper(runtime, "SELECT 1")
    with runtime.engine.begin() as connection:
        for verb, before, own, seq in changes:
            connection.execute(
                sa.text("UPDATE audit_entries SET verb = :v, previous_hash = :p, hash = :h WHERE seq = :s"),
                {"v": verb, "p": before, "h": own, "s": seq},
            )


def test_a_chain_that_was_rewritten_from_end_to_end_is_convicted_by_the_head_on_file(
    runtime: Runtime, verify: Verify
) -> None:
    record(runtime, "created", "paid himself", "changed")
    write(runtime)
    assert verify() == (0, "all 3 rows hold; all 0 seals hold; all 1 heads hold\n")

    rewrite(runtime)
    record(runtime, "removed")

    code, said = verify()
    assert code == 1
    assert said.startswith("all 4 rows hold;")
    assert "head 2026-11-02: the audit chain was rewritten at or before row 3" in said


def test_the_auditors_door_says_it_too(runtime: Runtime, sign_in: Callable[..., Caller]) -> None:
    auditor = sign_in("auditor")
    record(runtime, "created", "paid himself")
    write(runtime)
    good = auditor.get("/api/v1/audit/verification").json

    rewrite(runtime)
    bad = auditor.get("/api/v1/audit/verification").json

    assert (good["holds"], good["heads"], good["broken_head"]) == (True, 1, None)
    assert (bad["holds"], bad["broken_at"], bad["broken_head"]) == (False, None, "2026-11-02")
    assert bad["reason"].startswith("the audit chain was rewritten")


def test_rows_cut_off_at_the_end_are_missed(runtime: Runtime, verify: Verify) -> None:
    record(runtime, "created", "changed")
    write(runtime)

    tamper(runtime, "DELETE FROM audit_entries WHERE seq = 2")

    code, said = verify()
    assert (code, "the audit chain was cut off: row 2 is gone" in said) == (1, True)


def test_a_day_has_one_head_that_is_not_written_over(runtime: Runtime, clock: TestClock) -> None:
    record(runtime, "created")
    path = write(runtime)
    first = path.read_bytes()

    record(runtime, "changed")
    assert write(runtime).read_bytes() == first
    clock.advance(days=1)
    second = json.loads(write(runtime).read_text())

    assert (second["day"], second["previous_day"], second["seq"]) == ("2026-11-03", "2026-11-02", 2)
    assert [each.name for each in sorted(path.parent.iterdir())] == ["2026-11-02.json", "2026-11-03.json"]


def test_an_auditor_checks_a_copy_with_the_public_key_alone(runtime: Runtime) -> None:
    record(runtime, "created")
    head = json.loads(write(runtime).read_text())
    signature = bytes.fromhex(head.pop("signature"))
    public_key = runtime.keyring.public_key(purpose=audit_heads.PURPOSE)

    message = b"clickledger audit head 1\n" + json.dumps(head, sort_keys=True, separators=(",", ":")).encode()

    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    assert head["public_key"] == public_key.hex()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hash": "0" * 64}, "has a signature that is not ours"),
        ({"seq": 1}, "has a signature that is not ours"),
        ({"signature": "00" * 64}, "has a signature that is not ours"),
        ({"signature": "zz"}, "cannot be read"),
        ({"seq": "2"}, "cannot be read"),
        ({"more": 1}, "cannot be read"),
    ],
)
def test_a_head_that_was_edited_is_named(
    runtime: Runtime, verify: Verify, clock: TestClock, change: dict[str, Any], reason: str
) -> None:
    _, path = days(runtime, clock, 2)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    code, said = verify()

    assert (code, f"head 2026-11-03: {reason}" in said) == (1, True)


def test_a_head_under_another_days_name_and_one_that_is_gone_are_named(
    runtime: Runtime, verify: Verify, clock: TestClock
) -> None:
    _, second, third = days(runtime, clock, 3)
    kept = third.read_bytes()

    third.write_bytes(second.read_bytes())
    assert "head 2026-11-04: is the head of 2026-11-03 under another name" in verify()[1]

    third.write_bytes(kept)
    second.unlink()
    code, said = verify()
    assert (code, "head 2026-11-04: follows that of 2026-11-03, and on file is that of 2026-11-02" in said) == (1, True)


def test_heads_hold_before_during_and_after_a_rotation_of_the_key(
    runtime: Runtime, app: flask.Flask, verify: Verify, clock: TestClock
) -> None:
    days(runtime, clock, 2)
    runtimes.install(replace(runtime, keyring=Keyring.from_text(NEW_KEY, previous=KEY_ENCRYPTION_KEY)))
    assert verify()[0] == 0

    done = app.test_cli_runner().invoke(args=["keys", "rotate", "--json"])
    assert json.loads(done.output)["heads"] == 2

    runtimes.install(replace(runtime, keyring=Keyring.from_text(NEW_KEY)))
    assert verify()[0] == 0
    runtimes.install(runtime)
    assert "has a signature that is not ours" in verify()[1]
