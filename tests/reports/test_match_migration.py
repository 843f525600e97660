"""Matches that were made before there were edges: what the migration makes of them, on both databases."""

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from tests.test_migrations import NOW, _row, empty
from web import tables
from web.commands import MIGRATIONS, migrate

__all__ = ["empty"]
SCRIPT = next(
    script for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions() if script.path.endswith("_matching.py")
)


def test_an_earlier_match_becomes_an_edge_alone_that_takes_its_line_whole_and_goes_back(empty: sa.Engine) -> None:
    migrate(empty, str(SCRIPT.down_revision))
    lines = {"network": ("network_lines", 1240), "payout": ("bank_lines", -990)}
    with empty.begin() as connection:
        for name in ("sources", "statements", "reconciliations", "network_lines", "bank_lines"):
            _add(connection, name, id="id", amount_minor=lines["network" if name == "network_lines" else "payout"][1])
        for leg in lines:
            _add(
                connection, "matches", id=f"mat_{leg}", leg=leg, our_id=f"our_{leg}", their_id="id", created_at=NOW,
                difference_minor=-10,
            )  # fmt: skip

    migrate(empty, SCRIPT.revision)

    wanted = "SELECT group_id, allocated_minor, state, is_whole FROM matches ORDER BY id"
    with empty.begin() as connection:
        edges = [tuple(row) for row in connection.execute(sa.text(wanted))]
        ruleset = connection.execute(sa.text("SELECT version, state FROM match_rulesets")).all()
        # What matches before could not say goes when the migration is taken back.
        connection.execute(sa.text("UPDATE matches SET state = 'suggested' WHERE id = 'mat_payout'"))
    assert edges == [("mat_network", 1240, "confirmed", True), ("mat_payout", 990, "confirmed", True)]
    assert [tuple(row) for row in ruleset] == [(0, "active")]
    migrate(empty, str(SCRIPT.down_revision), down=True)
    with empty.connect() as connection:
        assert connection.execute(sa.text("SELECT id FROM matches")).scalars().all() == ["mat_network"]


def _add(connection: sa.Connection, name: str, **values: object) -> None:
    table = tables.METADATA.tables[name]
    columns = {column["name"] for column in sa.inspect(connection).get_columns(name)}
    row = {key: value for key, value in (_row(table) | values).items() if key in columns}
    connection.execute(table.insert().values(**row))
