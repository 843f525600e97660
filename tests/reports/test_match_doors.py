"""Match rulesets, matches and explanations through their doors, on both databases."""

from collections.abc import Callable

import sqlalchemy as sa

from core.runtime import Runtime
from reports.match_models import Match
from tests.builders import Builder
from tests.conftest import Caller
from tests.reports.conftest import Reconcile
from tests.reports.test_passes import Month

EXACT = [{"pass": "exact_id"}]


def test_match_rules_are_drafted_tried_and_put_in_force_by_another_person(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("T1", 1250)
        month.theirs("T1", 1250)
        month.ours("by click", 900, "c1")
        month.theirs("click line", 900, has_id=False, claimed_click_id="c1")
    author, other = sign_in("finance"), sign_in("admin")

    refused = author.post("/api/v1/match-rulesets", {"passes": [{"pass": "names"}, {"pass": "exact_id", "days": 2}]})
    drafted = machine.post("/api/v1/match-rulesets", {"passes": EXACT})
    own = author.post("/api/v1/match-rulesets", {"passes": EXACT})
    tried = author.post("/api/v1/match-rulesets/1/dry-run", {"period": "2026-10", "leg": "network"})

    assert (refused.status_code, [fault["field"] for fault in refused.json["errors"]]) == (422, ["passes.1.days"])
    assert (drafted.status_code, drafted.json["version"], drafted.json["state"]) == (201, 1, "draft")
    assert tried.json == {
        "version": 1, "active_version": 0, "ours": 2, "theirs": 2, "matched_before": 2, "matched_after": 1,
        "by_pass": [
            {"pass": "composite", "state": "confirmed", "before": 1, "after": 0, "change": -1},
            {"pass": "exact_id", "state": "confirmed", "before": 1, "after": 1, "change": 0},
        ],
    }  # fmt: skip
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 0
    assert author.post(f"/api/v1/match-rulesets/{own.json['version']}/activate").status_code == 403
    assert machine.post("/api/v1/match-rulesets/1/activate").status_code == 403
    assert other.post("/api/v1/match-rulesets/1/activate").json["state"] == "active"
    listed = author.get("/api/v1/match-rulesets").json["items"]
    assert [(each["version"], each["state"]) for each in listed] == [(2, "draft"), (1, "active"), (0, "retired")]
    run = author.get(f"/api/v1/reconciliations/{reconcile('network').id}").json
    assert (run["ruleset_version"], run["counts"]["by_pass"]["confirmed"]) == (1, {"exact_id": 1})


def test_matches_are_listed_and_an_item_says_which_passes_were_tried_and_what_failed(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        matched, line = month.ours("T1", 1250, "c1"), month.theirs("T1", 1250)
        lonely = month.ours("T2", 900, "c2", day=1)
        stray = month.theirs("X9", 950, claimed_click_id="c2")
        build = Builder(runtime, session)
        payout = build.payout(build.affiliate(), 1250)
        build.sent(payout, "E2E-1")
        build.bank_line(build.bank_statement(), -1250, text="thanks")
    reconcile("network")
    reconcile("payout")
    finance = sign_in("finance")

    def explained(item: str) -> dict[str, tuple[str, str | None, list[str]]]:
        answered = finance.get("/api/v1/matches/explain", query_string={"item": item})
        assert answered.status_code == 200, answered.text
        answer = answered.json
        return {each["pass"]: (each["outcome"], each["condition"], each["candidates"]) for each in answer["passes"]}

    listed = finance.get("/api/v1/matches", query_string={"leg": "network", "state": "confirmed", "period": "2026-10"})
    assert [(each["our_id"], each["their_id"], each["matched_by"]) for each in listed.json["items"]] == [
        (matched, line, "exact_id")
    ]
    assert finance.get("/api/v1/matches", query_string={"period": "2026-09"}).json["items"] == []
    assert explained(matched)["exact_id"] == ("matched", None, [])
    assert explained(matched)["composite"] == ("not_tried", None, [])
    assert explained(lonely) == {
        "exact_id": ("failed", "same_id", []),
        "composite": ("failed", "same_amount", [stray]),
        "reference": ("failed", "reference_in_text", []),
        "group": ("failed", "same_group_key", []),
        "amount_date": ("failed", "amount_within_tolerance", [stray]),
        "subset_sum": ("failed", "some_sum", []),
    }
    assert explained(stray)["composite"] == ("failed", "same_amount", [lonely])
    assert explained(payout.id)["amount_date"][0] == "suggested"
    assert explained(payout.id)["exact_id"][:2] == ("failed", "same_id")
    for unknown in ("cnv_none", "src_1", "thing"):
        assert finance.get("/api/v1/matches/explain", query_string={"item": unknown}).status_code == 404
    assert sign_in("affiliate_manager").get("/api/v1/matches").status_code == 403
