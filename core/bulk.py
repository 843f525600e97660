"""Inserts many rows in one statement: JSON that PostgreSQL unfolds, places for every value on SQLite.

Measured on 32 rows of the three tables of intake: 90 us of the client's time a postback through json_to_recordset,
190 through arrays and unnest, and more through SQLAlchemy's own batches; orjson then took most of the 90 away.
Thousands of rows go through COPY (core/copying.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

# What SQLite takes in one statement (SQLITE_MAX_VARIABLE_NUMBER).
_SQLITE_PARAMETERS_MAX = 32_766
Rows = Sequence[Mapping[str, Any]]
_Bind = Callable[[Any], Any] | None


def insert(session: Session, table: sa.Table, rows: Rows) -> None:
    """Insert `rows`, which all name the same columns."""
    if not rows:
        return
    connection = session.connection()
    columns = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_unfolding(table, columns, None), {"rows": _json(rows)})
    else:
        statement, values = for_sqlite(table, rows, connection.dialect)
        connection.exec_driver_sql(statement, values)


def insert_new(session: Session, table: sa.Table, rows: Rows, *, key: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Insert those `rows` whose unique `key` columns are not taken yet; return the inserted ones' primary keys."""
    if not rows:
        return []
    connection = session.connection()
    columns = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        inserted = connection.exec_driver_sql(_unfolding(table, columns, key), {"rows": _json(rows)})
        return [tuple(row) for row in inserted]
    return [
        tuple(row)
        for statement, values in new_for_sqlite(table, rows, connection.dialect, key=key)
        for row in connection.exec_driver_sql(statement, values)
    ]


@dataclass(frozen=True)
class Guard:
    """Rows go in only while `held` still stands in `table`: pairs of the id they name in `by`, and its revision."""

    table: sa.Table
    by: str
    held: Mapping[str, int]


@dataclass(frozen=True)
class Part:
    """A table that takes a part of every row: pairs of a column and the field that goes into it."""

    table: sa.Table
    columns: tuple[tuple[str, str], ...]


def guarded_insert(
    first: Part, followers: tuple[Part, ...], rows: Rows, *, key: tuple[str, ...], guard: Guard, same: Mapping[str, Any]
) -> tuple[str, dict[str, str]]:
    """Return PostgreSQL's one statement, and its parameters, that inserts new rows where `guard` holds.

    A row's field `id` is its primary key in `first`, and `key` are fields that are columns of `first`. With each row
    that goes in go its followers. Fields in `same` are alike in all rows. The statement answers the ids of the rows
    that went in; it is one transaction and one round trip, and a value that three tables keep travels once.
    """
    fields = (tuple(rows[0]), tuple(same))
    statement = _guarded((first, *followers), key, (guard.table, guard.by), fields)
    held = [{"id": place, "revision": revision} for place, revision in guard.held.items()]
    return statement, {"rows": _json(rows), "same": _json([same])[1:-1], "held": _json(held)}


@lru_cache(maxsize=64)
def _guarded(
    parts: tuple[Part, ...],
    key: tuple[str, ...],
    guard: tuple[sa.Table, str],
    told: tuple[tuple[str, ...], tuple[str, ...]],
) -> str:
    (first, *followers), (guarding, by), (fields, same) = parts, guard, told
    columns = {field: part.table.c[name] for part in reversed(parts) for name, field in part.columns}
    unfolded = (
        f"SELECT * FROM json_to_recordset(%(rows)s::json) AS row({_shapes(fields, columns)}), "  # noqa: S608
        f"json_to_record(%(same)s::json) AS same({_shapes(same, columns)})"
    )
    holds = (
        f"EXISTS (SELECT 1 FROM {guarding.name} AS guarding JOIN json_to_recordset(%(held)s::json) "  # noqa: S608
        f"AS held(id text, revision bigint) ON held.id = guarding.id AND held.revision = guarding.revision "
        f"WHERE guarding.id = told.{by})"
    )
    new = (
        f"{_taking(first)} WHERE {holds} ORDER BY {', '.join(f'told.{name}' for name in key)} "
        f"ON CONFLICT ({', '.join(key)}) DO NOTHING RETURNING id"
    )
    rest = "".join(
        f", follower{number} AS ({_taking(part)} WHERE told.id IN (SELECT id FROM first))"  # noqa: S608
        for number, part in enumerate(followers)
    )
    return f"WITH told AS MATERIALIZED ({unfolded}), first AS ({new}){rest} SELECT id FROM first"  # noqa: S608


def _taking(part: Part) -> str:
    names = quoted([name for name, _ in part.columns])
    taken = ", ".join(_taken(part.table.c[name], field) for name, field in part.columns)
    return f"INSERT INTO {part.table.name} ({names}) SELECT {taken} FROM told"  # noqa: S608


# The names are those of our own tables and columns; no value is ever part of a statement.
@lru_cache(maxsize=256)
def _unfolding(table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...] | None) -> str:
    own = {name: table.c[name] for name in columns}
    taken = ", ".join(_taken(column, name) for name, column in own.items())
    statement = (
        f"INSERT INTO {table.name} ({quoted(columns)}) SELECT {taken} "  # noqa: S608
        f"FROM json_to_recordset(%(rows)s::json) AS row({_shapes(columns, own)})"
    )
    if key is None:
        return statement
    return f"{statement} ON CONFLICT ({', '.join(key)}) DO NOTHING RETURNING {_primary(table)}"


def _shapes(fields: Sequence[str], columns: Mapping[str, sa.Column[Any]]) -> str:
    """Return the types that `fields` unfold to."""
    return ", ".join(f'"{field}" {_unfolded(columns[field])}' for field in fields)


def _unfolded(column: sa.Column[Any]) -> str:
    kind = _postgresql_type(column)
    return "text" if kind == "bytea" else kind  # JSON has no bytes: they travel as hexadecimal digits


def _taken(column: sa.Column[Any], field: str) -> str:
    return f"decode(\"{field}\", 'hex')" if _postgresql_type(column) == "bytea" else f'"{field}"'


def for_sqlite(table: sa.Table, rows: Rows, dialect: Dialect) -> tuple[str, list[tuple[Any, ...]]]:
    """Return the driver's statement that inserts one of `rows`, and the values of each."""
    columns = tuple(rows[0])
    statement, binds = _positional(table, columns, None, dialect)
    return statement, [_bound(row, columns, binds) for row in rows]


def new_for_sqlite(
    table: sa.Table, rows: Rows, dialect: Dialect, *, key: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the driver's statements that insert those `rows` whose unique `key` is free, each with its values.

    A statement answers the primary keys of the rows that it inserted.
    """
    columns = tuple(rows[0])
    step = max(1, _SQLITE_PARAMETERS_MAX // len(columns))
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        statement, binds = _positional(table, columns, key, dialect, len(chunk))
        yield statement, tuple(value for row in chunk for value in _bound(row, columns, binds))


@lru_cache(maxsize=256)
def _positional(
    table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...] | None, dialect: Dialect, rows: int = 1
) -> tuple[str, tuple[_Bind, ...]]:
    places = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    statement = f"INSERT INTO {table.name} ({quoted(columns)}) VALUES {places}"  # noqa: S608
    if key is not None:
        statement += f" ON CONFLICT ({', '.join(key)}) DO NOTHING RETURNING {_primary(table)}"
    binds = tuple(_bind(table.c[name], dialect) for name in columns)
    return statement, binds


def _bind(column: sa.Column[Any], dialect: Dialect) -> _Bind:
    """Return what makes a value of `column` one of SQLite's: as SQLAlchemy does, at a third of its cost."""
    match _postgresql_type(column):
        case "timestamptz":
            return _moment_as_text
        case "jsonb":
            return _json_as_text
        case _:
            return column.type.dialect_impl(dialect).bind_processor(dialect)


def _moment_as_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    refuse_naive(moment)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _json_as_text(value: object) -> str:
    return orjson.dumps(value).decode()


def _bound(row: Mapping[str, Any], columns: tuple[str, ...], binds: tuple[_Bind, ...]) -> tuple[Any, ...]:
    return tuple(row[name] if bind is None else bind(row[name]) for name, bind in zip(columns, binds, strict=True))


def quoted(columns: Sequence[str]) -> str:
    """Return the names of `columns` as a statement lists them."""
    return ", ".join(f'"{name}"' for name in columns)


def _primary(table: sa.Table) -> str:
    return ", ".join(column.name for column in table.primary_key)


def plain_type(column: sa.Column[Any]) -> Any:
    """Return the type of `column`, behind a decorator its plain one."""
    return getattr(column.type, "impl_instance", column.type)


def _postgresql_type(column: sa.Column[Any]) -> str:
    kind = plain_type(column)
    for type_, name in (
        (sa.JSON, "jsonb"),
        (sa.LargeBinary, "bytea"),
        (sa.DateTime, "timestamptz"),
        (sa.Date, "date"),
        (sa.Boolean, "boolean"),
        (sa.Integer, "bigint"),
        (sa.Numeric, "numeric"),
        (sa.String, "text"),
    ):
        if isinstance(kind, type_):
            return name
    message = f"{column} has a type that is not inserted in bulk"
    raise TypeError(message)


def _json(rows: Rows) -> str:
    try:
        # Moments come to _plain, which refuses one without a time zone.
        return orjson.dumps(list(rows), default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except orjson.JSONEncodeError as error:
        raise error.__cause__ or error from None


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        refuse_naive(value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    message = f"a value of type {type(value).__name__} is not inserted in bulk"
    raise TypeError(message)


def refuse_naive(moment: datetime) -> None:
    """Raise ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        message = "a moment without a time zone cannot be stored"
        raise ValueError(message)
