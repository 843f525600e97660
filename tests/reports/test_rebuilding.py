"""The journal held against accruals, batches and settlements: every difference is named, whoever made it."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import flask
import pytest
import sqlalchemy as sa

from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from ledger.posting import Posting
from payouts import jobs
from payouts.models import Accrual, BatchItem
from postback.models import Conversion
from reports import rebuilding
from tests.builders import OUR_IBAN, Builder
from tests.payouts.books import Books

APPEND_ONLY = ("accruals", "journal_entries", "journal_lines")
TODAY = date(2026, 11, 2)


@pytest.fixture
def books(runtime: Runtime) -> dict[str, str]:
    """Two accruals, of which one with revenue and a change of it, and a payout that was sent and has been paid."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        affiliate = build.affiliate()
        click = build.click(affiliate)
        plain = build.conversion(build.source(), "TX-1", 1250)
        first = build.accrual(plain, affiliate, click.campaign_id)
        paying = build.source("Pays us")
        paying.payout_means = "owed_to_us"
        shared = build.conversion(paying, "TX-2", 900)
        second = build.accrual(shared, affiliate, click.campaign_id)
        day = date(2026, 10, 15)
        revenue = posting.revenue(conversion_id=shared.id, money=Money(1000, "EUR"), occurred_on=day)
        changed = posting.changed_revenue(
            accrual_id=second.id, conversion_id=shared.id, money=Money(-100, "EUR"), occurred_on=day
        )
        payout = build.payout(affiliate, 1250, state="settled")
        item = build.sent(payout, "E2E1")
        line = build.bank_line(build.bank_statement(), -1250)
        item.state, item.settled_on, item.bank_line_id = "settled", line.booked_on, line.id
        paid = posting.settlement(
            end_to_end_id="E2E1", payout_id=payout.id, bank_account=line.account, money=Money(1250, "EUR"),
            settled_on=line.booked_on,
        )  # fmt: skip
        post(runtime, session, revenue, changed, paid)
        return {"first": first.id, "second": second.id, "conversion": shared.id, "payout": payout.id}


def post(runtime: Runtime, session: Any, *entries: Posting) -> None:
    journal.post(runtime, session, entries, today=TODAY)


def found(runtime: Runtime) -> list[tuple[str, str, str]]:
    with runtime.reading() as session:
        return [(each.fault.value, each.kind, each.source_id) for each in rebuilding.differences(session)]


def tamper(runtime: Runtime, *statements: str) -> None:
    """Change the books as someone would who owns the database: the triggers and foreign keys off."""
    with runtime.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            for table in APPEND_ONLY:
                connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            names = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in names.scalars().all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.invalidate()


def test_books_that_nobody_touched_are_what_they_are_about(runtime: Runtime, books: dict[str, str]) -> None:
    assert found(runtime) == []


def test_what_the_stages_post_over_refunds_and_changed_revenue_is_what_is_rebuilt(runtime: Runtime) -> None:
    by_stage = Books(runtime)
    by_stage.affiliate()
    by_stage.source("src_2", payout_means="owed_to_us")
    by_stage.campaign("cmp_2", kind="share", percent="50")
    for name in ("cnv_1", "cnv_2", "cnv_3"):
        by_stage.conversion(name, source_id="src_2", campaign_id="cmp_2", payout_minor=1000)
    jobs.accrue()
    for changes in ({"payout_minor": 600}, {"payout_minor": 700}, {"state": "reversed"}):
        by_stage.change(Conversion, "cnv_1", is_accrual_due=True, **changes)
        jobs.accrue()
    by_stage.change(Conversion, "cnv_2", is_accrual_due=True, payout_minor=1300)
    assert found(runtime) == []
    jobs.accrue()

    assert found(runtime) == []
    with runtime.reading() as session:
        assert rebuilding.entries(session) == 14


def test_an_accrual_without_its_entry_is_missing(runtime: Runtime, books: dict[str, str]) -> None:
    entry = f"SELECT id FROM journal_entries WHERE source_id = '{books['first']}'"  # noqa: S608 - our own text
    tamper(
        runtime,
        f"DELETE FROM journal_lines WHERE entry_id IN ({entry})",  # noqa: S608 - our own text
        f"DELETE FROM journal_entries WHERE id IN ({entry})",  # noqa: S608 - our own text
    )

    assert found(runtime) == [("missing", "accrual", books["first"])]


def test_an_entry_about_no_accrual_and_one_of_a_kind_that_there_is_not_are_extra(
    runtime: Runtime, books: dict[str, str]
) -> None:
    invented = posting.accrual(
        accrual_id="acr_zz", conversion_id="cnv_zz", affiliate_id="aff_1", account="expense:x",
        money=Money(5, "EUR"), occurred_on=TODAY,
    )  # fmt: skip
    with runtime.transaction() as session:
        post(runtime, session, invented)
    tamper(
        runtime,
        "INSERT INTO journal_entries (id, kind, source_type, source_id, period, occurred_on, posted_on, posted_at, "
        "description) VALUES ('jrn_zz', 'gift', 'hand', 'x', '2026-11', '2026-11-02', '2026-11-02', "
        "'2026-11-02 09:00:00', 'by hand')",
    )

    assert found(runtime) == [("extra", "accrual", "acr_zz"), ("extra", "gift", "x")]


def test_an_accrual_and_an_entry_that_no_longer_agree_are_different(runtime: Runtime, books: dict[str, str]) -> None:
    tamper(
        runtime,
        f"UPDATE accruals SET amount_minor = 1251 WHERE id = '{books['first']}'",  # noqa: S608 - our own text
        f"UPDATE journal_entries SET posted_on = '2026-09-01' WHERE source_id = '{books['second']}'",  # noqa: S608
    )

    with runtime.reading() as session:
        told = {each.source_id: each.details for each in rebuilding.differences(session) if each.kind == "accrual"}
    assert set(told) == {books["first"], books["second"]}
    assert "payable:affiliate -1251 EUR" in told[books["first"]]
    assert told[books["second"]] == "is in 2026-10, is booked on a day of 2026-09"


def test_revenue_that_does_not_sum_to_what_the_network_owes_is_different(
    runtime: Runtime, books: dict[str, str]
) -> None:
    with runtime.transaction() as session:
        more = posting.changed_revenue(
            accrual_id=books["first"], conversion_id="cnv_x", money=Money(3, "EUR"), occurred_on=TODAY
        )
        post(runtime, session, more)
    tamper(
        runtime,
        f"UPDATE conversions SET payout_minor = 901 WHERE id = '{books['conversion']}'",  # noqa: S608 - our own text
    )
    with runtime.reading() as session:
        conversion_id = session.get_one(Accrual, books["first"]).conversion_id

    # In the order of ids, of which those of one millisecond come in any.
    assert sorted(found(runtime)) == sorted(
        [("extra", "revenue", conversion_id), ("different", "revenue", books["conversion"])]
    )


def test_the_revenue_of_a_change_that_waits_for_its_accrual_is_not_looked_at(
    runtime: Runtime, books: dict[str, str]
) -> None:
    tamper(
        runtime,
        f"UPDATE conversions SET payout_minor = 901, is_accrual_due = true WHERE id = '{books['conversion']}'",  # noqa: S608 - our own text
    )

    assert found(runtime) == []


def test_a_payout_paid_from_another_account_or_sent_with_another_amount_is_different(
    runtime: Runtime, books: dict[str, str]
) -> None:
    tamper(runtime, f"UPDATE journal_lines SET account = 'bank:X' WHERE account = 'bank:{OUR_IBAN}'")  # noqa: S608
    with runtime.transaction() as session:
        session.execute(sa.update(BatchItem).values(amount_minor=1249))

    assert found(runtime) == [("different", "batch_sent", "E2E1"), ("different", "settlement", "E2E1")]


def test_the_command_names_each_difference_and_exits_with_1(
    runtime: Runtime, app: flask.Flask, books: dict[str, str]
) -> None:
    run: Callable[..., Any] = app.test_cli_runner().invoke
    good = run(args=["ledger", "verify", "--json"])
    assert (good.exit_code, json.loads(good.output)) == (0, {"entries": 6, "holds": True, "differences": 0})

    tamper(runtime, f"UPDATE accruals SET amount_minor = 1251 WHERE id = '{books['first']}'")  # noqa: S608 - our own

    bad, told = run(args=["ledger", "verify", "--json"]), run(args=["ledger", "verify"])
    assert (bad.exit_code, told.exit_code) == (1, 1)
    assert [json.loads(line).get("source_id") for line in bad.output.splitlines()] == [books["first"], None]
    assert told.output.startswith(f"different: accrual of accrual {books['first']}: should have ")
    assert told.output.endswith("\n6 entries, 1 differences\n")
