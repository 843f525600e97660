"""A source with a known secret, an affiliate with a click, and senders that sign for themselves."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from core.actors import system
from core.runtime import Runtime
from partners import secrets, sources
from partners.models import Affiliate, Campaign, Source
from partners.sources import NewSource
from postback.models import Conversion, ConversionEvent, Receipt
from tests.conftest import START, Answer, TestClock, answer_of
from tracking import clicks
from tracking.clicks import NewClick

TESTS = system("tests")
NOW_S = int(START.timestamp())


def sign_pb1(key: bytes, source_id: str, query: str, method: str = "GET") -> str:
    """Sign as the contract says, without any of our own code."""
    signed = f"pb1\n{method}\n/postback/{source_id}\n{query}".encode("latin-1")
    return f"{query}&sig={hmac.new(key, signed, hashlib.sha256).hexdigest()}"


@dataclass
class Network:
    """Someone who fires pb1 postbacks at one source."""

    client: FlaskClient
    source_id: str
    key: bytes
    peer: str = "203.0.113.7"
    parameters: Mapping[str, str] = field(default_factory=dict)

    def query(self, **changes: str | None) -> str:
        """Return a valid query with `changes`; None leaves a parameter out."""
        told: dict[str, str | None] = {
            "click_id": "CLICK-1", "transaction_id": "TXN789", "payout": "0.50", "currency": "GBP", "ts": str(NOW_S),
            **changes,
        }  # fmt: skip
        return "&".join(f"{name}={value}" for name, value in told.items() if value is not None)

    def signed(self, **changes: str | None) -> str:
        """Return a signed query."""
        return sign_pb1(self.key, self.source_id, self.query(**changes))

    def fire(self, query: str, *, method: str = "GET", **options: Any) -> Answer:
        """Send a query as it is."""
        options.setdefault("environ_overrides", {"REMOTE_ADDR": self.peer})
        return answer_of(self.client.open(f"/postback/{self.source_id}", method=method, query_string=query, **options))

    def send(self, **changes: str | None) -> Answer:
        """Sign and send."""
        return self.fire(self.signed(**changes))


@pytest.fixture
def new_network(app: flask.Flask, runtime: Runtime) -> Callable[..., Network]:
    """Make a source and its network: `new_network(stale="reject")`."""
    count = iter(range(1000))

    def made(**settings: Any) -> Network:
        new = replace(NewSource(name=f"Network {next(count)}", scheme="pb1"), **settings)
        with runtime.transaction() as session:
            source, secret = sources.create(runtime, session, new, actor=TESTS)
        return Network(app.test_client(), source.id, key_of(secret.value))

    return made


@pytest.fixture
def network(new_network: Callable[..., Network]) -> Network:
    """A pb1 network with the settings of a new source."""
    return new_network()


def key_of(value: str) -> bytes:
    """Return a secret's bytes."""
    return base64.b64decode(value.removeprefix("whsec_"))


@dataclass
class Trade:
    """An affiliate and a campaign with a window of 30 days."""

    runtime: Runtime
    affiliate_id: str
    campaign_id: str

    def click(self, click_id: str, *, clicked_at: datetime = START - timedelta(hours=1)) -> str:
        """Record a click and return its row id."""
        with self.runtime.transaction() as session:
            new = NewClick(self.campaign_id, self.affiliate_id, click_id=click_id, clicked_at=clicked_at)
            return clicks.record(self.runtime, session, [new])[0].id


@pytest.fixture
def trade(runtime: Runtime) -> Trade:
    """Someone to earn, something to sell."""
    affiliate = Affiliate(
        id="aff_one", name="One", status="trusted", currency="GBP", hold_days=0, minimum_payout_minor=0,
        created_at=START, version=1,
    )  # fmt: skip
    campaign = Campaign(
        id="cmp_one", name="Spring", destination_url="https://shop.example/", attribution_window_days=30,
        state="active", created_at=START, version=1,
    )  # fmt: skip
    with runtime.transaction() as session:
        session.add_all([affiliate, campaign])
    return Trade(runtime, affiliate.id, campaign.id)


@pytest.fixture
def stored(runtime: Runtime) -> "Stored":
    """What is in the database."""
    return Stored(runtime)


@dataclass
class Stored:
    """Reads the tables of intake, oldest first."""

    runtime: Runtime

    def receipts(self) -> list[Receipt]:
        """Every receipt."""
        return self._all(Receipt, Receipt.received_at, Receipt.id)

    def conversions(self) -> list[Conversion]:
        """Every conversion; those of one moment by their transaction id."""
        return self._all(Conversion, Conversion.recorded_at, Conversion.transaction_id)

    def events(self) -> list[ConversionEvent]:
        """Every event."""
        return self._all(ConversionEvent, ConversionEvent.conversion_id, ConversionEvent.seq)

    def reasons(self) -> list[str | None]:
        """Why each receipt was refused."""
        return [receipt.reason for receipt in self.receipts()]

    def _all(self, table: type[Any], *order: Any) -> list[Any]:
        with self.runtime.reading() as session:
            return list(session.scalars(sa.select(table).order_by(*order)))


def rotate(runtime: Runtime, source_id: str, *, overlap_days: int) -> bytes:
    """Give the source another secret and return its bytes."""
    with runtime.transaction() as session:
        return key_of(secrets.rotate(runtime, session, source_id, overlap_days=overlap_days, actor=TESTS).value)


def secret_ids(session: Session, source_id: str) -> list[str]:
    """Return the ids of a source's secrets, oldest first."""
    return [secret.id for secret in session.get_one(Source, source_id).secrets]


__all__ = ["NOW_S", "TESTS", "Network", "Stored", "TestClock", "Trade", "key_of", "rotate", "secret_ids", "sign_pb1"]
