"""The migrations' door: brings a database to the newest revision, one process at a time."""

import os

import sqlalchemy as sa
from alembic import context

import config
from core.database import connect
from web import tables

# Chosen once, at random: it must only differ from other advisory locks on the same database.
MIGRATION_LOCK = 7_305_201_188_301


def run() -> None:
    """Run the migrations in one transaction that no second process can be in."""
    engine = context.config.attributes.get("engine") or connect(config.load(os.environ).database_url)
    with engine.connect() as connection, connection.begin():
        # SQLite needs no more than its transaction: BEGIN IMMEDIATE lets one writer in.
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.configure(
            connection=connection,
            target_metadata=tables.METADATA,
            transactional_ddl=True,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
        )
        context.run_migrations()


run()
