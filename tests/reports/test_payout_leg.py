"""Payment items against the bank's debits, on both databases."""

from datetime import UTC, date, datetime

import sqlalchemy as sa

from core.runtime import Runtime
from ledger.models import JournalEntry
from payouts.models import BatchItem, Payout
from reports.match_models import Match
from reports.models import Discrepancy
from tests.builders import OUR_IBAN, Builder
from tests.reports.conftest import Reconcile, classes

NOVEMBER = date(2026, 11, 2)


def sent(build: Builder, amount_minor: int, end_to_end_id: str, **columns: object) -> Payout:
    payout = build.payout(build.affiliate(), amount_minor, **columns)
    build.sent(payout, end_to_end_id)
    return payout


def test_a_debit_with_the_end_to_end_id_and_the_amount_settles_the_payout(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = sent(build, 1250, "E2E-1")
        line = build.bank_line(build.bank_statement(), -1250, end_to_end_id="E2E-1")

    first = reconcile("payout")
    second = reconcile("payout")

    by_pass = {"confirmed": {"exact_id": 1}, "suggested": {}}
    assert first.counts == {"ours": 1, "theirs": 1, "matched": 1, "by_pass": by_pass, "discrepancies": {}}
    assert (second.counts, second.digest, second.input_sha256) == (first.counts, first.digest, first.input_sha256)
    with runtime.reading() as session:
        item = session.scalars(sa.select(BatchItem)).one()
        assert (item.state, item.bank_line_id, item.settled_on) == ("settled", line.id, date(2026, 10, 20))
        assert session.get_one(Payout, payout.id).state == "settled"
        kinds = session.scalars(sa.select(JournalEntry.kind).order_by(JournalEntry.kind)).all()
    assert kinds == ["batch_sent", "settlement"]


def test_an_id_found_in_the_text_is_a_reference_whatever_stands_around_it(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E_1")
        statement = build.bank_statement()
        build.bank_line(statement, -1250, text="SEPA e2e-1 E2Ex1")
        line = build.bank_line(statement, -1250, text="SEPA E2E_1 thanks")

    run = reconcile("payout")

    assert run.counts["discrepancies"] == {"unmatched_debit": 1}
    with runtime.reading() as session:
        match = session.scalars(sa.select(Match)).one()
    assert (match.matched_by, match.their_id) == ("reference", line.id)


def test_another_amount_is_matched_and_told_and_does_not_settle(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = sent(build, 1250, "E2E-1")
        build.bank_line(build.bank_statement(), -1240, end_to_end_id="E2E-1")

    reconcile("payout")

    with runtime.reading() as session:
        found = session.scalars(sa.select(Discrepancy)).one()
        match = session.scalars(sa.select(Match)).one()
        state = session.get_one(Payout, payout.id).state
    assert (found.klass, found.payout_id, found.ours_minor, found.theirs_minor) == (
        "amount_mismatch",
        payout.id,
        1250,
        1240,
    )
    assert (match.difference_minor, state) == (-10, "sent")


def test_a_payment_made_twice_settles_once_by_the_right_amount_and_the_other_debit_is_told(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E-1")
        statement = build.bank_statement()
        build.bank_line(statement, -1200, end_to_end_id="E2E-1", booked_on=date(2026, 10, 19))
        right = build.bank_line(statement, -1250, end_to_end_id="E2E-1")
        build.bank_line(statement, -1250, end_to_end_id="E2E-1", currency="USD")
        build.bank_line(statement, 1250, end_to_end_id="E2E-1")

    reconcile("payout")

    with runtime.reading() as session:
        assert session.scalars(sa.select(BatchItem.bank_line_id)).one() == right.id
        assert classes(session) == ["unmatched_debit", "unmatched_debit"]


def test_a_debit_that_names_two_payouts_is_neither_one_s_partner(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E-1")
        sent(build, 750, "E2E-2")
        build.bank_line(build.bank_statement(), -2000, text="E2E-1 E2E-2")

    run = reconcile("payout")

    # One sum of the two is suggested, and a person decides.
    assert (run.counts["matched"], run.counts["by_pass"]["confirmed"]) == (0, {})
    assert run.counts["by_pass"]["suggested"] == {"subset_sum": 2}
    assert run.counts["discrepancies"] == {"unmatched_debit": 1}


def test_a_statement_of_the_next_month_that_pays_this_month_s_payouts_is_looked_at_and_told_of_once(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E-1")
        statement = build.bank_statement(opened_on=NOVEMBER, closed_on=NOVEMBER)
        build.bank_line(statement, -1250, end_to_end_id="E2E-1", booked_on=NOVEMBER)
        build.bank_line(statement, -99, booked_on=NOVEMBER)

    october = reconcile("payout", period="2026-10")
    november = reconcile("payout", period="2026-11")

    assert october.counts["discrepancies"] == {"unmatched_debit": 1}
    assert (november.counts["ours"], november.counts["theirs"], november.counts["matched"]) == (0, 2, 0)
    assert november.counts["discrepancies"] == {}
    with runtime.reading() as session:
        assert session.scalars(sa.select(Discrepancy.period)).all() == ["2026-10"]


def test_a_payout_on_its_way_is_no_difference_and_statements_of_other_months_are_not_looked_at(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E-1")
        build.payout(build.affiliate(), 500, state="approved")
        build.bank_line(build.bank_statement(), -99, booked_on=date(2026, 9, 30))

    run = reconcile("payout")

    assert run.counts == {
        "ours": 1, "theirs": 0, "matched": 0, "by_pass": {"confirmed": {}, "suggested": {}}, "discrepancies": {},
    }  # fmt: skip


def test_a_payout_of_another_month_sent_in_this_one_belongs_to_both(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = build.payout(build.affiliate(), 1250, period="2026-09")
        build.sent(payout, "E2E-1", datetime(2026, 10, 5, 9, 0, tzinfo=UTC))

    assert reconcile("payout", period="2026-09").counts["ours"] == 1
    assert reconcile("payout", period="2026-10").counts["ours"] == 1
    assert reconcile("payout", period="2026-11").counts["ours"] == 0


def test_the_bank_account_in_the_journal_is_the_statement_s(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        sent(build, 1250, "E2E-1")
        build.bank_line(build.bank_statement(), -1250, end_to_end_id="E2E-1")

    reconcile("payout")

    with runtime.reading() as session:
        entry = session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "settlement")).one()
        assert [line.account for line in entry.lines] == ["clearing:payouts", f"bank:{OUR_IBAN}"]


def test_a_debit_before_the_payment_left_does_not_pay_it_by_its_text(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = build.payout(build.affiliate(), 1250)
        build.sent(payout, "E2E-1", datetime(2026, 10, 21, 9, 0, tzinfo=UTC))
        build.bank_line(build.bank_statement(), -1250, text="E2E-1", booked_on=date(2026, 10, 19))

    assert reconcile("payout").counts["matched"] == 0


def test_a_credit_that_names_a_settled_payment_and_gives_all_of_it_back_reopens_its_payout(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        back = sent(build, 1250, "E2E-1")
        less = sent(build, 999, "E2E-2")
        statement = build.bank_statement()
        for end_to_end_id, amounts in (("E2E-1", (-1250, 1250)), ("E2E-2", (-999, 900))):
            for amount_minor in amounts:
                build.bank_line(statement, amount_minor, end_to_end_id=end_to_end_id)

    first = reconcile("payout")
    second = reconcile("payout")

    # The debits are still the items' own; one credit less than was paid is for a person.
    assert first.counts["matched"] == second.counts["matched"] == 2
    with runtime.reading() as session:
        assert session.get_one(Payout, back.id).state == "returned"
        assert session.get_one(Payout, less.id).state == "settled"
        kinds = session.scalars(sa.select(JournalEntry.kind).order_by(JournalEntry.kind)).all()
    assert kinds == ["batch_sent", "batch_sent", "payment_returned", "settlement", "settlement"]
