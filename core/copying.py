"""Thousands of rows at once: COPY on PostgreSQL, one prepared statement run for each row on SQLite."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from operator import itemgetter
from typing import IO, Any

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from core import bulk
from core.bulk import Rows

_NULL = r"\N"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LOADED_BYTES = 1 << 20
_ESCAPES = str.maketrans({"\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"})


def insert(session: Session, table: sa.Table, rows: Rows) -> None:
    """Insert `rows`, which all name the same columns."""
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
    else:
        connection.exec_driver_sql(_insert(table, tuple(rows[0])), _bound(table, rows, connection.dialect))


def text_of(columns: Sequence[list[Any]]) -> str:
    """Return rows, given column by column, as lines of COPY's text format; "" without rows. No column is of JSON."""
    if not columns or not columns[0]:
        return ""
    return "\n".join(map("\t".join, zip(*(_texts(column, is_json=False) for column in columns), strict=True))) + "\n"


def load(session: Session, table: sa.Table, columns: Sequence[str], file: IO[bytes]) -> None:
    """Insert the rows of `file`, lines as `text_of` writes them, which hold `columns`; it is never in memory whole."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        statement = _insert(table, tuple(columns))
        while lines := file.readlines(_LOADED_BYTES):
            connection.exec_driver_sql(statement, [_values(line) for line in lines])
        return
    statement = f"COPY {table.name} ({bulk.quoted(columns)}) FROM STDIN"
    with _copying(connection, statement) as copy:
        while piece := file.read(_LOADED_BYTES):
            copy.write(piece)


def _values(line: bytes) -> tuple[str | None, ...]:
    text = line.decode()
    fields = text[:-1].split("\t")
    if "\\" not in text:
        return tuple(fields)
    return tuple([_value(field) if "\\" in field else field for field in fields])


def _value(field: str) -> str | None:
    return None if field == _NULL else _ESCAPED.sub(_unescaped, field)


def _unescaped(found: re.Match[str]) -> str:
    return _MEANT.get(found[1], found[1])


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
    connection = session.connection()
    statement = f"{_insert(table, tuple(rows[0]))} ON CONFLICT ({', '.join(key)}) DO NOTHING"
    values = _bound(table, rows, connection.dialect)
    ids = [row[primary] for row in rows]
    if connection.exec_driver_sql(statement, values).rowcount == len(rows):
        return ids
    # Ids are new with each row: those that are there now are the ones that went in.
    there = f"SELECT {primary} FROM {table.name} WHERE {primary} IN (SELECT value FROM json_each(?))"  # noqa: S608
    found = {row[0] for row in connection.exec_driver_sql(there, (json.dumps(ids),))}
    return [id_ for id_ in ids if id_ in found]


def _copy(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    columns = tuple(rows[0])
    statement = f"COPY {table.name} ({bulk.quoted(columns)}) FROM STDIN"
    is_json = {name for name in columns if isinstance(bulk.plain_type(table.c[name]), sa.JSON)}
    texts = [_texts(list(map(itemgetter(name), rows)), is_json=name in is_json) for name in columns]
    lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
    with _copying(connection, statement) as copy:
        copy.write(f"{lines}\n")


@contextmanager
def _copying(connection: sa.Connection, statement: str) -> Iterator[Any]:
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy
    except psycopg.Error as error:
        # As SQLAlchemy says it of its own statements: the doors tell an outage and a taken key by these classes.
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _texts(values: list[Any], *, is_json: bool) -> list[str]:
    """Return one column as COPY's text format has it (https://www.postgresql.org/docs/current/sql-copy.html)."""
    kinds = set(map(type, values))
    if is_json:
        texts = _of_each(lambda value: "" if value is None else orjson.dumps(value).decode(), values, is_json=True)
    elif kinds == {str}:
        texts = values
    elif kinds <= {int, Decimal}:
        return list(map(str, values))
    else:
        texts = _of_each(_text, values)
    # Column by column, since nearly none needs an escape: one look at all of it tells.
    whole = "".join(texts)
    if "\\" in whole or not whole.isprintable():
        texts = [text.translate(_ESCAPES) for text in texts]
    if type(None) in kinds:
        return [_NULL if value is None else text for value, text in zip(values, texts, strict=True)]
    return texts


def _of_each(turned: Callable[[Any], Any], values: list[Any], *, is_json: bool = False) -> list[Any]:
    """Return what `turned` makes of each of a column's values, reckoned once for those that are alike.

    Rows share most moments, days and terms. JSON is alike when it is the same object: 1 equals true, and is no hash.
    """
    if is_json:
        made = {place: turned(value) for place, value in {id(value): value for value in values}.items()}
        return [made[id(value)] for value in values]
    made = {value: turned(value) for value in set(values)}
    return [made[value] for value in values]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | Decimal):
        return str(value)
    if isinstance(value, date):  # a datetime is one too
        if isinstance(value, datetime):
            bulk.refuse_naive(value)
        return value.isoformat()
    message = f"a value of type {type(value).__name__} is not copied"
    raise TypeError(message)


def _bound(table: sa.Table, rows: Rows, dialect: Dialect) -> list[tuple[Any, ...]]:
    """Return each row's values as SQLite's driver takes them."""
    columns = tuple(rows[0])
    taken = {name: list(map(itemgetter(name), rows)) for name in columns}
    for name in columns:
        bind = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if bind is not None:
            is_json = isinstance(bulk.plain_type(table.c[name]), sa.JSON)
            taken[name] = _of_each(partial(_bind, bind), taken[name], is_json=is_json)
    return list(zip(*taken.values(), strict=True))


def _bind(bind: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else bind(value)


# The names are those of our own tables and columns; no value is ever part of a statement.
@lru_cache(maxsize=256)
def _insert(table: sa.Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({bulk.quoted(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
