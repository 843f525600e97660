"""How long the server takes for each page of the console, on PostgreSQL with a million conversions.

`python -m bench.pages --conversions 1000000`: every page that takes no part in its path, and those of one conversion,
source and month, asked in turn of the application in this process, beside a Flask view that says hello.
"""

import argparse
import sys
import time
from http import HTTPStatus
from pathlib import Path
from statistics import median, quantiles

import flask
import psycopg
from flask.testing import FlaskClient

import config
from access import people
from access.roles import Role
from bench import databases, month, results
from bench.results import table
from bench.scene import BY, Scene, postgresql_template, stage
from core import runtime as runtimes
from core.http.doors import DoorKind
from web.app import create_app

MS_MAX = 100.0
ROUNDS = 20
PASSWORD = "a password for measurements"  # noqa: S105 - of a throw-away database
# What changes something when it is only looked at, or leads elsewhere.
LEFT_OUT = {"/"}


def main() -> int:
    """Measure; return 1 when a page takes longer than it may."""
    options = _options().parse_args()
    binaries = databases.postgresql_binaries()
    if binaries is None:
        print("PostgreSQL is needed")
        return 1
    with stage() as place, databases.postgresql(binaries) as cluster:
        scene = postgresql_template(place, cluster)
        url = cluster.create("bench_pages")
        month.fill(url, scene, options.conversions)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        with place.runtime(url) as runtime:
            runtimes.install(runtime)
            with runtime.transaction() as session:
                everyone = [role.value for role in Role]
                people.create(runtime, session, email="eve@example.com", roles=everyone, password=PASSWORD, actor=BY)
            app = create_app(config.load(place.environment(url)))
            client = app.test_client()
            client.post("/session", json={"email": "eve@example.com", "password": PASSWORD})
            taken = {path: _milliseconds(client, path) for path in _paths(app, scene)}
    taken["Flask hello"] = _milliseconds(_hello(), "/")
    slow = {path: found for path, found in taken.items() if found[1] > MS_MAX}
    rows = [
        [path, f"{found[0]:.1f}", f"{found[1]:.1f}"]
        for path, found in sorted(taken.items(), key=lambda each: -each[1][1])
    ]
    page = [
        "# Pages of the console", "",
        f"{options.conversions:,} conversions of one month and their report's lines, each page {ROUNDS} times in turn.",
        f"Target: p95 of {MS_MAX:.0f} ms.", "",
        *table(("page", "median ms", "p95 ms"), rows), "",
        *(f"- MISSED: {path} takes {found[1]:.0f} ms" for path, found in slow.items()),
    ]  # fmt: skip
    print("\n".join(page))
    results.write("pages", {"conversions": options.conversions, "milliseconds": taken}, page, folder=options.results)
    return 1 if slow else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--conversions", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _paths(app: flask.Flask, scene: Scene) -> list[str]:
    found = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        door = getattr(view, "door", None)
        is_page = getattr(view, "is_page", False) and "GET" in (rule.methods or ()) and not rule.arguments
        if is_page and door is not None and door.kind is DoorKind.ACTORS and rule.rule not in LEFT_OUT:
            found.append(rule.rule)
    return [
        *sorted(found), f"/sources/{scene.source_id}", f"/affiliates/{scene.affiliate_id}",
        f"/month-end/{month.PERIOD}", f"/month-end/{month.PERIOD}/suggestions", "/find?q=TXN-1",
        f"/conversions?source_id={scene.source_id}", f"/conversions?period={month.PERIOD}",
    ]  # fmt: skip


def _milliseconds(client: FlaskClient, path: str) -> tuple[float, float]:
    found = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        answer = client.get(path, headers={"Accept": "text/html"})
        found.append((time.perf_counter() - began) * 1000)
        if answer.status_code != HTTPStatus.OK:
            message = f"{path} answers {answer.status_code}"
            raise RuntimeError(message)
    # The first one fills what the others find.
    return median(found[1:]), quantiles(found[1:], n=20)[-1]


def _hello() -> FlaskClient:
    app = flask.Flask("hello")
    app.add_url_rule("/", view_func=lambda: "hello")
    return app.test_client()


if __name__ == "__main__":
    sys.exit(main())
