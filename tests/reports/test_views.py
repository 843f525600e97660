"""The views of reporting tools: each can be read, none shows what is secret, and they outlive a table's rebuilding."""

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.exc import ProgrammingError

from core import views
from core.runtime import Runtime
from tests.builders import IBAN, OUR_IBAN, Builder
from tests.reports.conftest import Reconcile
from tests.reports.test_closing import whole_month

ROOT = Path(__file__).parent.parent.parent
VIEWS = {
    "v_accruals", "v_affiliates", "v_conversions", "v_discrepancies", "v_journal", "v_matches", "v_payouts",
    "v_periods", "v_receipts_log",
}  # fmt: skip
# Columns that are nobody's business outside, whatever table they stand in.
SECRET = (
    "payee", "iban", "bic", "raw_", "sealed", "secret", "signature", "peer", "password", "token", "vat_id", "address",
    "subs", "note", "counterparty", "text", "dedupe_key",
)  # fmt: skip
CANARIES = (IBAN, OUR_IBAN, "Blog One GmbH", "secret", "CANARY")


def documented() -> dict[str, list[str]]:
    """The columns of each view, as docs/views.md lists them."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / "docs" / "views.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name = line.removeprefix("## ").strip("`")
        elif line.startswith("| `") and name in VIEWS:
            names, kind, _ = (cell.strip() for cell in line.strip("|").split("|", 2))
            for column in names.split(", "):
                column_name = column.strip("`")
                found.setdefault(name, []).append(column_name)
                if kind == "money":
                    found[name].append(f"{column_name}_minor")
    return found


def test_every_view_shows_what_is_documented_and_nothing_secret(runtime: Runtime, reconcile: Reconcile) -> None:
    ids = whole_month(runtime)
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source("Awin")
        conversion = build.conversion(source, "T2", -5, currency="KWD")
        build.receipt(conversion)
        build.conversion(source, "T3", 1250, currency="JPY", amount_minor=10**15)
        build.network_line(build.report(source), "T9", 5)
    reconcile("network")
    reconcile("payout")

    with runtime.reading() as session:
        names = set(sa.inspect(session.connection()).get_view_names())
        shown = {name: session.execute(sa.text(f"SELECT * FROM {name}")).mappings().all() for name in VIEWS}  # noqa: S608
        columns = {name: list(session.execute(sa.text(f"SELECT * FROM {name} LIMIT 0")).keys()) for name in VIEWS}  # noqa: S608

    assert names == VIEWS
    assert columns == documented()
    assert [(name, each) for name in VIEWS for each in columns[name] if any(part in each for part in SECRET)] == []
    assert all(shown.values())
    cells = [str(value) for rows in shown.values() for row in rows for value in row.values()]
    assert [cell for cell in cells if any(canary in cell for canary in CANARIES)] == []
    amounts = {row["transaction_id"]: (row["payout"], row["sale"]) for row in shown["v_conversions"]}
    exact = str if runtime.engine.dialect.name == "sqlite" else Decimal
    assert amounts == {
        "T1": (exact("12.50"), None),
        "T2": (exact("-0.005"), None),
        "T3": (exact("1250"), exact("1000000000000000")),
    }
    assert str(amounts["T1"][0]) == "12.50"
    assert {row["period"] for row in shown["v_conversions"]} == {"2026-10"}
    assert [row["account"] for row in shown["v_journal"] if row["account"].startswith("bank:")] == ["bank:..2051"]
    [paid] = shown["v_payouts"]
    assert (paid["state"], str(paid["settled_on"]), paid["affiliate"]) == ("settled", "2026-10-20", "Blog One")
    missing = {row["class"]: (row["difference"], row["theirs"]) for row in shown["v_discrepancies"]}
    assert missing["missing_at_us"] == (exact("0.05"), exact("0.05"))
    assert ids["conversion_id"] in {row["our_id"] for row in shown["v_matches"]}


def test_views_outlive_a_table_that_is_made_anew_and_keep_their_readers(runtime: Runtime) -> None:
    is_postgresql = runtime.engine.dialect.name == "postgresql"
    reader = f"reader_{runtime.engine.url.database}" if is_postgresql else ""
    with runtime.engine.begin() as connection:
        if is_postgresql:
            connection.exec_driver_sql(f"CREATE ROLE {reader}")
            connection.exec_driver_sql(f"GRANT SELECT ON {', '.join(sorted(VIEWS))} TO {reader}")
        before = sorted(sa.inspect(connection).get_view_names())
        operations = Operations(MigrationContext.configure(connection, opts={"render_as_batch": True}))
        with views.put_aside(connection):
            assert sa.inspect(connection).get_view_names() == []
            with operations.batch_alter_table("discrepancies", recreate="auto") as batch:
                batch.alter_column("resolution", type_=sa.String(60))

    try:
        with runtime.engine.connect() as connection:
            assert sorted(sa.inspect(connection).get_view_names()) == before
            if is_postgresql:
                connection.exec_driver_sql(f"SET ROLE {reader}")
            for name in VIEWS:
                connection.exec_driver_sql(f"SELECT * FROM {name}")  # noqa: S608
            if is_postgresql:
                with pytest.raises(ProgrammingError, match="permission denied"):
                    connection.exec_driver_sql("SELECT payee_iban FROM affiliates")
    finally:
        if is_postgresql:
            with runtime.engine.begin() as connection:
                connection.exec_driver_sql(f"DROP OWNED BY {reader}")
                connection.exec_driver_sql(f"DROP ROLE {reader}")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_text_of_an_amount_names_every_currency_that_has_not_two_decimals(dialect: str) -> None:
    found = views.decimal_of(dialect, "minor", "currency")

    assert all(f"'{code}'" in found for code in ("JPY", "KWD", "CLF"))
    assert "'EUR'" not in found
