"""The chain of hashes: what was changed, cut out or slipped in afterwards is named."""

from contextlib import suppress

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act, Break
from core.runtime import Runtime

PERSON = Actor(ActorKind.STAFF, "stf_1")


def record(runtime: Runtime, *verbs: str) -> None:
    """Record acts, each in a transaction of its own."""
    for verb in verbs:
        with runtime.transaction() as session:
            audit.record(session, Act(PERSON, verb, "source", "src_1", runtime.clock(), after={"größe": 1, "a": None}))


def tamper(runtime: Runtime, statement: str) -> None:
    """Change the log as someone would who owns the database: the triggers off."""
    with runtime.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
        else:
            for act in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER audit_entries_append_only_{act}"))
        connection.execute(sa.text(statement))


def first_break(runtime: Runtime) -> tuple[int, Break | None]:
    """Walk the chain."""
    with runtime.reading() as session:
        return audit.first_break(session)


def test_an_untouched_chain_holds(runtime: Runtime) -> None:
    assert first_break(runtime) == (0, None)

    record(runtime, "created", "changed", "removed")

    assert first_break(runtime) == (3, None)


@pytest.mark.parametrize(
    "change",
    ["verb = 'x'", "actor_id = 'stf_2'", "subject_id = 'src_2'", "after = NULL", "before = '{}'", "reason = 'x'",
     "on_behalf_of = 'stf_2'", "actor_kind = 'token'"],
)  # fmt: skip
def test_a_changed_row_is_named(runtime: Runtime, change: str) -> None:
    record(runtime, "created", "changed", "removed")

    tamper(runtime, f"UPDATE audit_entries SET {change} WHERE seq = 2")  # noqa: S608 - our own text

    assert first_break(runtime) == (1, Break(2, "was changed after it was written"))


def test_a_row_cut_out_is_named(runtime: Runtime) -> None:
    record(runtime, "created", "changed", "removed")

    tamper(runtime, "DELETE FROM audit_entries WHERE seq = 2")

    assert first_break(runtime) == (1, Break(2, "row 2 is missing"))


def test_a_row_rewritten_with_its_hash_breaks_the_row_after_it(runtime: Runtime) -> None:
    record(runtime, "created", "changed", "removed")
    with runtime.reading() as session:
        entry = session.get_one(audit.AuditEntry, 2)
        entry.verb = "x"
        forged = audit.chained_hash(entry)
        session.expunge(entry)

    tamper(runtime, f"UPDATE audit_entries SET verb = 'x', hash = '{forged}' WHERE seq = 2")  # noqa: S608 - our own text

    assert first_break(runtime) == (2, Break(3, "does not follow from the row before it"))


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET verb = 'x'", "DELETE FROM audit_entries"])
def test_the_database_itself_refuses_to_change_the_log(runtime: Runtime, statement: str) -> None:
    record(runtime, "created")

    with pytest.raises(DatabaseError, match="append-only"), runtime.engine.begin() as connection:
        connection.execute(sa.text(statement))

    assert first_break(runtime) == (1, None)


def test_an_act_that_was_rolled_back_leaves_no_entry(runtime: Runtime) -> None:
    with suppress(ZeroDivisionError), runtime.transaction() as session:
        audit.record(session, Act(PERSON, "created", "source", "src_1", runtime.clock()))
        raise ZeroDivisionError

    record(runtime, "changed")

    assert first_break(runtime) == (1, None)
