"""A source, and a real server on the test's database, for the tests of the service as it runs."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.runtime import Runtime
from partners import sources
from partners.sources import NewSource
from tests.postback.conftest import TESTS, Stored, key_of
from tests.processes import gunicorn


@dataclass
class Network:
    """A source as its network knows it."""

    id: str
    secret: str

    @property
    def path(self) -> str:
        """Where it takes postbacks."""
        return f"/postback/{self.id}"

    def target(self, transaction_id: str) -> str:
        """Return the path and query of a signed pb1 postback."""
        query = f"click_id=C1&transaction_id={transaction_id}&payout=1.00&currency=EUR&ts={int(time.time())}"
        signed = f"pb1\nGET\n{self.path}\n{query}".encode()
        return f"{self.path}?{query}&sig={hmac.new(key_of(self.secret), signed, hashlib.sha256).hexdigest()}"


@pytest.fixture
def new_network(runtime: Runtime) -> Callable[..., Network]:
    """Make a source: `new_network(allowlist=[..])`."""
    count = iter(range(100))

    def made(**settings: Any) -> Network:
        new = replace(NewSource(name=f"Network {next(count)}", scheme="pb1"), **settings)
        with runtime.transaction() as session:
            source, secret = sources.create(runtime, session, new, actor=TESTS)
            return Network(source.id, secret.value)

    return made


@pytest.fixture
def stored(runtime: Runtime) -> Stored:
    """What is in the database."""
    return Stored(runtime)


@pytest.fixture
def url(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Address of a server with one worker, whose log shows nothing that broke."""
    with gunicorn(environment, tmp_path, workers=1) as (url, _):
        yield url
        # Not after the end: a worker that a held connection keeps too long is killed then.
        assert broken(tmp_path) == []


def broken(folder: Path) -> list[str]:
    """Return the lines of the server's log that tell of something that broke."""
    lines = (folder / "gunicorn.log").read_text(encoding="utf-8", errors="replace").splitlines()
    # Ours says its level as JSON, before the logger's name; gunicorn's own stands in brackets.
    signs = ("Traceback", "[ERROR]", "[CRITICAL]", '"level": "error"', '"level": "critical"')
    return [line for line in lines if any(sign in line for sign in signs)]
