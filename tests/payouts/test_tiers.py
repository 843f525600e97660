"""Tiers over an affiliate's month: the step is chosen by what came before, wherever batches begin."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.runtime import Runtime
from payouts import jobs, tiers
from payouts.models import Accrual
from payouts.tiers import Volume
from postback.models import Conversion
from tests.conftest import Caller
from tests.payouts.books import Books

BY_COUNT = {
    "by": "count",
    "currency": None,
    "steps": [{"from": 2, "amount_minor": 300}, {"from": 4, "amount_minor": 500}],
}
BY_SUM = {"by": "sum", "currency": "EUR", "steps": [{"from": 15_000, "percent": "20"}]}
FIXED: dict[str, Any] = {"version": 1, "kind": "fixed", "percent": None, "amount_minor": 100, "currency": "EUR"}
PERCENT: dict[str, Any] = {"version": 1, "kind": "percent", "percent": "10", "amount_minor": None, "currency": None}


def test_a_step_counts_for_what_comes_after_its_volume_was_reached() -> None:
    terms = {**FIXED, "tiers": BY_COUNT}

    amounts = [tiers.chosen(terms, Volume(count, {}))["amount_minor"] for count in range(6)]

    assert amounts == [100, 100, 300, 300, 500, 500]
    assert tiers.chosen(terms, Volume(3, {})) == {
        **FIXED, "amount_minor": 300, "tier": {"by": "count", "from": 2, "reached": 3},
    }  # fmt: skip
    assert tiers.chosen(FIXED, Volume(9, {})) == FIXED


def test_a_sum_counts_sales_in_its_own_currency() -> None:
    terms = {**PERCENT, "tiers": BY_SUM}

    assert tiers.chosen(terms, Volume(1, {"EUR": 14_999, "USD": 90_000}))["percent"] == "10"
    assert tiers.chosen(terms, Volume(1, {"EUR": 15_000}))["percent"] == "20"
    assert Volume(1, {"EUR": 5}).with_sale(7, "EUR").with_sale(2, "USD").with_sale(None, "EUR") == Volume(
        4, {"EUR": 12, "USD": 2}
    )


@given(st.lists(st.integers(0, 9000), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_where_batches_begin_changes_no_sum(sales: list[int], cuts: list[int]) -> None:
    def total(batches: list[list[int]]) -> int:
        done: list[int] = []
        owed = 0
        for batch in batches:
            # As a batch begins: what earlier ones have left is read, what its own come to is counted on.
            volume = Volume(len(done), {"EUR": sum(done)})
            for sale in batch:
                facts = tiers.chosen({**PERCENT, "tiers": BY_SUM}, volume)
                owed += sale * int(facts["percent"])
                volume = volume.with_sale(sale, "EUR")
            done += batch
        return owed

    ends = sorted({0, len(sales), *(cut for cut in cuts if cut < len(sales))})
    batches = [sales[start:end] for start, end in pairwise(ends)]

    assert total(batches) == total([sales])


def accrued(runtime: Runtime) -> dict[str, int]:
    with runtime.reading() as session:
        rows = session.execute(sa.select(Accrual.conversion_id, Accrual.amount_minor).where(Accrual.kind == "accrue"))
        return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_stage_pays_the_same_however_large_its_batches_are(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    books.campaign("cmp_2", kind="percent", percent="10", tiers=BY_SUM)
    books.affiliate("aff_2")
    for number, amount in enumerate([10_000, 5_000, 1_000, 20_000, 3_000]):
        books.conversion(f"cnv_{number}", campaign_id="cmp_2", amount_minor=amount)
    books.conversion("cnv_5", campaign_id="cmp_2", affiliate_id="aff_2")
    books.conversion("cnv_6", campaign_id="cmp_2", occurred_at=datetime(2026, 9, 30, 23, 59, tzinfo=UTC))
    books.conversion("cnv_7")
    monkeypatch.setattr(jobs, "BATCH_ROWS_MAX", size)

    jobs.accrue()

    # Another affiliate's, another month's and another campaign's count for themselves.
    assert accrued(runtime) == {
        "cnv_0": 1000, "cnv_1": 500, "cnv_2": 200, "cnv_3": 4000, "cnv_4": 600,
        "cnv_5": 1000, "cnv_6": 1000, "cnv_7": 1250,
    }  # fmt: skip


def test_the_step_is_frozen_and_what_is_changed_later_is_priced_by_it(runtime: Runtime, books: Books) -> None:
    books.campaign("cmp_2", kind="percent", percent="10", tiers=BY_SUM)
    books.conversion("cnv_1", campaign_id="cmp_2", amount_minor=20_000)
    books.conversion("cnv_2", campaign_id="cmp_2")
    jobs.accrue()

    books.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)
    books.change(Conversion, "cnv_2", amount_minor=30_000, is_accrual_due=True)
    jobs.accrue()
    books.conversion("cnv_3", campaign_id="cmp_2")
    jobs.accrue()

    with runtime.reading() as session:
        rows = session.execute(sa.select(Accrual.conversion_id, Accrual.kind, Accrual.amount_minor, Accrual.terms))
        found = {(row[0], row[1]): (row[2], row[3]["percent"], row[3]["tier"]["from"]) for row in rows}
    assert found == {
        ("cnv_1", "accrue"): (2000, "10", 0),
        ("cnv_1", "clawback"): (-2000, "10", 0),
        ("cnv_2", "accrue"): (2000, "20", 15_000),
        ("cnv_2", "adjust"): (4000, "20", 15_000),
        ("cnv_3", "accrue"): (2000, "20", 15_000),  # what was taken back stays counted
    }


def test_workers_at_once_give_each_step_to_as_many_as_one_would(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.campaign("cmp_2", kind="fixed", amount_minor=100, currency="EUR", tiers=BY_COUNT)
    for number in range(12):
        books.conversion(f"cnv_{number:02}", campaign_id="cmp_2")
    monkeypatch.setattr(jobs, "BATCH_ROWS_MAX", 2)

    with ThreadPoolExecutor(3) as workers:
        for worker in [workers.submit(jobs.accrue) for _ in range(3)]:
            worker.result()
    jobs.accrue()

    assert sorted(accrued(runtime).values()) == [100, 100, 300, 300, *[500] * 8]


TERMS: dict[str, Any] = {
    "kind": "fixed", "amount": "1.00", "currency": "EUR",
    "tiers": {"by": "count", "steps": [{"from": "100", "amount": "1.50"}, {"from": "500", "amount": "2.00"}]},
}  # fmt: skip


def taken(machine: Caller, terms: dict[str, Any]) -> Any:
    return machine.post("/api/v1/campaigns", {"name": "C", "destination_url": "https://shop.example/", "terms": terms})


def test_tiers_come_back_as_they_were_given(machine: Caller) -> None:
    by_sum = {
        "kind": "share", "percent": "50",
        "tiers": {"by": "sum", "currency": "EUR", "steps": [{"from": "1000.00", "percent": "60"}]},
    }  # fmt: skip

    for terms in (TERMS, by_sum):
        answer = taken(machine, terms)
        assert answer.status_code == 201
        assert answer.json["terms"]["tiers"] == terms["tiers"]


@pytest.mark.parametrize(
    ("tiers_", "fields"),
    [
        ({"by": "count", "steps": []}, ["terms.tiers.steps"]),
        ({"by": "weight", "steps": [{"from": "1", "amount": "2.00"}]}, ["terms.tiers.by"]),
        ({"by": "count", "currency": "EUR", "steps": [{"from": "1", "amount": "2.00"}]}, ["terms.tiers.currency"]),
        ({"by": "sum", "steps": [{"from": "1", "amount": "2.00"}]}, ["terms.tiers.currency"]),
        (
            {"by": "count", "steps": [{"from": "0", "amount": "2.00"}, {"from": "x", "percent": "5"}]},
            [
                "terms.tiers.steps.0.from", "terms.tiers.steps.1.from", "terms.tiers.steps.1.percent",
                "terms.tiers.steps.1.amount",
            ],
        ),
        (
            {"by": "count", "steps": [{"from": "9", "amount": "2.00"}, {"from": "9", "amount": "0"}]},
            ["terms.tiers.steps.1.from", "terms.tiers.steps.1.amount"],
        ),
    ],
)  # fmt: skip
def test_tiers_that_do_not_hold_are_refused_with_every_fault(
    machine: Caller, tiers_: dict[str, Any], fields: list[str]
) -> None:
    answer = taken(machine, {**TERMS, "tiers": tiers_})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == fields


def test_told_terms_have_no_tiers(machine: Caller) -> None:
    answer = taken(machine, {"kind": "told", "tiers": TERMS["tiers"]})

    assert [error["field"] for error in answer.json["errors"]] == ["terms.tiers"]
