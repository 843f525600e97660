"""Any order of postbacks, repeats, rotations, revocations and pauses agrees with a model of a few lines."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import config
from core.runtime import Runtime
from partners import secrets, sources
from partners.changes import Change
from partners.sources import NewSource, RateLimit
from postback.models import Conversion
from tests.conftest import TestClock, answer_of
from tests.postback.conftest import TESTS, key_of, sign_pb1
from web.app import DOOR, create_app

RUNS, STEPS = 15, 25


@dataclass
class Secret:
    """A secret as the model knows it."""

    id: str
    key: bytes
    not_after: datetime | None = None
    is_revoked: bool = False

    def is_live(self, now: datetime) -> bool:
        """Say whether it signs at `now`."""
        return not self.is_revoked and (self.not_after is None or self.not_after > now)


@dataclass(frozen=True)
class Fired:
    """A signed query, and what it says."""

    query: str
    secret: Secret = field(hash=False)
    name: str
    transaction_id: str
    payout: str
    sent_at: datetime


class Model(RuleBasedStateMachine):
    """One source before two doors with a memory each, as two worker processes have, and a dictionary beside it."""

    runtime: Runtime
    clock: TestClock
    clients: tuple[Any, Any]
    numbers: Any

    def __init__(self) -> None:
        super().__init__()
        number = next(self.numbers)
        self.peer = f"203.0.113.{number % 250 + 1}"
        new = NewSource(name=f"Model {number}", scheme="pb1", rate_limit=RateLimit(100_000, 100_000))
        with self.runtime.transaction() as session:
            source, secret = sources.create(self.runtime, session, new, actor=TESTS)
        self.source_id, self.version = source.id, source.version
        self.secrets = [Secret(secret.id, key_of(secret.value))]
        self.state, self.name = "active", "transaction_id"
        self.recorded: dict[str, str] = {}
        self.fired: list[Fired] = []

    @rule(
        transaction_id=st.sampled_from(["T1", "T2", "T3"]),
        payout=st.sampled_from(["1.00", "2.00", "not money"]),
        which=st.integers(0, 9),
        age_s=st.sampled_from([0, 0, 0, 1800, 1801, -120, -121]),
        door=st.integers(0, 1),
    )
    def post(self, transaction_id: str, payout: str, which: int, age_s: int, door: int) -> None:
        """Fire something signed with any of the secrets there ever were."""
        secret = self.secrets[which % len(self.secrets)]
        sent_at = self.clock() - timedelta(seconds=age_s)
        told = f"click_id=nobody&{self.name}={transaction_id}&payout={payout.replace(' ', '+')}&currency=GBP"
        query = sign_pb1(secret.key, self.source_id, f"{told}&ts={int(sent_at.timestamp())}")
        fired = Fired(query, secret, self.name, transaction_id, payout, sent_at)
        self.fired.append(fired)
        self.fire(fired, door)

    @precondition(lambda self: self.fired)
    @rule(which=st.integers(0, 50), door=st.integers(0, 1))
    def refire(self, which: int, door: int) -> None:
        """Fire the very same bytes again."""
        self.fire(self.fired[which % len(self.fired)], door)

    @rule(door=st.integers(0, 1), which=st.integers(0, 9))
    def forge(self, door: int, which: int) -> None:
        """Fire something that nobody signed."""
        key = bytes([which]) * 32
        query = sign_pb1(key, self.source_id, f"click_id=nobody&transaction_id=F{which}&payout=1.00&currency=GBP&ts=1")
        self.answered(query, door, (401, "unauthorised"))

    @precondition(lambda self: self.live_after_a_rotation() < 3)
    @rule(days=st.integers(0, 2))
    def rotate(self, days: int) -> None:
        """Give the source another secret; the older ones go on for `days`."""
        with self.runtime.transaction() as session:
            new = secrets.rotate(self.runtime, session, self.source_id, overlap_days=days, actor=TESTS)
        end = self.clock() + timedelta(days=days)
        for secret in self.secrets:
            if secret.is_live(self.clock()) and (secret.not_after is None or secret.not_after > end):
                secret.not_after = end
        self.secrets.append(Secret(new.id, key_of(new.value)))

    @rule(which=st.integers(0, 9))
    def revoke(self, which: int) -> None:
        """End a secret at once."""
        secret = self.secrets[which % len(self.secrets)]
        with self.runtime.transaction() as session:
            secrets.revoke(self.runtime, session, self.source_id, secret.id, actor=TESTS)
        secret.is_revoked = True

    @rule(seconds=st.sampled_from([1, 1799, 86_399, 86_400]))
    def wait(self, seconds: int) -> None:
        """Let time go by."""
        self.clock.advance(seconds=seconds)

    @rule(state=st.sampled_from(["active", "active", "paused"]))
    def turn(self, state: str) -> None:
        """Pause the source or let it go on."""
        self.change(state=state)
        self.state = state

    @rule(name=st.sampled_from(["transaction_id", "order"]))
    def rename(self, name: str) -> None:
        """Let the network call the transaction's id by another name."""
        self.change(parameters={"transaction_id": name})
        self.name = name

    def teardown(self) -> None:
        """Compare what is recorded."""
        with self.runtime.reading() as session:
            rows = session.execute(
                sa.select(Conversion.transaction_id, Conversion.payout_minor).where(
                    Conversion.source_id == self.source_id
                )
            ).all()
        assert sorted((row.transaction_id, f"{row.payout_minor / 100:.2f}") for row in rows) == sorted(
            self.recorded.items()
        )

    def live_after_a_rotation(self) -> int:
        """Count the live ones: with no overlap they end at the rotation, with one they count."""
        return sum(secret.is_live(self.clock()) for secret in self.secrets)

    def change(self, **values: Any) -> None:
        """Change the source."""
        with self.runtime.transaction() as session:
            self.version = sources.change(
                self.runtime, session, self.source_id, Change(self.version, values), actor=TESTS
            ).version

    def fire(self, fired: Fired, door: int) -> None:
        """Fire through one of the doors and insist on what the model says."""
        now = self.clock()
        self.clock.advance(milliseconds=1)  # receipts are numbered by their time
        now += timedelta(milliseconds=1)
        self.answered(fired.query, door, self.expected(fired, now))

    def expected(self, fired: Fired, now: datetime) -> tuple[int, str]:
        """Return what the sender is to hear, and note what is to be recorded."""
        if not fired.secret.is_live(now):
            return 401, "unauthorised"
        if self.state == "paused":
            return 503, "paused"
        sent_at = fired.sent_at.replace(microsecond=0)
        if sent_at > now + timedelta(seconds=120):
            return 401, "unauthorised"
        if fired.payout == "not money" or fired.name != self.name:
            return 422, "invalid"
        if fired.transaction_id in self.recorded:
            is_same = self.recorded[fired.transaction_id] == fired.payout
            return 200, "duplicate" if is_same else "conflict"
        self.recorded[fired.transaction_id] = fired.payout
        return (202, "held_late") if sent_at < now - timedelta(seconds=1800) else (200, "unmatched")

    def answered(self, query: str, door: int, expected: tuple[int, str]) -> None:
        """Fire and insist on the answer."""
        answer = answer_of(
            self.clients[door].get(
                f"/postback/{self.source_id}", query_string=query, environ_overrides={"REMOTE_ADDR": self.peer}
            )
        )
        assert (answer.status_code, answer.json["status"]) == expected


def test_every_order_of_postbacks_and_changes_of_their_source_agrees_with_the_model(
    runtime: Runtime, clock: TestClock, settings: config.Settings
) -> None:
    apps = [create_app(settings), create_app(settings)]
    kind: type[Model] = type(
        "ModelOfOneDatabase",
        (Model,),
        {
            "runtime": runtime,
            "clock": clock,
            "clients": tuple(app.test_client() for app in apps),
            "numbers": iter(range(100_000)),
        },
    )

    try:
        run_state_machine_as_test(
            kind,
            settings=hypothesis.settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=True,
                # Shrinking would take minutes; the steps of a failure are few enough to read.
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )
    finally:
        for app in apps:
            app.extensions[DOOR].close()
