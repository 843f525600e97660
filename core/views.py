"""Views for reporting tools, in migrations: amounts as exact decimals, and views put aside while tables change."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from core.money import EXPONENTS

# Every view of ours is called so, and nothing else is.
PREFIX = "v_"


def decimal_of(dialect: str, minor: str, currency: str) -> str:
    """Return the SQL of the amount `minor` (an SQL expression) in major units, NULL where it is NULL.

    PostgreSQL: numeric with the currency's decimals. SQLite has no exact decimals: text of the same digits.
    `currency` is an SQL expression too. Nothing is divided, so nothing is rounded.
    """
    of_postgresql = dialect == "postgresql"
    amount = _numeric if of_postgresql else _text
    cases = " ".join(
        f"WHEN {currency} IN ({codes}) THEN {amount(minor, exponent)}" for exponent, codes in _by_exponent()
    )
    return f"CASE WHEN {minor} IS NULL THEN NULL {cases} ELSE {amount(minor, 2)} END"


def make(connection: sa.Connection, name: str, select: str) -> None:
    """Make the view `name`."""
    # psycopg takes a single % for a parameter, also where there is none.
    body = select.replace("%", "%%") if connection.dialect.name == "postgresql" else select
    connection.exec_driver_sql(f"CREATE VIEW {name} AS {body}")


def drop(connection: sa.Connection, name: str) -> None:
    """Drop the view `name`."""
    connection.exec_driver_sql(f"DROP VIEW {name}")


@contextmanager
def put_aside(connection: sa.Connection) -> Iterator[None]:
    """Take our views away while tables are changed, and make them again as they were, with who may read them.

    A migration that makes a table anew, drops or renames a column, or changes a type stands within this: PostgreSQL
    refuses such a change under a view, SQLite refuses the renaming that ends a table's rebuilding. Where the views
    themselves are to say something new, the migration drops and makes those instead.
    """
    found = _views(connection)
    for view in reversed(found):
        drop(connection, view.name)
    yield
    for view in found:
        make(connection, view.name, view.select)
        for grant in view.grants:
            connection.exec_driver_sql(grant)


@dataclass(frozen=True)
class _View:
    """A view as the database has it, and the statements that give its readers back their right."""

    name: str
    select: str
    grants: tuple[str, ...] = ()


def _views(connection: sa.Connection) -> list[_View]:
    """Return our views, in the order they were made."""
    if connection.dialect.name == "postgresql":
        rows = connection.execute(
            sa.text(
                "SELECT c.relname, pg_get_viewdef(c.oid) AS body FROM pg_class AS c JOIN pg_namespace AS n"
                " ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND n.nspname = current_schema()"
                " AND starts_with(c.relname, :prefix) ORDER BY c.oid"
            ),
            {"prefix": PREFIX},
        )
        return [_View(row.relname, row.body.rstrip().rstrip(";"), _grants(connection, row.relname)) for row in rows]
    rows = connection.execute(
        sa.text(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'view' AND substr(name, 1, length(:prefix)) = :prefix ORDER BY rowid"
        ),
        {"prefix": PREFIX},
    )
    return [_View(row.name, row.sql.partition(" AS ")[2]) for row in rows]


def _grants(connection: sa.Connection, name: str) -> tuple[str, ...]:
    rows = connection.execute(
        sa.text(
            "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS reader"
            " FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = CAST(:name AS regclass)"
            " AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner"
        ),
        {"name": name},
    )
    return tuple(f"GRANT SELECT ON {name} TO {row.reader}" for row in rows)


def _by_exponent() -> list[tuple[int, str]]:
    """Return the currencies that have not two decimals, as SQL lists them."""
    exponents = sorted(set(EXPONENTS.values()) - {2})
    return [
        (exponent, ", ".join(f"'{code}'" for code in sorted(EXPONENTS) if EXPONENTS[code] == exponent))
        for exponent in exponents
    ]


def _numeric(minor: str, exponent: int) -> str:
    # A product keeps the decimals of its factors; a quotient would bring sixteen.
    factor = f"0.{'0' * (exponent - 1)}1" if exponent else "1"
    return f"CAST({minor} AS numeric) * {factor}"


def _text(minor: str, exponent: int) -> str:
    if not exponent:
        return f"CAST({minor} AS text)"
    unit = 10**exponent
    sign = f"CASE WHEN {minor} < 0 THEN '-' ELSE '' END"
    return f"{sign} || printf('%d.%0{exponent}d', abs({minor}) / {unit}, abs({minor}) % {unit})"
