"""Database triggers for migrations: tables that only grow, on both databases."""


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
