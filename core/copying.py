"""Thousands of rows at once: COPY on PostgreSQL, one prepared statement run for each row on SQLite."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from core import bulk
from core.bulk import Rows

_Bind = Callable[[Any], Any]


def insert(session: Session, table: sa.Table, rows: Rows) -> None:
    """Insert `rows`, which all name the same columns, two or more of them."""
    if not rows:
        return
    connection = session.connection()
    columns = tuple(rows[0])
    values = _values(rows, columns, _binds(table, columns, connection.dialect))
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({_quoted(columns)}) FROM STDIN", values)
    else:
        connection.exec_driver_sql(_insert(table, columns), values)


def insert_new(session: Session, table: sa.Table, rows: Rows, *, key: tuple[str, ...]) -> list[str]:
    """Insert those `rows` whose unique `key` columns are not taken yet; return the inserted ones' ids.

    The table's primary key is one column of text, no part of `key`, and every row brings an id of its own.
    """
    if not rows:
        return []
    [primary] = table.primary_key.columns.keys()
    if session.connection().dialect.name == "postgresql":
        try:
            # Nearly always all are new. The savepoint is one for all of them, and costs nothing then.
            with session.begin_nested():
                insert(session, table, rows)
        except IntegrityError:
            # Row by row the database sorts out which are taken; any other fault comes up there again.
            return [row[0] for row in bulk.insert_new(session, table, rows, key=key)]
        return [row[primary] for row in rows]
    connection, columns = session.connection(), tuple(rows[0])
    statement = f"{_insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO NOTHING"
    values = _values(rows, columns, _binds(table, columns, connection.dialect))
    ids = [row[primary] for row in rows]
    if connection.exec_driver_sql(statement, values).rowcount == len(rows):
        return ids
    # Ids are new with each row: those that are there now are the ones that went in.
    there = f"SELECT {primary} FROM {table.name} WHERE {primary} IN (SELECT value FROM json_each(?))"  # noqa: S608
    found = {row[0] for row in connection.exec_driver_sql(there, (json.dumps(ids),))}
    return [id_ for id_ in ids if id_ in found]


def _copy(connection: sa.Connection, statement: str, values: Sequence[Sequence[Any]]) -> None:
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
    except psycopg.Error as error:
        # As SQLAlchemy says it of its own statements: the doors tell an outage and a taken key by these classes.
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _values(rows: Rows, columns: tuple[str, ...], binds: Mapping[str, _Bind]) -> list[Sequence[Any]]:
    """Return each row's values in the order of `columns`, as the driver takes them."""
    plain = list(map(itemgetter(*columns), rows))
    if not binds:
        return plain
    bound = [(columns.index(name), _remembering(bind)) for name, bind in binds.items()]
    made: list[Sequence[Any]] = []
    for row in plain:
        values = list(row)
        for place, bind in bound:
            if values[place] is not None:
                values[place] = bind(values[place])
        made.append(tuple(values))
    return made


def _remembering(bind: _Bind) -> _Bind:
    """Return `bind` that does its work once for each object: rows share most moments, days and terms."""
    seen: dict[int, Any] = {}

    def bound(value: Any) -> Any:
        # By identity, since rows keep every value alive meanwhile, and a mapping has no hash.
        key = id(value)
        if key not in seen:
            seen[key] = bind(value)
        return seen[key]

    return bound


@lru_cache(maxsize=256)
def _binds(table: sa.Table, columns: tuple[str, ...], dialect: Dialect) -> Mapping[str, _Bind]:
    """Return what turns a value into what the driver takes, for the columns that need it."""
    if dialect.name == "postgresql":
        kinds = {name: getattr(table.c[name].type, "impl_instance", table.c[name].type) for name in columns}
        return {name: json.dumps for name, kind in kinds.items() if isinstance(kind, sa.JSON)}
    processors = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns}
    return {name: bind for name, bind in processors.items() if bind is not None}


# The names are those of our own tables and columns; no value is ever part of a statement.
@lru_cache(maxsize=256)
def _insert(table: sa.Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({_quoted(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
