"""Migrations: the same tables as the models say, up and down with rows, one process at a time."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.database import connect
from tests.conftest import PostgresqlDatabases
from web import tables
from web.commands import MIGRATIONS, migrate

# A decision's trigger has written their rows already.
FILLED_BY_TRIGGERS = {"approval_voices"}
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PATHS = {script.revision: script.path for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
REVISIONS = list(PATHS)[::-1]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An engine on a database without a table."""
    if request.param == "sqlite":
        engine = connect(f"sqlite:///{tmp_path}/empty.sqlite")
        yield engine
        engine.dispose()
        return
    databases: PostgresqlDatabases = request.getfixturevalue("postgresql_databases")
    url = databases.create(migrated=False)
    engine = connect(url)
    yield engine
    engine.dispose()
    databases.drop(url)


def test_migrations_are_numbered_in_one_line_without_a_gap() -> None:
    assert [f"{number:04d}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS


def test_the_migrated_tables_are_those_the_models_describe(empty: sa.Engine) -> None:
    migrate(empty)

    with empty.connect() as connection:
        parts = _partitions(empty)
        options = {"compare_type": True, "include_object": lambda _o, name, *_: name not in parts}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.METADATA) == []


def test_every_migration_goes_down_and_up_again_with_rows_in_its_tables(empty: sa.Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        for table in tables.METADATA.sorted_tables:
            if table.name not in FILLED_BY_TRIGGERS:
                connection.execute(table.insert().values(**_row(table)))

    for revision in [*reversed(REVISIONS[:-1]), "base"]:
        migrate(empty, revision, down=True)
    assert set(sa.inspect(empty).get_table_names()) == {"alembic_version"}
    if empty.dialect.name == "postgresql":
        with empty.connect() as connection:
            left = connection.execute(
                sa.text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
            ).scalar_one()
        assert left == 0

    for revision in REVISIONS:
        migrate(empty, revision)
    assert set(sa.inspect(empty).get_table_names()) - _partitions(empty) == {"alembic_version", *tables.METADATA.tables}


def test_of_several_processes_that_migrate_at_once_one_does_and_the_others_wait(empty: sa.Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)

    # Processes, as on a deployment: Alembic keeps its context in module globals and bears no threads.
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        list(processes.map(_migrate_alone, [url] * 3))

    with empty.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [REVISIONS[-1]]


def _partitions(engine: sa.Engine) -> set[str]:
    """Names of the tables that are parts of another, and of their indexes; on SQLite that of a trigger's own table."""
    if engine.dialect.name == "sqlite":
        return {"journal_imbalances"}
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid"))
        return set(found.scalars())


def _migrate_alone(url: str) -> None:
    engine = connect(url)
    migrate(engine)
    engine.dispose()


def _row(table: sa.Table) -> dict[str, object]:
    """Return one row that fits `table`, referring to the rows that `sorted_tables` has put before it."""
    return {column.name: _value(column) for column in table.columns}


def _value(column: sa.Column[Any]) -> object:
    for key in column.foreign_keys:
        return _value(key.column)
    kind = getattr(column.type, "impl_instance", column.type).python_type  # behind a decorator its plain type
    if kind is str and column.name.endswith("_id"):
        return "id"  # a reference without a foreign key names the one row all the same
    if kind is str:
        # Not active: a policy and a ruleset of version 0 are the active ones already.
        return "draft" if column.name == "state" else column.name[: getattr(column.type, "length", None) or 40]
    if kind is bool:
        return False
    if column.name == "amount_minor":
        return 0  # journal lines balance, and this is the only one
    values: dict[type, object] = {datetime: NOW, date: NOW.date(), bytes: b"bytes", dict: {}, list: [], Decimal: 1}
    return values.get(kind, 7)


def test_what_was_decided_and_edited_before_separation_was_held_counts_for_it(empty: sa.Engine) -> None:
    migrate(empty, "0013")
    decision = {
        "id": "dec_1", "request_id": "apr_1", "step_id": "finance", "actor_id": "stf_ann", "verdict": "approve",
        "content_hash": "sha256:00", "decided_at": NOW,
    }  # fmt: skip
    with empty.begin() as connection:
        request, affiliate = (_row(tables.METADATA.tables[name]) for name in ("approval_requests", "affiliates"))
        request |= {"id": "apr_1", "policy_version": 0, "state": "open", "barred": ["stf_maker"]}
        for name, row in (
            ("approval_requests", request),
            ("affiliates", affiliate | {"id": "aff_1", "payee_changed_by": "stf_eve"}),
            ("approval_decisions", decision),
        ):
            columns = {column["name"] for column in sa.inspect(connection).get_columns(name)}
            known = {key: value for key, value in row.items() if key in columns}
            connection.execute(tables.METADATA.tables[name].insert().values(**known))

    migrate(empty)

    with empty.connect() as connection:
        voices = connection.execute(sa.text("SELECT request_id, human_id, decision_id FROM approval_voices")).all()
        edits = connection.execute(sa.text("SELECT affiliate_id, edited_by FROM payee_edits")).all()
    assert [tuple(row) for row in voices] == [("apr_1", "stf_ann", "dec_1")]
    assert [tuple(row) for row in edits] == [("aff_1", "stf_eve")]
    for again in (decision | {"id": "dec_2"}, decision | {"id": "dec_3", "actor_id": "stf_maker"}):
        with pytest.raises(sa.exc.IntegrityError), empty.begin() as connection:
            connection.execute(tables.METADATA.tables["approval_decisions"].insert().values(**again))


def test_a_month_closed_before_snapshots_has_one_without_rows_and_stays_closed(empty: sa.Engine) -> None:
    [snapshots_made] = (revision for revision, path in PATHS.items() if path.endswith("_snapshots.py"))
    [trigger_made] = (revision for revision, path in PATHS.items() if path.endswith("_reopening.py"))
    migrate(empty, REVISIONS[REVISIONS.index(snapshots_made) - 1])
    closed = {"state": "closed", "closed_at": NOW, "closed_by": "stf_ann", "totals": {"a": 1}, "digest": "sha256:00"}
    with empty.begin() as connection:
        connection.execute(tables.METADATA.tables["periods"].insert().values(id="2026-09", **closed))
        connection.execute(tables.METADATA.tables["periods"].insert().values(id="2026-10", state="open"))

    migrate(empty, trigger_made)

    snapshots = tables.METADATA.tables["period_snapshots"]
    with empty.connect() as connection:
        [found] = connection.execute(sa.select(snapshots)).mappings().all()
    assert {name: found[name] for name in ("period", "number", "format", "closed_at", "kinds", "digest")} == {
        "period": "2026-09", "number": 1, "format": 1, "closed_at": NOW, "kinds": {}, "digest": "sha256:00",
    }  # fmt: skip
    with pytest.raises(sa.exc.DBAPIError), empty.begin() as connection:
        connection.execute(sa.text("UPDATE periods SET state = 'open'"))
