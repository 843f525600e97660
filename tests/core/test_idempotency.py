"""Idempotency-Key: the same key does its work once, whoever sends it again, and however fast."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa

from core.http.idempotency import IdempotencyKey
from core.runtime import Runtime
from partners.models import Affiliate, Source
from tests.conftest import Answer, Caller

BLOG = {"name": "Blog One", "currency": "EUR"}


def post(machine: Caller, body: object, key: str, path: str = "/api/v1/affiliates") -> Answer:
    """Create with a key."""
    return machine.post(path, body, headers={"Idempotency-Key": key})


def count(runtime: Runtime) -> int:
    """Return how many affiliates there are."""
    with runtime.reading() as session:
        return session.scalar(sa.select(sa.func.count(Affiliate.id))) or 0


def test_the_same_key_gets_the_same_answer_and_does_nothing_twice(machine: Caller, runtime: Runtime) -> None:
    first, again = post(machine, BLOG, "one"), post(machine, BLOG, "one")

    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert count(runtime) == 1


def test_another_key_and_no_key_create_again(machine: Caller, runtime: Runtime) -> None:
    post(machine, BLOG, "one")
    post(machine, BLOG, "two")
    machine.post("/api/v1/affiliates", BLOG)

    assert count(runtime) == 3


def test_the_same_key_with_another_body_or_path_is_a_conflict(machine: Caller, runtime: Runtime) -> None:
    post(machine, BLOG, "one")

    other_body = post(machine, {**BLOG, "name": "Blog Two"}, "one")
    other_path = post(machine, BLOG, "one", path="/api/v1/affiliates?x=1")

    for answer in (other_body, other_path):
        assert answer.status_code == 409
        assert answer.json["type"] == "/problems/idempotency-key-reused"
    assert count(runtime) == 1


def test_a_refused_request_leaves_its_key_free(machine: Caller, runtime: Runtime) -> None:
    refused = post(machine, {**BLOG, "minimum_payout": "-1"}, "one")

    assert refused.status_code == 422
    assert post(machine, BLOG, "one").status_code == 201
    assert count(runtime) == 1


@pytest.mark.parametrize("key", ["", "k" * 201, "a\tb", "schlüssel"])
def test_a_key_that_cannot_be_kept_is_refused(machine: Caller, runtime: Runtime, key: str) -> None:
    assert post(machine, BLOG, key).status_code == 422
    assert count(runtime) == 0


def test_a_kept_answer_is_sealed_for_it_may_show_a_secret(machine: Caller, runtime: Runtime) -> None:
    created = post(machine, {"name": "Everflow", "scheme": "pb1"}, "one", path="/api/v1/sources").json

    with runtime.reading() as session:
        kept = session.scalars(sa.select(IdempotencyKey)).one()
    assert kept.sealed_body is not None
    assert created["secret"]["value"].encode() not in kept.sealed_body
    assert created["secret"]["value"].encode() in runtime.keyring.unseal(
        kept.sealed_body, bound_to=f"idempotency:{kept.actor_id}:one"
    )


def test_many_requests_at_once_with_one_key_create_one_row_and_share_its_answer(
    machine: Caller, runtime: Runtime
) -> None:
    together = Barrier(6)

    def create(_: int) -> Answer:
        client = machine.client.application.test_client()
        together.wait(timeout=10)
        return post(Caller(client, machine.headers), {"name": "Everflow", "scheme": "pb1"}, "one", "/api/v1/sources")

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(create, range(6)))

    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Source.id))) == 1
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 5


def test_a_key_belongs_to_the_actor_who_used_it(machine: Caller, runtime: Runtime) -> None:
    post(machine, BLOG, "one")
    with runtime.reading() as session:
        used = session.scalars(sa.select(IdempotencyKey)).one()

    assert used.actor_id.startswith("tok_")
    assert (used.key, used.status) == ("one", 201)
