"""Thousands of rows at once: what goes in comes out, and the database says which keys were taken, on both databases."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError, StatementError

from core import copying
from core.audit import AuditEntry
from core.database import table_of
from core.runtime import Runtime
from ledger.models import JournalEntry
from payouts.models import Accrual
from tests.payouts.books import Books

AT = datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC)
# What COPY's text form and JSON give a meaning of their own; no database keeps NUL, nor halves of a surrogate pair.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


def entry(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": f"jrn_{number}",
        "kind": "accrual",
        "source_type": "accrual",
        "source_id": f"acr_{number}",
        "period": "2026-11",
        "occurred_on": date(2026, 10, 31),
        "posted_on": date(2026, 11, 2),
        "posted_at": AT,
        "description": "x",
        **values,
    }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=5))
@pytest.mark.parametrize("special", ["\\N", "\\", "\\.", "a\tb\nc\rd\\n", '{"a": null}'])
def test_every_text_json_and_absence_comes_back_as_it_was(
    runtime: Runtime, special: str, texts: list[tuple[str, str | None]]
) -> None:
    pairs: list[tuple[str, str | None]] = [(special, special), (special, None), *texts]
    rows = [
        {
            "seq": seq, "at": AT, "actor_kind": "system", "actor_id": text, "on_behalf_of": None, "verb": "v",
            "subject_kind": "k", "subject_id": "s", "before": None, "after": {text: [text, seq, None, True]},
            "reason": reason, "previous_hash": "0" * 64, "hash": "1" * 64,
        }
        for seq, (text, reason) in enumerate(pairs, start=10**6)
    ]  # fmt: skip

    with runtime.sessions() as session:
        copying.insert(session, table_of(AuditEntry), rows)
        wanted = sa.select(AuditEntry.actor_id, AuditEntry.reason, AuditEntry.before, AuditEntry.after, AuditEntry.at)
        found = session.execute(wanted.where(AuditEntry.seq >= 10**6).order_by(AuditEntry.seq)).all()
        session.rollback()

    assert [tuple(row) for row in found] == [
        (row["actor_id"], row["reason"], None, row["after"], AT) for row in rows
    ]  # fmt: skip


def test_decimals_days_and_moments_come_back_exactly(runtime: Runtime) -> None:
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate()
    books.conversion("cnv_1")
    row = {
        "id": "acr_1", "conversion_id": "cnv_1", "kind": "accrue", "seq": 1, "affiliate_id": "aff_1",
        "source_id": "src_1", "campaign_id": "cmp_1", "terms": {"kind": "told"}, "ruleset_version": 0, "rule_id": None,
        "category_code": "c", "category_name": "n", "category_account": "a", "amount_minor": -(10**15),
        "currency": "EUR", "unrounded": Decimal("-9999999999999.12345678"), "assurance": "A",
        "occurred_on": date(2026, 2, 28), "payable_on": date(2026, 3, 1), "period": "2026-02", "created_at": AT,
    }  # fmt: skip

    with runtime.transaction() as session:
        copying.insert(session, table_of(Accrual), [row])

    with runtime.reading() as session:
        found = session.get_one(Accrual, "acr_1")
        assert {name: getattr(found, name) for name in row} == row


def test_of_many_rows_only_those_with_a_new_key_go_in_and_the_rest_stays_as_it_was(runtime: Runtime) -> None:
    table, key = table_of(JournalEntry), ("kind", "source_type", "source_id")
    with runtime.transaction() as session:
        assert copying.insert_new(session, table, [entry(1), entry(2)], key=key) == ["jrn_1", "jrn_2"]

    again = [entry(3, source_id="acr_1"), entry(4), entry(5, source_id="acr_4")]
    with runtime.transaction() as session:
        session.add(JournalEntry(**entry(6)))
        new = copying.insert_new(session, table, again, key=key)
        nothing = copying.insert_new(session, table, [], key=key)

    assert (new, nothing) == (["jrn_4"], [])
    with runtime.reading() as session:
        assert session.scalars(sa.select(JournalEntry.id).order_by(JournalEntry.id)).all() == [
            "jrn_1", "jrn_2", "jrn_4", "jrn_6",
        ]  # fmt: skip


def test_a_taken_key_raises_as_any_statement_does_and_nothing_stays(runtime: Runtime) -> None:
    def twice() -> None:
        with runtime.transaction() as session:
            copying.insert(session, table_of(JournalEntry), [entry(1)])
            copying.insert(session, table_of(JournalEntry), [entry(2), entry(1)])

    with pytest.raises(IntegrityError):
        twice()

    with runtime.reading() as session:
        assert session.scalars(sa.select(JournalEntry.id)).all() == []


def test_a_moment_without_a_time_zone_is_refused(runtime: Runtime) -> None:
    def naive() -> None:
        with runtime.transaction() as session:
            copying.insert(session, table_of(JournalEntry), [entry(1, posted_at=AT.replace(tzinfo=None))])

    with pytest.raises((ValueError, StatementError), match="without a time zone"):
        naive()
