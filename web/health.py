"""Doors for operators: alive, ready, measured."""

from datetime import timedelta

import flask
import sqlalchemy as sa
from redis import RedisError

from core.clock import system_clock
from core.errors import Unavailable
from core.http.doors import OPEN, declare
from core.runtime import Runtime, installed
from web import metrics

# The window for a postback's timestamp is minutes wide; a clock that differs this much from the database's is broken.
CLOCK_SKEW_MAX = timedelta(seconds=10)


def register(app: flask.Flask) -> None:
    """Add /healthz, /readyz and /metrics."""
    for rule, view in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", prometheus)):
        declare(view, OPEN)
        app.add_url_rule(rule, view.__name__, view)


def healthz() -> flask.Response:
    """Say that this process answers."""
    return flask.jsonify({"status": "alive"})


def readyz() -> tuple[flask.Response, int]:
    """Say whether database and clock are fit to take postbacks. Without Redis we are slower, not unfit."""
    runtime = installed()
    database, clock = _database_and_clock(runtime)
    parts = {"database": database, "clock": clock, "redis": _redis(runtime)}
    fit = database == "ok" and clock == "ok"
    return flask.jsonify({"status": "ready" if fit else "unfit", **parts}), 200 if fit else 503


def prometheus() -> flask.Response:
    """Answer Prometheus."""
    return flask.Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE_LATEST)


def _database_and_clock(runtime: Runtime) -> tuple[str, str]:
    try:
        with runtime.reading() as session:
            if runtime.engine.dialect.name == "sqlite":
                # SQLite asks this same machine's clock: there is no second one to differ from.
                session.execute(sa.text("SELECT version_num FROM alembic_version"))
                return "ok", "ok"
            session.execute(sa.text("SELECT version_num FROM alembic_version"))
            theirs = session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    except Unavailable:
        return "away", "unknown"
    except sa.exc.ProgrammingError:
        return "not migrated", "unknown"
    return "ok", "ok" if abs(theirs - system_clock()) <= CLOCK_SKEW_MAX else "differs from the database's"


def _redis(runtime: Runtime) -> str:
    try:
        runtime.redis.ping()
    except RedisError:
        return "away"
    return "ok"
