"""Both databases for every test that asks for one, with true commits; a clock that tests set; real Valkey."""

import base64
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import hypothesis
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

import config
from access import people, tokens
from access.roles import ALL_MACHINE
from core import runtime as runtimes
from core.actors import system
from core.database import connect
from core.ids import id_maker
from core.runtime import Runtime
from tests import servers
from web import assembly
from web.app import DOOR, open_postback_door, rooms
from web.commands import migrate

# Before pytest makes its first folder.
tempfile.tempdir = str(servers.scratch())

# The long stories that chance writes are told so many times; before a release a night may go by with EXAMPLES_TIMES=20.
EXAMPLES_TIMES = int(os.environ.get("EXAMPLES_TIMES", "1"))
# Timing is never asserted: hypothesis would fail an example that took long on a busy machine.
hypothesis.settings.register_profile("clickledger", deadline=None)
hypothesis.settings.load_profile("clickledger")

SECRET_KEY = "a secret key for tests, forty characters"
KEY_ENCRYPTION_KEY = base64.b64encode(bytes(range(32))).decode()
PASSWORD = "correct horse battery"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

MISSING_POSTGRESQL = "no PostgreSQL: set TEST_DATABASE_URL or install Debian's postgresql"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was skipped for want of a server or program, and how to get it."""
    missing = _skipped_for_want(terminalreporter)
    if missing:
        parts = "; ".join(f"{count} tests: {reason}" for reason, count in sorted(missing.items()))
        terminalreporter.write_line(f"skipped {parts}", yellow=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With REQUIRE_ALL, as CI sets it, fail for what a machine could have had."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REQUIRE_ALL") and isinstance(reporter, pytest.TerminalReporter) and _skipped_for_want(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped_for_want(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Count the skips by reason; by our custom such a reason reads `no PostgreSQL: how to get it`."""
    reasons = (
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    return Counter(reason for reason in reasons if reason.startswith("no "))


class TestClock:
    """A clock that stands until a test moves it."""

    __test__ = False

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the moment it stands at."""
        return self.now

    def advance(self, **parts: float) -> None:
        """Move on by a timedelta's parts."""
        self.now += timedelta(**parts)


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """Hash passwords with argon2's least cost: two hashes a sign-in were half of all a test of a page costs.

    What they cost in production tests/access/test_passwords.py looks at, in a process of its own.
    """
    people._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a server where databases may be made and dropped."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    binaries = servers.postgresql_binaries()
    if binaries is None:
        pytest.skip(MISSING_POSTGRESQL)
    with servers.postgresql_cluster(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """URL of a real Valkey."""
    with servers.valkey() as url:
        yield url


class PostgresqlDatabases:
    """Makes databases as copies of one migrated template: a copy takes milliseconds, the migrations do not."""

    def __init__(self, server: str) -> None:
        self.admin = sa.create_engine(
            sa.make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        self.prefix = f"clickledger_test_{os.getpid()}"
        self.template = f"{self.prefix}_template"
        self.count = 0
        self._execute(f"DROP DATABASE IF EXISTS {self.template}")
        self._execute(f"CREATE DATABASE {self.template}")
        engine = sa.create_engine(self.url(self.template))
        migrate(engine)
        engine.dispose()

    def url(self, name: str) -> str:
        """Return the address of the database `name`."""
        return self.admin.url.set(database=name).render_as_string(hide_password=False)

    def create(self, *, migrated: bool = True) -> str:
        """Make a database and return its address."""
        self.count += 1
        name = f"{self.prefix}_{self.count}"
        self._execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {self.template}" if migrated else ""))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever still speaks to it."""
        self._execute(f"DROP DATABASE IF EXISTS {sa.make_url(url).database} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with self.admin.connect() as connection:
            connection.execute(sa.text(statement))


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server: str) -> Iterator[PostgresqlDatabases]:
    """The maker of PostgreSQL databases."""
    databases = PostgresqlDatabases(postgresql_server)
    yield databases
    databases.drop(databases.url(databases.template))
    databases.admin.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()  # the last connection to close folds the write-ahead log into the file
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a fresh migrated database: the test runs once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "clickledger.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    databases: PostgresqlDatabases = request.getfixturevalue("postgresql_databases")
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def clock() -> TestClock:
    """The clock of `runtime`, standing at START."""
    return TestClock(START)


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path) -> config.Settings:
    """Settings for a fresh database and an emptied Valkey."""
    Redis.from_url(valkey_url).flushall()
    return config.load(
        {
            "SECRET_KEY": SECRET_KEY,
            "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey_url,
            "VAR_DIR": str(tmp_path),
            "PUBLIC_URL": "http://localhost",
            "COMPANY_NAME": "Clickledger Tests GmbH",
            "COMPANY_IBAN": "DE02120300000000202051",
            "COMPANY_BIC": "BYLADEM1001",
        }
    )


@pytest.fixture
def runtime(settings: config.Settings, clock: TestClock) -> Iterator[Runtime]:
    """The installed runtime on a fresh database, with the test's clock."""
    built = replace(assembly.build(settings), clock=clock, new_id=id_maker(clock))
    runtimes.install(built)
    yield built
    built.engine.dispose()
    built.redis.close()


@pytest.fixture(scope="session")
def all_rooms() -> flask.Flask:
    """The application but for its postback door: it takes 0.4 s of processor time to make, and is always the same."""
    app = rooms()
    app.config["TESTING"] = False  # answer errors as in production
    return app


@pytest.fixture
def app(runtime: Runtime, settings: config.Settings, all_rooms: flask.Flask) -> Iterator[flask.Flask]:
    """The application on `runtime`, with a postback door of its own."""
    open_postback_door(all_rooms, settings)
    yield all_rooms
    all_rooms.extensions[DOOR].close()


@dataclass(frozen=True)
class Answer:
    """What came back: `json` is the parsed body, None when it is none."""

    status_code: int
    json: Any
    data: bytes
    mimetype: str
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.data.decode()


def answer_of(response: TestResponse) -> Answer:
    """Return what a test looks at."""
    return Answer(
        response.status_code,
        response.get_json(silent=True),
        response.data,
        response.mimetype or "",
        dict(response.headers),
    )


@dataclass
class Caller:
    """An HTTP client that sends who it is with every call. Options are werkzeug's: data, query_string, ..."""

    client: FlaskClient
    headers: dict[str, str]
    staff_id: str = ""

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """Send a request."""
        sent = {**self.headers, **(headers or {})}
        return answer_of(self.client.open(path, method=method, headers=sent, **options))

    def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, json: object = None, **options: Any) -> Answer:
        """POST JSON, or with `data=` a form."""
        if "data" not in options:
            options["json"] = {} if json is None else json
        return self.call("POST", path, **options)

    def patch(self, path: str, json: object) -> Answer:
        """PATCH JSON."""
        return self.call("PATCH", path, json=json)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.call("DELETE", path)


@pytest.fixture
def machine(app: flask.Flask, runtime: Runtime) -> Caller:
    """A machine with a token of every scope."""
    with runtime.transaction() as session:
        token = tokens.create(runtime, session, name="tests", scopes=[ALL_MACHINE], days=30, actor=system("tests"))
    return Caller(app.test_client(), {"Authorization": f"Bearer {token.value}"})


@pytest.fixture
def environment(settings: config.Settings, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a server on the test's database."""
    return {
        "SECRET_KEY": SECRET_KEY,
        "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "VAR_DIR": str(tmp_path),
    }


@pytest.fixture
def sign_in(app: flask.Flask, runtime: Runtime) -> Callable[..., Caller]:
    """Make a person with the given roles and sign him in: `sign_in("finance", "manager")`."""

    def signed_in(*roles: str, email: str | None = None) -> Caller:
        with runtime.transaction() as session:
            address = email or f"{'-'.join(roles)}-{runtime.new_id('x')}@example.com"
            staff = people.create(
                runtime, session, email=address, roles=list(roles), password=PASSWORD, actor=system("tests")
            )
        client = app.test_client()
        answer = answer_of(client.post("/session", json={"email": address, "password": PASSWORD}))
        return Caller(client, {"X-CSRF-Token": answer.json["csrf_token"]}, staff.id)

    return signed_in
