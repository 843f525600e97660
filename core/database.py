"""Two databases, one code: whatever differs between SQLite and PostgreSQL lives here and nowhere else."""

import fcntl
import json
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from core import bulk

SelectT = TypeVar("SelectT", bound=sa.Select[Any])

POOL_TIMEOUT_S = 2
CONNECT_TIMEOUT_S = 2
BUSY_TIMEOUT_MS = 5000
STREAMED_AT_ONCE = 5000
# What goes wrong with the file and not with the statement. The low byte of SQLite's codes is the kind of error.
_SQLITE_LOST = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB}
_SQLITE_PRIMARY = 0xFF
CONSTRAINT_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC with microseconds; a naive one is refused rather than guessed at."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What its values are."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into what the driver stores."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a moment without a time zone cannot be stored"
            raise ValueError(message)
        moment = value.astimezone(UTC)
        # SQLite keeps text without an offset; all of it is UTC, so it sorts and compares as the moments do.
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment aware, in UTC, whatever zone the server's session has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal that keeps every digit: NUMERIC, and text on SQLite, whose numbers are floats of 15 digits."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """Return what the database stores."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(self.precision + 2))  # a sign and a point
        return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Turn a decimal into what the driver stores."""
        return f"{value:.{self.scale}f}" if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the decimal, whichever way it was stored."""
        return Decimal(value) if value is not None and dialect.name == "sqlite" else value


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Id = sa.String(40).with_variant(sa.String(40, collation="C"), "postgresql")
Minor = sa.BigInteger()
# The version column of rows that people act on: an act takes the version it saw, and moves it on.
VERSION = sa.text("1")
# SQLite numbers rows by itself only in a column declared INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Base(DeclarativeBase):
    """Every table's base: named constraints, so that a migration can speak of them."""

    metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it from the class


def connect(url: str) -> sa.Engine:
    """Return an engine for `url` (sqlite or postgresql) set up as docs/architecture.md says; nothing connects yet."""
    address = sa.make_url(url)
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() == "postgresql":
        engine = sa.create_engine(
            address,
            pool_size=10,
            max_overflow=10,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            hide_parameters=True,
            # Without it a host that swallows packets holds a request for minutes.
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
        event.listen(engine, "connect", lambda connection, _record: _prepare_postgresql(connection))
        return engine
    engine = sa.create_engine(
        address,
        pool_size=10,
        max_overflow=10,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", lambda connection, _record: prepare_sqlite(connection))
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _give_up_sqlite)
    return engine


def _prepare_postgresql(connection: Any) -> None:
    # It compiles a query for tenths of a second that then runs for milliseconds: it goes by costs that it guesses, and
    # those of tables without statistics, or of a month's first run, are guessed too high.
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
    connection.autocommit = False


def sessions(engine: sa.Engine) -> sessionmaker[Session]:
    """Return the factory of sessions that may write."""
    return sessionmaker(engine, expire_on_commit=False)


def reading_sessions(engine: sa.Engine) -> sessionmaker[Session]:
    """Return the factory of sessions that only read: on SQLite they wait for no writer, on PostgreSQL a write fails."""
    # SERIALIZABLE READ ONLY would be dearer; REPEATABLE READ shows one snapshot to a page that reads several tables.
    options: dict[str, Any] = {"clickledger_reading": True}
    if engine.dialect.name == "postgresql":
        options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    return sessionmaker(engine.execution_options(**options), expire_on_commit=False)


def prepare_sqlite(connection: Any, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
    """Set up a connection of the driver as every one of ours is."""
    # The driver must not open transactions by itself, or BEGIN IMMEDIATE below comes too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={busy_timeout_ms}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads and then writes can otherwise fail halfway
    # with SQLITE_BUSY, which no busy_timeout waits for.
    reading = connection.get_execution_options().get("clickledger_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _give_up_sqlite(context: sa.engine.ExceptionContext) -> None:
    # A connection opened while its file or folder could not be written stays read-only for good: SQLite looks once.
    # Kept in the pool it would refuse every write long after somebody had put the permissions right.
    if getattr(context.original_exception, "sqlite_errorcode", 0) & _SQLITE_PRIMARY in _SQLITE_LOST:
        context.is_disconnect = True


def is_postgresql(session: Session) -> bool:
    """Say which of the two databases `session` speaks to."""
    return session.get_bind().dialect.name == "postgresql"


@contextmanager
def writers_turn(engine: sa.Engine) -> Iterator[None]:
    """Stand in line for SQLite's one write lock, before the transaction that takes it; nothing on PostgreSQL.

    SQLite's own waiting sleeps and looks again: of many writers some then wait for most of a second.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    with turn_file(engine).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def turn_file(engine: sa.Engine) -> Path:
    """Return the file that SQLite's writers line up at."""
    return Path(f"{engine.url.database}.turn")


def insert_new(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
) -> list[Any]:
    """Insert those `rows` whose unique `key` columns are not taken yet; return the inserted ones' primary keys.

    The database decides, not a look beforehand: of two transactions with the same key one inserts, and the other
    waits for it and then finds the key taken.
    """
    renamed, primary = _names(table)
    if any(name in renamed for name in (rows[0] if rows else ())):
        rows = [{renamed.get(name, name): value for name, value in row.items()} for row in rows]
    return [primary(*values) for values in bulk.insert_new(session, table_of(table), rows, key=tuple(key))]


@lru_cache(maxsize=256)
def _names(model: type[Base]) -> tuple[Mapping[str, str], Callable[..., Any]]:
    """Return the columns that are called otherwise than their attributes, and the shape of a primary key."""
    # A reserved word's name is a class of SQLAlchemy's own, which orjson takes for no key.
    columns = {name: str(found.columns[0].name) for name, found in sa.inspect(model).column_attrs.items()}
    primary = namedtuple("Primary", [column.name for column in table_of(model).primary_key])  # type: ignore[misc]  # noqa: PYI024
    # Rows speak of attributes; a column whose name is a word of Python's is called otherwise there.
    return {name: column for name, column in columns.items() if name != column}, primary


def insert_of(session: Session, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert into `table` that can say what to do about a key that is taken: by the database's own words."""
    return postgresql.insert(table) if is_postgresql(session) else sqlite.insert(table)


def streamed(
    session: Session, statement: sa.Select[*tuple[Any, ...]], *, at_once: int = STREAMED_AT_ONCE
) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """Yield the rows of `statement` without holding them all: `at_once` are fetched at a time.

    Closed also when the reader stops early or goes away: a cursor on the server must not stay open.
    """
    with session.execute(statement.execution_options(yield_per=at_once)) as found:
        yield from found


def table_of(model: type[Base]) -> sa.Table:
    """Return the table of `model`."""
    table = model.__table__
    if not isinstance(table, sa.Table):
        message = f"{model.__name__} is no table"
        raise TypeError(message)
    return table


def is_worth_repeating(error: BaseException | None) -> bool:
    """Say whether the database chose this transaction as the one to give way: the same again will do."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}


def gave_up(error: BaseException | None) -> bool:
    """Say whether a transaction ended because it would wait, or last, for longer than it was allowed to."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"55P03", "57014"}


def oldest_write_s(session: Session) -> float:
    """Return for how many seconds the longest of the other transactions that write has been open; 0.0 without one.

    One that waits for a lock may be about to write. SQLite has one writer at a time, and within a transaction that is
    us. PostgreSQL answers once a transaction: asked again it says the same.
    """
    if not is_postgresql(session):
        return 0.0
    statement = sa.text(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8 FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND (backend_xid IS NOT NULL OR wait_event_type = 'Lock')"
    )
    return float(session.execute(statement).scalar_one())


def claim(statement: SelectT) -> SelectT:
    """Return `statement` so that rows another worker has claimed are skipped.

    PostgreSQL: FOR UPDATE SKIP LOCKED. SQLite: nothing to add, for BEGIN IMMEDIATE lets one writer in at a time.
    """
    return statement.with_for_update(skip_locked=True)


def among(session: Session, column: InstrumentedAttribute[str], ids: Iterable[str]) -> sa.ColumnElement[bool]:
    """Return the condition that `column` is one of `ids`, as one parameter however many there are.

    A parameter for each costs the client 25 us an id on PostgreSQL, and SQLite takes 32,766 at most.
    """
    if is_postgresql(session):
        return column == sa.any_(sa.literal(list(ids), postgresql.ARRAY(sa.Text)))
    values = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(sa.select(values.c.value))


def day_number(session: Session, column: Any) -> sa.ColumnElement[int]:
    """Return the days from 1970 to `column`, a date or a moment in UTC: a whole number, to be reckoned with."""
    if is_postgresql(session):
        return sa.cast(sa.func.floor(sa.extract("epoch", column) / 86_400), sa.Integer)
    return sa.cast(sa.func.strftime("%s", column), sa.Integer) // 86_400


def hour_number(session: Session, column: Any) -> sa.ColumnElement[int]:
    """Return the hours from 1970 to `column`, a moment in UTC."""
    if is_postgresql(session):
        return sa.cast(sa.func.floor(sa.extract("epoch", column) / 3600), sa.Integer)
    return sa.cast(sa.func.strftime("%s", column), sa.Integer) // 3600


def lock(session: Session, name: str) -> None:
    """Hold the lock `name` until the transaction ends: of several transactions that ask, one goes on at a time."""
    if is_postgresql(session):
        session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
