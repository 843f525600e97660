"""Database triggers for migrations: tables that only grow, on both databases."""

from collections.abc import Sequence


def append_only(dialect: str, table: str) -> list[str]:
    """Return the statements that make `table` refuse UPDATE and DELETE, whoever asks."""
    if dialect == "postgresql":
        return [
            f"""CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'restrict_violation'; END $$""",
            f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_append_only()""",
        ]
    return [
        f"""CREATE TRIGGER {table}_append_only_{act.lower()} BEFORE {act} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for act in ("UPDATE", "DELETE")
    ]


def not_append_only(dialect: str, table: str) -> list[str]:
    """Return the statements that take back what `append_only` made."""
    if dialect == "postgresql":
        return [f"DROP TRIGGER {table}_append_only ON {table}", f"DROP FUNCTION {table}_append_only()"]
    return [f"DROP TRIGGER {table}_append_only_{act}" for act in ("update", "delete")]


def append_only_but_for(dialect: str, table: str, free: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the statements that make `table`, which has `columns`, refuse DELETE and every UPDATE but of `free`.

    `not_append_only` takes them back, `now_free` makes others free. On SQLite a migration that makes the table anew
    makes them again, and one that adds a column calls `now_free`: SQLite drops a table's triggers with it, and its
    UPDATE OF names the columns one by one.
    """
    if dialect == "postgresql":
        return [
            _function(table, free),
            f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_append_only()""",
        ]
    return [
        _update_trigger(table, free, columns),
        f"""CREATE TRIGGER {table}_append_only_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only but for {", ".join(free)}'); END""",
    ]


def now_free(dialect: str, table: str, free: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the statements after which `free` are the columns that `append_only_but_for` lets change."""
    if dialect == "postgresql":
        return [_function(table, free)]
    return [f"DROP TRIGGER {table}_append_only_update", _update_trigger(table, free, columns)]


def _function(table: str, free: Sequence[str]) -> str:
    taken_over = " ".join(f"allowed.{column} := NEW.{column};" for column in free)
    return f"""CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE allowed {table};
        BEGIN
          IF TG_OP = 'UPDATE' THEN
            allowed := OLD;
            {taken_over}
            IF NEW IS NOT DISTINCT FROM allowed THEN RETURN NEW; END IF;
          END IF;
          RAISE EXCEPTION '{table} is append-only but for {", ".join(free)}' USING ERRCODE = 'restrict_violation';
        END $$"""


def _update_trigger(table: str, free: Sequence[str], columns: Sequence[str]) -> str:
    frozen = ", ".join(f'"{column}"' for column in columns if column not in free)
    return f"""CREATE TRIGGER {table}_append_only_update BEFORE UPDATE OF {frozen} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only but for {", ".join(free)}'); END"""


def only_when(dialect: str, table: str, name: str, changed: Sequence[str], condition: str) -> list[str]:
    """Return the statements that let the columns `changed` of `table` change only while `condition` holds.

    `condition` is SQL over OLD and NEW. `not_only_when` takes them back.
    """
    differs = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in changed)
    if dialect == "postgresql":
        return [
            f"""CREATE FUNCTION {table}_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{table}: {name}' USING ERRCODE = 'restrict_violation'; END $$""",
            f"""CREATE TRIGGER {table}_{name} BEFORE UPDATE ON {table} FOR EACH ROW
            WHEN (({differs}) AND NOT ({condition})) EXECUTE FUNCTION {table}_{name}()""",
        ]
    differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in changed)
    return [
        f"""CREATE TRIGGER {table}_{name} BEFORE UPDATE ON {table} WHEN ({differs}) AND NOT ({condition})
        BEGIN SELECT RAISE(ABORT, '{table}: {name}'); END"""
    ]


def not_only_when(dialect: str, table: str, name: str) -> list[str]:
    """Return the statements that take back what `only_when` made."""
    if dialect == "postgresql":
        return [f"DROP TRIGGER {table}_{name} ON {table}", f"DROP FUNCTION {table}_{name}()"]
    return [f"DROP TRIGGER {table}_{name}"]


def never_emptied(dialect: str, table: str, key: Sequence[str]) -> list[str]:
    """Return the statements that close each database's way around `append_only`; `key` is the table's primary key.

    PostgreSQL's TRUNCATE fires no trigger of a row. SQLite's INSERT OR REPLACE removes the row that has the key without
    firing the trigger of DELETE, unless the connection has asked for it.
    """
    if dialect == "postgresql":
        return [
            f"""CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"""
        ]
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    taken = f"SELECT 1 FROM {table} WHERE {same}"  # noqa: S608 - a migration's own names
    return [
        f"""CREATE TRIGGER {table}_never_emptied BEFORE INSERT ON {table} WHEN EXISTS ({taken})
        BEGIN SELECT RAISE(ABORT, '{table} is append-only: the key is taken'); END"""
    ]


def not_never_emptied(dialect: str, table: str) -> list[str]:
    """Return the statements that take back what `never_emptied` made."""
    return [f"DROP TRIGGER {table}_never_emptied" + (f" ON {table}" if dialect == "postgresql" else "")]
