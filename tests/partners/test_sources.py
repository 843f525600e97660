"""Sources through their door, and their secrets."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.audit import AuditEntry
from core.encryption import EncryptionKeyError
from core.runtime import Runtime
from partners import secrets
from partners.models import Source, SourceSecret
from tests.conftest import Caller, TestClock

EVERFLOW = {"name": "Everflow", "scheme": "pb1", "allowlist": ["127.0.0.1/32"], "default_currency": "EUR"}


def live_values(runtime: Runtime, source_id: str) -> list[str]:
    """Return the live secrets as they were shown."""
    with runtime.reading() as session:
        found = secrets.live(runtime, session.get_one(Source, source_id), runtime.clock())
    return ["whsec_" + base64.b64encode(secret.key).decode() for secret in found]


def test_creating_a_source_shows_its_secret_once_and_its_defaults_ever_after(machine: Caller, runtime: Runtime) -> None:
    created = machine.post("/api/v1/sources", EVERFLOW)
    source_id, secret = created.json["id"], created.json["secret"]
    shown = machine.get(f"/api/v1/sources/{source_id}")

    assert created.status_code == 201
    assert created.json["postback_url"] == f"http://localhost/postback/{source_id}"
    assert created.json["version"] == 1
    assert secret["value"].startswith("whsec_")
    assert len(base64.b64decode(secret["value"].removeprefix("whsec_"), validate=True)) == 32
    assert live_values(runtime, source_id) == [secret["value"]]
    assert shown.json["stale"] == "hold"
    assert shown.json["payout_means"] == "owed_to_affiliate"
    assert shown.json["dedupe_by"] == "transaction_event"
    assert shown.json["rate_limit"] == {"per_second": 200, "burst": 1000}
    assert shown.json["parameters"] == {}
    assert shown.json["state"] == "active"
    assert shown.json["secrets"] == [
        {"id": secret["id"], "key_format": "whsec", "created_at": "2026-11-02T09:00:00Z", "not_after": None,
         "last_used_at": None, "revoked_at": None}
    ]  # fmt: skip
    assert secret["value"] not in shown.text
    assert "secret" not in machine.get("/api/v1/sources").json["items"][0]


def test_the_same_idempotency_key_shows_the_same_source_and_secret(machine: Caller, runtime: Runtime) -> None:
    first = machine.post("/api/v1/sources", EVERFLOW, headers={"Idempotency-Key": "one"})
    again = machine.post("/api/v1/sources", EVERFLOW, headers={"Idempotency-Key": "one"})

    assert again.json == first.json
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Source.id))) == 1


def test_the_secret_is_sealed_in_the_database_and_opens_in_its_own_place_alone(
    machine: Caller, runtime: Runtime
) -> None:
    created = machine.post("/api/v1/sources", EVERFLOW).json
    source_id, secret_id, value = created["id"], created["secret"]["id"], created["secret"]["value"]

    with runtime.reading() as session:
        sealed = session.get_one(SourceSecret, secret_id).sealed_value
        logged = str(session.scalars(sa.select(AuditEntry.after)).all())

    assert value.encode() not in sealed
    assert base64.b64decode(value.removeprefix("whsec_")) not in sealed
    assert runtime.keyring.unseal(sealed, bound_to=f"source_secret:{source_id}:{secret_id}") == value.encode()
    with pytest.raises(EncryptionKeyError):
        runtime.keyring.unseal(sealed, bound_to=f"source_secret:{source_id}:sec_other")
    assert value not in logged
    assert secret_id in logged


def test_every_fault_of_a_source_is_answered_at_once(machine: Caller) -> None:
    answer = machine.post(
        "/api/v1/sources",
        {
            **EVERFLOW,
            "allowlist": ["10.0.0.1/8", "x"],
            "parameters": {"payout": "Commission", "sale": "s", "ts": "sig"},
        },
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [
        "allowlist.0", "allowlist.1", "parameters.payout", "parameters.sale", "parameters.ts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "a\0b"),
        ("name", "\ud800"),
        ("name", "n" * 101),
        ("scheme", "pb2"),
        ("stale", "maybe"),
        ("default_currency", "EURO"),
        ("payout_means", "x"),
        ("dedupe_by", "x"),
        ("rate_limit", {"per_second": 0}),
        ("surprise", 1),
    ],
)
def test_a_field_that_does_not_fit_is_refused(machine: Caller, field: str, value: object) -> None:
    answer = machine.post("/api/v1/sources", {**EVERFLOW, field: value})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].split(".")[0] == field


def test_two_sources_never_share_a_name(machine: Caller) -> None:
    machine.post("/api/v1/sources", EVERFLOW)
    other = machine.post("/api/v1/sources", {**EVERFLOW, "name": "Other"}).json

    again = machine.post("/api/v1/sources", EVERFLOW)
    renamed = machine.patch(f"/api/v1/sources/{other['id']}", {"version": 1, "name": "Everflow"})

    assert again.status_code == 409
    assert renamed.status_code == 409


def test_a_change_takes_the_version_it_saw_and_is_audited_with_what_differed(machine: Caller, runtime: Runtime) -> None:
    source_id = machine.post("/api/v1/sources", EVERFLOW).json["id"]

    changed = machine.patch(
        f"/api/v1/sources/{source_id}",
        {"version": 1, "state": "paused", "rate_limit": {"per_second": 5}, "parameters": {"payout": "commission"}},
    )
    late = machine.patch(f"/api/v1/sources/{source_id}", {"version": 1, "state": "active"})

    assert changed.status_code == 200
    assert changed.json["version"] == 2
    assert changed.json["state"] == "paused"
    assert changed.json["rate_limit"] == {"per_second": 5, "burst": 1000}
    assert changed.json["parameters"] == {"payout": "commission"}
    assert late.status_code == 409
    with runtime.reading() as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "changed")).one()
    assert entry.before == {"state": "active", "rate_per_second": 200, "parameters": {}}
    assert entry.after == {"state": "paused", "rate_per_second": 5, "parameters": {"payout": "commission"}}
    assert entry.actor_kind == "token"


@pytest.mark.parametrize("field", ["scheme", "payout_means", "dedupe_by"])
def test_what_a_source_means_never_changes(machine: Caller, field: str) -> None:
    source_id = machine.post("/api/v1/sources", EVERFLOW).json["id"]

    answer = machine.patch(f"/api/v1/sources/{source_id}", {"version": 1, field: "pb1"})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_rotation_keeps_the_older_secret_for_the_overlap_and_not_a_moment_longer(
    machine: Caller, runtime: Runtime, clock: TestClock
) -> None:
    created = machine.post("/api/v1/sources", EVERFLOW).json
    clock.advance(hours=1)

    rotated = machine.post(f"/api/v1/sources/{created['id']}/secrets", {"overlap_days": 7})

    old, new = created["secret"]["value"], rotated.json["value"]
    assert rotated.status_code == 201
    clock.now += timedelta(days=7) - timedelta(microseconds=1)
    assert live_values(runtime, created["id"]) == [old, new]
    clock.now += timedelta(microseconds=1)
    assert live_values(runtime, created["id"]) == [new]


def test_a_second_rotation_never_makes_an_overlap_longer(machine: Caller, runtime: Runtime) -> None:
    source_id = machine.post("/api/v1/sources", EVERFLOW).json["id"]

    machine.post(f"/api/v1/sources/{source_id}/secrets", {"overlap_days": 1})
    machine.post(f"/api/v1/sources/{source_id}/secrets", {"overlap_days": 30})

    ends = [secret["not_after"] for secret in machine.get(f"/api/v1/sources/{source_id}").json["secrets"]]
    assert sorted(ends, key=str) == ["2026-11-03T09:00:00Z", "2026-12-02T09:00:00Z", None]


def test_a_fourth_live_secret_is_refused_unless_the_older_ones_end_now(machine: Caller, runtime: Runtime) -> None:
    source_id = machine.post("/api/v1/sources", EVERFLOW).json["id"]
    path = f"/api/v1/sources/{source_id}/secrets"
    assert [machine.post(path, {}).status_code for _ in range(3)] == [201, 201, 409]
    assert len(live_values(runtime, source_id)) == 3

    without_overlap = machine.post(path, {"overlap_days": 0})

    assert without_overlap.status_code == 201
    assert live_values(runtime, source_id) == [without_overlap.json["value"]]


def test_a_revoked_secret_is_dead_at_once_and_the_last_one_may_go_too(machine: Caller, runtime: Runtime) -> None:
    created = machine.post("/api/v1/sources", EVERFLOW).json
    path = f"/api/v1/sources/{created['id']}/secrets/{created['secret']['id']}"

    revoked = machine.delete(path)
    again = machine.delete(path)

    assert revoked.status_code == 200
    assert revoked.json == {"id": created["secret"]["id"], "revoked_at": "2026-11-02T09:00:00Z", "live_secrets": 0}
    assert again.json == revoked.json
    assert live_values(runtime, created["id"]) == []
    assert machine.delete(f"/api/v1/sources/{created['id']}/secrets/sec_none").status_code == 404


def test_sources_are_for_admins_and_their_reading_for_auditors_too(sign_in: Callable[..., Caller]) -> None:
    assert sign_in("admin").post("/api/v1/sources", EVERFLOW).status_code == 201
    assert sign_in("auditor").get("/api/v1/sources").status_code == 200
    assert sign_in("auditor").post("/api/v1/sources", EVERFLOW).status_code == 403
    assert sign_in("finance").get("/api/v1/sources").status_code == 403


def test_a_source_that_is_not_there_is_not_found(machine: Caller) -> None:
    assert machine.get("/api/v1/sources/src_none").status_code == 404
    assert machine.patch("/api/v1/sources/src_none", {"version": 1}).status_code == 404
    assert machine.post("/api/v1/sources/src_none/secrets", {}).status_code == 404
