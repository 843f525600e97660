"""Clicks through their doors."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from redis import Redis

from core.ids import is_token
from core.runtime import Runtime
from tests.conftest import Caller, TestClock
from tracking.models import Click

RING = "rq:job:stage_matching-clicks"


@pytest.fixture
def ids(machine: Caller) -> dict[str, str]:
    """A campaign and an affiliate, as a click names them."""
    campaign = machine.post(
        "/api/v1/campaigns",
        {
            "name": "Spring",
            "destination_url": "https://shop.example/?cid={click_id}&a={affiliate_id}&s={sub1}",
            "terms": {"kind": "told"},
        },
    )
    affiliate = machine.post("/api/v1/affiliates", {"name": "Blog One", "currency": "EUR"})
    return {"campaign_id": campaign.json["id"], "affiliate_id": affiliate.json["id"]}


def count(runtime: Runtime) -> int:
    """Return how many clicks there are."""
    with runtime.reading() as session:
        return session.scalar(sa.select(sa.func.count(Click.id))) or 0


def link(ids: dict[str, str]) -> str:
    """Return the tracking link."""
    return f"/c/{ids['campaign_id']}/{ids['affiliate_id']}"


def test_a_click_gets_an_id_that_is_its_own_without_the_prefix_and_rings_for_matching(
    machine: Caller, ids: dict[str, str], runtime: Runtime
) -> None:
    answer = machine.post("/api/v1/clicks", {**ids, "sub1": "a", "clicked_at": "2026-10-03T10:00:00Z"})
    shown = machine.get(f"/api/v1/clicks/{answer.json['id']}")

    assert answer.status_code == 201
    assert set(answer.json) == {"id", "click_id"}
    assert answer.json["id"] == f"clk_{answer.json['click_id']}"
    assert is_token(answer.json["click_id"])
    assert shown.json["clicked_at"] == "2026-10-03T10:00:00Z"
    assert shown.json["recorded_at"] == "2026-11-02T09:00:00Z"
    assert shown.json["sub1"] == "a"
    assert shown.json["sub2"] is None
    assert shown.json["via"] == "api"
    assert runtime.redis.exists(RING)


def test_a_list_is_answered_in_its_order(machine: Caller, ids: dict[str, str], runtime: Runtime) -> None:
    answer = machine.post("/api/v1/clicks", [{**ids, "click_id": f"c{number:03}"} for number in range(1000)])

    assert answer.status_code == 201
    assert [item["click_id"] for item in answer.json["items"]] == [f"c{number:03}" for number in range(1000)]
    assert count(runtime) == 1000
    with runtime.reading() as session:
        rows = session.scalars(sa.select(Click).where(Click.click_id.in_(["c000", "c999", "c1000"])))
        found = {click.click_id: click for click in rows}
    assert set(found) == {"c000", "c999"}
    assert found["c999"].id == answer.json["items"][999]["id"]


def test_a_list_is_stored_in_one_statement(machine: Caller, ids: dict[str, str], runtime: Runtime) -> None:
    statements: list[str] = []
    sa.event.listen(
        runtime.engine, "before_cursor_execute", lambda _c, _cursor, statement, *_rest: statements.append(statement)
    )

    machine.post("/api/v1/clicks", [ids] * 1000)

    assert sum(statement.startswith("INSERT INTO clicks") for statement in statements) == 1


def test_with_one_fault_in_a_list_nothing_is_stored_and_all_faults_are_named(
    machine: Caller, ids: dict[str, str], runtime: Runtime
) -> None:
    answer = machine.post(
        "/api/v1/clicks",
        [
            ids,
            {**ids, "campaign_id": "cmp_none", "affiliate_id": "aff_none"},
            {**ids, "click_id": "twice"},
            {**ids, "click_id": "twice", "clicked_at": "2026-11-02T09:02:01Z"},
        ],
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [
        "1.campaign_id", "1.affiliate_id", "3.clicked_at", "3.click_id",
    ]  # fmt: skip
    assert count(runtime) == 0
    assert not runtime.redis.exists(RING)


def test_a_single_click_names_its_faults_without_a_place(machine: Caller, ids: dict[str, str]) -> None:
    answer = machine.post("/api/v1/clicks", {**ids, "campaign_id": "cmp_none"})

    assert [error["field"] for error in answer.json["errors"]] == ["campaign_id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ("text", "body"),
        ([{}], "0.campaign_id"),
        ({"sub1": "s" * 256}, "sub1"),
        ({"sub1": "a\0b"}, "sub1"),
        ({"click_id": "a b"}, "click_id"),
        ({"click_id": "c" * 41}, "click_id"),
        ({"click_id": "c\n"}, "click_id"),
        ({"clicked_at": "2026-10-03"}, "clicked_at"),
        ({"surprise": "1"}, "surprise"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(machine: Caller, ids: dict[str, str], body: object, field: str) -> None:
    answer = machine.post("/api/v1/clicks", {**ids, **body} if isinstance(body, dict) else body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_a_thousand_and_one_clicks_are_too_many(machine: Caller, ids: dict[str, str], runtime: Runtime) -> None:
    answer = machine.post("/api/v1/clicks", [ids] * 1001)

    assert answer.status_code == 422
    assert count(runtime) == 0


def test_a_click_may_lie_two_minutes_ahead_and_no_more(machine: Caller, ids: dict[str, str]) -> None:
    assert machine.post("/api/v1/clicks", {**ids, "clicked_at": "2026-11-02T09:02:00Z"}).status_code == 201
    assert machine.post("/api/v1/clicks", {**ids, "clicked_at": "2026-11-02T09:02:00.000001Z"}).status_code == 422


def test_a_click_id_that_is_taken_is_a_conflict_that_names_it(
    machine: Caller, ids: dict[str, str], runtime: Runtime
) -> None:
    machine.post("/api/v1/clicks", {**ids, "click_id": "mine"})

    answer = machine.post("/api/v1/clicks", [{**ids, "click_id": "new"}, {**ids, "click_id": "mine"}])

    assert answer.status_code == 409
    assert answer.json["detail"] == "taken already: mine"
    assert count(runtime) == 1


def test_clicks_are_listed_by_what_they_belong_to(machine: Caller, ids: dict[str, str], clock: TestClock) -> None:
    other = machine.post("/api/v1/affiliates", {"name": "Blog Two", "currency": "EUR"}).json["id"]
    machine.post("/api/v1/clicks", {**ids, "click_id": "one"})
    clock.advance(seconds=1)
    machine.post("/api/v1/clicks", {**ids, "affiliate_id": other, "click_id": "two"})

    def listed(query: str) -> list[str]:
        return [item["click_id"] for item in machine.get(f"/api/v1/clicks?{query}").json["items"]]

    assert listed("") == ["two", "one"]
    assert listed(f"affiliate_id={other}") == ["two"]
    assert listed(f"campaign_id={ids['campaign_id']}&click_id=one") == ["one"]
    assert machine.get("/api/v1/clicks/clk_none").status_code == 404


def test_a_visitor_is_sent_on_with_his_click_id(machine: Caller, ids: dict[str, str], runtime: Runtime) -> None:
    machine.headers.clear()

    answer = machine.get(f"{link(ids)}?sub1=a%26b&sub2=x&utm_source=mail")

    sent_to = urlsplit(answer.headers["Location"])
    with runtime.reading() as session:
        click = session.scalars(sa.select(Click)).one()
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    assert parse_qs(sent_to.query) == {"cid": [click.click_id], "a": [ids["affiliate_id"]], "s": ["a&b"]}
    assert (click.via, click.sub1, click.sub2, click.sub3) == ("redirect", "a&b", "x", None)
    assert runtime.redis.exists(RING)


def test_asking_for_the_head_of_a_link_records_nothing(machine: Caller, ids: dict[str, str], runtime: Runtime) -> None:
    answer = machine.call("HEAD", link(ids))

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"https://shop.example/?cid=&a={ids['affiliate_id']}&s="
    assert machine.call("OPTIONS", link(ids)).status_code == 200
    assert count(runtime) == 0


@pytest.mark.parametrize("query", ["sub1=" + "s" * 256, "sub5=a%00b"])
def test_a_sub_that_cannot_be_kept_is_refused(machine: Caller, ids: dict[str, str], query: str) -> None:
    assert machine.get(f"{link(ids)}?{query}").status_code == 422


def test_a_link_to_nowhere_is_one_answer_whatever_the_reason(
    machine: Caller, ids: dict[str, str], runtime: Runtime
) -> None:
    unknown = machine.get(f"/c/cmp_none/{ids['affiliate_id']}")
    machine.patch(f"/api/v1/affiliates/{ids['affiliate_id']}", {"version": 1, "status": "suspended"})
    suspended = machine.get(link(ids))
    machine.patch(f"/api/v1/affiliates/{ids['affiliate_id']}", {"version": 2, "status": "new"})
    machine.patch(f"/api/v1/campaigns/{ids['campaign_id']}", {"version": 1, "state": "paused"})
    paused = machine.get(link(ids))

    for answer in (unknown, suspended, paused):
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert answer.json["detail"] == "this link leads nowhere"
    assert machine.get("/c/%00/%ff").status_code == 404
    assert count(runtime) == 0


def test_without_redis_a_click_is_recorded_all_the_same(
    machine: Caller, ids: dict[str, str], runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.redis, "connection_pool", Redis.from_url("unix:///nowhere.sock").connection_pool)

    assert machine.get(link(ids)).status_code == 302
    assert count(runtime) == 1


def test_clicks_are_written_by_those_who_may(sign_in: Callable[..., Caller], ids: dict[str, str]) -> None:
    assert sign_in("affiliate_manager").post("/api/v1/clicks", ids).status_code == 201
    assert sign_in("finance").post("/api/v1/clicks", ids).status_code == 403
    assert sign_in("finance").get("/api/v1/clicks").status_code == 200
