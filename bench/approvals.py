"""How fast policies route: rules decided a second, and requests routed and stored a second on PostgreSQL.

`python -m bench.approvals --requests 20000`; batches of 500 subjects, each one transaction, under a policy of 20 chains
with three steps, 30 people. What is counted at the end stands in the database.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from access.models import Staff
from approvals import opening, routing
from approvals.models import ApprovalPolicy
from approvals.routing import Subject
from bench import databases, results
from bench.processes import cpu_us
from bench.results import table
from bench.scene import Stage, postgresql_template, stage
from core.money import Money
from core.runtime import Runtime

NEEDED_A_SECOND = 2000
BATCH = 500
CHAINS = 20
PEOPLE = 30
ACCRUALS = 20
ROLES = ("finance", "manager", "admin")


def main() -> int:
    """Measure; return 1 when fewer requests a second are routed than are needed."""
    options = _options().parse_args()
    policy = _policy()
    evaluated, matched = _evaluations(policy, options.seconds)
    print(f"{matched:,.0f} subjects matched/s, {evaluated:,.0f} chain conditions decided/s", flush=True)
    binaries = databases.postgresql_binaries()
    if binaries is None:
        print("PostgreSQL is needed")
        return 1
    with stage() as place, databases.postgresql(binaries) as cluster:
        postgresql_template(place, cluster)
        rounds = [_round(place, cluster, policy, options.requests, number) for number in range(options.rounds)]
    per_second = median(each["per_second"] for each in rounds)
    head = ("round", "requests", "steps", "seconds", "requests/s", "our CPU us", "PostgreSQL CPU us")
    page = [
        "# Routing of approvals",
        "",
        f"{CHAINS} chains of up to three conditions and three steps, {PEOPLE} people who may decide, {BATCH} subjects",
        f"a transaction, {ACCRUALS} accrual ids in the content of each.",
        "",
        f"On plain values: {matched:,.0f} subjects matched and {evaluated:,.0f} chain conditions decided a second.",
        "",
        *table(
            head,
            [
                [
                    number,
                    each["requests"],
                    each["steps"],
                    f"{each['seconds']:.2f}",
                    f"{each['per_second']:.0f}",
                    f"{each['our_cpu_us']:.0f}",
                    f"{each['database_cpu_us']:.0f}",
                ]
                for number, each in enumerate(rounds, start=1)
            ],
        ),
        "",
        f"Median: {per_second:.0f} requests routed and stored a second (at least {NEEDED_A_SECOND}).",
    ]
    print("\n".join(page))
    found = {"evaluations_per_second": evaluated, "matched_per_second": matched, "rounds": rounds}
    results.write("approvals", found, page, folder=options.results)
    return 0 if per_second >= NEEDED_A_SECOND else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.approvals", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="routed in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for the rules alone")
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _policy() -> dict[str, Any]:
    steps = [
        {"id": "manager", "approvers": {"role": "manager"}, "need": 1, "timeout": "24h"},
        {"id": "finance", "approvers": {"role": "finance"}, "need": 2, "parallel_with": "manager"},
        {"id": "chief", "approvers": {"role": "admin"}, "need": 1, "when": {"amount_base": {"gt": 1_000_000}}},
    ]
    chains = [
        {
            "id": f"chain-{number}",
            "when": {
                "all": [
                    {"amount_base": {"between": [number * 100_000, number * 100_000 + 99_999]}},
                    {"category": {"in": ["6210", "6220", f"62{number:02}"]}},
                    {"not": {"affiliate.status": {"eq": "suspended"}}},
                ]
            },
            "steps": steps,
        }
        for number in range(CHAINS - 1)
    ]
    return {"defaults": {"timeout": "48h"}, "chains": [*chains, {"id": "default", "when": {}, "steps": steps[:1]}]}


def _facts(chosen: random.Random) -> dict[str, Any]:
    return {
        "amount_base": chosen.randrange(CHAINS * 100_000),
        "currency": "EUR",
        "affiliate_id": f"aff_{chosen.randrange(10_000)}",
        "affiliate.status": chosen.choice(["new", "trusted"]),
        "affiliate.bank_changed_days": chosen.randrange(400),
        "source_id": {"src_1"},
        "campaign_id": {"cmp_1", "cmp_2"},
        "category": {"6210", "4000"},
        "assurance": "A",
    }


def _evaluations(policy: dict[str, Any], seconds: float) -> tuple[float, float]:
    chosen = random.Random(1)
    facts = [_facts(chosen) for _ in range(1000)]
    route = routing.router(policy)
    order = {chain["id"]: number for number, chain in enumerate(policy["chains"], start=1)}
    a_thousand = sum(order[route(each).chain_id] for each in facts)
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for each in facts:
            route(each)
        times += 1
    spent = time.perf_counter() - began
    return times * a_thousand / spent, times * len(facts) / spent


def _round(
    place: Stage, cluster: databases.Cluster, policy: dict[str, Any], requests: int, number: int
) -> dict[str, float]:
    url = cluster.create("bench_approvals")
    with place.runtime(url) as runtime:
        _set(runtime, policy)
        batches = list(_batches(random.Random(number), requests))
        began, ours, database = time.perf_counter(), time.process_time(), cpu_us([cluster.pid])
        for subjects in batches:
            with runtime.transaction() as session:
                opening.open_many(runtime, session, subjects, created_by="bench")
        spent, ours = time.perf_counter() - began, time.process_time() - ours
        database = cpu_us([cluster.pid]) - database
    stored, steps = databases.count(url, "approval_requests"), databases.count(url, "approval_steps")
    if stored != requests:
        print(f"FAULT: {requests} were routed and {stored} stand there")
    return {
        "requests": stored, "steps": steps, "seconds": spent, "per_second": stored / spent,
        "our_cpu_us": ours * 1e6 / stored, "database_cpu_us": database / stored,
    }  # fmt: skip


def _set(runtime: Runtime, policy: dict[str, Any]) -> None:
    now = runtime.clock()
    with runtime.transaction() as session:
        session.get_one(ApprovalPolicy, 0).content = policy
        session.add_all(
            Staff(
                id=runtime.new_id("stf"),
                email=f"{number}@example.com",
                password_hash="",
                roles=[ROLES[number % 3]],
                created_at=now,
            )
            for number in range(PEOPLE)
        )


def _batches(chosen: random.Random, requests: int) -> Iterator[list[Subject]]:
    for start in range(0, requests, BATCH):
        yield [_subject(chosen, number) for number in range(start, min(start + BATCH, requests))]


def _subject(chosen: random.Random, number: int) -> Subject:
    facts = _facts(chosen)
    content = {
        "payee": {"name": f"Payee {number}", "iban": "DE89370400440532013000", "bic": None},
        "amount_minor": facts["amount_base"],
        "currency": "EUR",
        "category_codes": ["4000", "6210"],
        "accrual_ids": [f"acr_{number}_{each}" for each in range(ACCRUALS)],
    }
    money = Money(facts["amount_base"], "EUR")
    return Subject("payout", f"pay_{number}", money, f"Affiliate {number}", facts, content, frozenset({"stf_editor"}))


if __name__ == "__main__":
    sys.exit(main())
