"""The books against a hand at a prompt, in raw SQL on both databases."""

from collections.abc import Sequence
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from payouts.models import Accrual
from tests.builders import Builder

TODAY = date(2026, 11, 2)
ENTRY = (
    "INSERT INTO journal_entries (id, kind, source_type, source_id, period, occurred_on, posted_on, posted_at, "
    "description) VALUES ('{id}', 'accrual', 'accrual', '{id}', '{period}', '2026-10-05', '2026-10-05', "
    "'2026-10-05 09:00:00', 'by hand')"
)
LINE = (
    "INSERT INTO journal_lines (entry_id, line_number, account, amount_minor, currency) "
    "VALUES ('{id}', {number}, 'fx', {amount}, '{currency}')"
)
PAIR = LINE + ", ('{id}', {number} + 1, 'fx', -{amount}, '{currency}')"
OTHER_VALUES = {"integer": "7", "bigint": "7", "numeric": "7", "boolean": "true", "date": "'2026-01-01'"}


def execute(runtime: Runtime, *statements: str) -> None:
    """Run statements in one transaction."""
    with runtime.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def update(column: str, value: str) -> str:
    return f"UPDATE accruals SET {column} = {value}"  # noqa: S608 - our own text


def refused(runtime: Runtime, *statements: str, match: str) -> None:
    """See the transaction refused."""
    with pytest.raises(DBAPIError, match=match):
        execute(runtime, *statements)


def post(runtime: Runtime, occurred_on: date = date(2026, 10, 5)) -> str:
    """Post one entry of two lines and return its id."""
    entry = posting.revenue(conversion_id="cnv_1", money=Money(100, "EUR"), occurred_on=occurred_on)
    with runtime.transaction() as session:
        journal.post(runtime, session, [entry], today=TODAY)
    with runtime.engine.connect() as connection:
        return str(connection.exec_driver_sql("SELECT id FROM journal_entries").scalar_one())


def accrue(runtime: Runtime) -> str:
    """Add one accrual and a payout that has it; return the payout's id."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        affiliate = build.affiliate()
        click = build.click(affiliate)
        build.accrual(build.conversion(build.source(), "TX-1", 1250), affiliate, click.campaign_id)
        return build.payout(affiliate, 1250).id


def close(runtime: Runtime, period: str) -> None:
    with runtime.transaction() as session:
        periods.held_for_closing(session, period).state = "closed"


def test_no_column_of_an_accrual_is_edited_but_the_payout_it_is_in(runtime: Runtime) -> None:
    payout_id = accrue(runtime)

    execute(runtime, update("payout_id", f"'{payout_id}'"))
    execute(runtime, update("payout_id", "NULL"))

    # Filled once, when the rate of its day is known; a category moves with the next version (tests of recategorising).
    execute(runtime, update("base_minor", "5"))
    for column in sa.inspect(Accrual).columns:
        if column.name not in {"payout_id", "version"}:
            guards = "append-only|category_moves_with_version|base_is_filled_once"
            refused(runtime, update(column.name, _other(column, runtime)), match=guards)
    refused(runtime, update("version", "version + 2"), match="category_moves_with_version")


def test_an_accrual_is_not_edited_on_the_way_into_its_payout(runtime: Runtime) -> None:
    payout_id = accrue(runtime)

    refused(runtime, update("payout_id", f"'{payout_id}', amount_minor = amount_minor + 1"), match="append-only")


@pytest.mark.parametrize("table", ["accruals", "journal_lines", "journal_entries"])
def test_nothing_is_deleted_from_the_books(runtime: Runtime, table: str) -> None:
    accrue(runtime)

    refused(runtime, f"DELETE FROM {table}", match="append-only")  # noqa: S608 - our own text


@pytest.mark.parametrize("table", ["accruals", "journal_lines", "journal_entries", "audit_entries"])
def test_no_table_of_the_books_is_emptied_at_once_nor_a_row_replaced(runtime: Runtime, table: str) -> None:
    accrue(runtime)
    execute(
        runtime,
        "INSERT INTO audit_entries (seq, at, actor_kind, actor_id, verb, subject_kind, subject_id, previous_hash, hash)"
        " VALUES (1, '2026-10-05 09:00:00', 'staff', 'stf_1', 'created', 'source', 'src_1', '0', '1')",
    )

    if runtime.engine.dialect.name == "postgresql":
        refused(runtime, f"TRUNCATE {table} CASCADE", match="append-only")
    else:
        refused(
            runtime,
            "PRAGMA defer_foreign_keys = ON",
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",  # noqa: S608 - our own text
            match="append-only",
        )


@pytest.mark.parametrize(
    "lines",
    [
        [LINE.format(id="jrn_1", number=1, amount=5, currency="EUR")],
        [PAIR.format(id="jrn_1", number=1, amount=5, currency="EUR"),
         LINE.format(id="jrn_1", number=3, amount=1, currency="EUR")],
        [LINE.format(id="jrn_1", number=1, amount=5, currency="EUR")
         + ", ('jrn_1', 2, 'fx', -5, 'USD')"],
    ],
    ids=["one line alone", "a line too many", "two currencies"],
)  # fmt: skip
def test_an_entry_that_does_not_balance_is_refused_by_the_database_itself(
    runtime: Runtime, lines: Sequence[str]
) -> None:
    refused(
        runtime, ENTRY.format(id="jrn_1", period="2026-10"), *lines, match="does not balance|FOREIGN KEY constraint"
    )

    with runtime.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM journal_entries").scalar_one() == 0


def test_a_balanced_entry_by_hand_is_taken(runtime: Runtime) -> None:
    execute(
        runtime,
        ENTRY.format(id="jrn_1", period="2026-10"),
        PAIR.format(id="jrn_1", number=1, amount=5, currency="EUR"),
        PAIR.format(id="jrn_1", number=3, amount=7, currency="USD"),
    )


def test_a_posted_entry_takes_no_line_that_unbalances_it(runtime: Runtime) -> None:
    entry_id = post(runtime)

    refused(
        runtime,
        LINE.format(id=entry_id, number=3, amount=1, currency="EUR"),
        match="does not balance|FOREIGN KEY constraint",
    )


def test_nothing_is_posted_into_a_closed_month_neither_an_entry_nor_another_line(runtime: Runtime) -> None:
    entry_id = post(runtime)
    close(runtime, "2026-10")

    refused(runtime, ENTRY.format(id="jrn_1", period="2026-10"), match="closed")
    refused(runtime, PAIR.format(id=entry_id, number=3, amount=5, currency="EUR"), match="closed")


def _other(column: sa.Column[object], runtime: Runtime) -> str:
    """Return another value for `column`, as SQL."""
    kind = str(column.type.compile(runtime.engine.dialect)).lower().partition("(")[0]
    if "json" in kind:
        return '\'{"kind": "other"}\''
    return OTHER_VALUES.get(kind, "'x'" if "char" in kind else "'2026-01-01 00:00:00'")
