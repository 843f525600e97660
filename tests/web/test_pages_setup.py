"""Sources, rules and people by form: secrets shown once, drafts put in force by another, nobody locks all out."""

import re
from collections.abc import Callable

import flask
import sqlalchemy as sa

from access.models import Staff as StaffRow
from core.runtime import Runtime
from partners.models import Source
from reports.match_models import Match
from tests.access.test_second_factor import code_of
from tests.conftest import TestClock
from tests.reports.test_passes import Month
from tests.web.pages import fields, get, sign_in_by_form, submit, words_of

Staff = Callable[..., str]


def shown_once(page: str) -> str:
    """Return what a page shows this once."""
    found = re.search(r'id="(?:secret|token)-value">([^<]+)</pre>', page)
    assert found is not None
    return found[1]


def test_an_admin_sets_up_a_source_fires_at_it_and_rotates_its_secret(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    staff("ada@example.com", "admin")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")

    networks = get(client, "/sources/new?q=everflow").text
    form = fields(get(client, "/sources/new?scheme=pb1").text, "/sources")
    bad = submit(client, "/sources", form | {"name": "Ours", "allowlist": "here", "default_currency": "EURO"})
    made = submit(
        client, "/sources", form | {"name": "Ours", "allowlist": "192.0.2.0/24\n198.51.100.7", "is_test": "true"}
    )
    secret = shown_once(made.text)
    with runtime.reading() as session:
        source = session.scalars(sa.select(Source)).one()
        path = f"/sources/{source.id}"
        assert (source.is_test, source.allowlist) == (True, ["192.0.2.0/24", "198.51.100.7"])
    page = get(client, path).text
    fired = words_of(submit(client, f"{path}/fire", fields(page, f"{path}/fire")).text)
    live = submit(client, f"{path}/test-mode", fields(page, f"{path}/test-mode") | {"to": "off"})
    stale = submit(client, f"{path}/state", fields(page, f"{path}/state") | {"to": "pause"})
    paused = submit(client, f"{path}/state", fields(get(client, path).text, f"{path}/state") | {"to": "pause"})
    rotated = submit(client, f"{path}/secrets", fields(page, f"{path}/secrets"))

    assert "Everflow partner postback" in networks
    assert (bad.status_code, "Correct this" in bad.text, 'value="Ours"' in bad.text) == (422, True, True)
    assert made.status_code == 201
    assert secret not in page
    assert "Signed as it should be 200 believed, as it should" in fired
    assert "The same with one byte changed 401 refused, as it should" in fired
    assert (live.status_code, stale.status_code, paused.status_code, rotated.status_code) == (303, 409, 303, 201)
    assert shown_once(rotated.text) != secret
    assert "Paused" in words_of(get(client, "/sources").text)


def test_why_a_request_would_be_refused_is_told_check_by_check(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    staff("ada@example.com", "admin")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")
    submit(client, "/sources", fields(get(client, "/sources/new?scheme=pb1").text, "/sources") | {"name": "Ours"})
    with runtime.reading() as session:
        source_id = session.scalars(sa.select(Source.id)).one()
    form = fields(get(client, "/receipts/check").text, "/receipts/check")
    asked = form | {"source_id": source_id, "method": "GET", "url": f"/postback/{source_id}?payout=1&sig=00"}

    found = submit(client, "/receipts/check", asked)
    nothing = submit(client, "/receipts/check", form | {"source_id": source_id, "method": "GET", "url": ""})

    assert "It would be refused" in words_of(found.text)
    assert "401" in words_of(found.text)
    assert nothing.status_code == 422


def test_rules_are_drafted_with_every_fault_tried_and_put_in_force_by_another_admin(
    app: flask.Flask, staff: Staff
) -> None:
    staff("ada@example.com", "admin")
    staff("eve@example.com", "admin")
    for role in ("finance", "manager"):
        staff(f"{role}@example.com", role)  # a policy that names nobody is refused
    ada, eve = app.test_client(), app.test_client()
    sign_in_by_form(ada, "ada@example.com")
    sign_in_by_form(eve, "eve@example.com")

    for kind in ("categories", "matching", "approvals"):
        form = fields(get(ada, f"/rules/{kind}/new").text, f"/rules/{kind}")
        text = re.search(r'name="text"[^>]*>([^<]*)</textarea>', get(ada, f"/rules/{kind}/new").text)
        assert text is not None
        broken = submit(ada, f"/rules/{kind}", form | {"text": "a: ["})
        wrong = submit(ada, f"/rules/{kind}", form | {"text": "[{nonsense: 1}]"})
        kept = submit(ada, f"/rules/{kind}", form | {"text": text[1].replace("&#39;", "'").replace("&#34;", '"')})
        assert (broken.status_code, wrong.status_code, kept.status_code) == (422, 422, 303), kind
        path = kept.headers["Location"]
        own = get(ada, path).text
        tried = get(eve, f"{path}?try=1&period=2026-10")
        done = submit(eve, f"{path}/activate", fields(get(eve, path).text, f"{path}/activate"))

        assert "Another admin than its author puts it in force." in words_of(own)
        assert (tried.status_code, done.status_code) == (200, 303), kind
        assert "In force" in words_of(get(ada, path).text)


def test_match_rules_are_tried_on_a_month_beside_those_in_force_and_nothing_is_stored(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    staff("ada@example.com", "admin")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("T1", 1250)
        month.theirs("T1", 1250)
        month.ours("by click", 900, "c1")
        month.theirs("click line", 900, has_id=False, claimed_click_id="c1")
    form = fields(get(client, "/rules/matching/new").text, "/rules/matching") | {"text": "- {pass: exact_id}"}
    path = submit(client, "/rules/matching", form).headers["Location"]
    asking = fields(get(client, path).text, f"{path}/try")

    tried = submit(client, f"{path}/try", asking | {"period": "2026-10", "leg": "network"})
    empty = submit(client, f"{path}/try", asking | {"period": "2026-09", "leg": "payout"})
    wrong = submit(client, f"{path}/try", asking | {"period": "2026-13", "leg": "remittance"})

    said = words_of(tried.text)
    assert "1 of 2 items of ours would be matched, 2 are by version 0, the one in force." in said
    assert "Composite Confirmed 1 0 \u22121" in said
    assert "Exact id Confirmed 1 1 +0" in said
    assert "No pass pairs anything in that month." in words_of(empty.text)
    assert (tried.status_code, empty.status_code, wrong.status_code) == (200, 200, 422)
    assert 'id="period-fault"' in wrong.text
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 0


def test_people_come_change_and_go_and_the_last_admin_stays(app: flask.Flask, runtime: Runtime, staff: Staff) -> None:
    staff("ada@example.com", "admin")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")
    page = get(client, "/people").text

    added = submit(client, "/people", fields(page, "/people") | {
        "email": "new@example.com", "password": "a password of twenty", "roles[]": "finance",
    })  # fmt: skip
    short = submit(client, "/people", fields(page, "/people") | {"email": "x", "password": "short"})
    with runtime.reading() as session:
        ids = {row.email: row.id for row in session.scalars(sa.select(StaffRow))}
    other = app.test_client()
    other.post("/session", json={"email": "new@example.com", "password": "a password of twenty"})
    was_in = get(other, "/today").status_code
    csrf = fields(page, "/sign-out")
    new, ada = f"/people/{ids['new@example.com']}", f"/people/{ids['ada@example.com']}"
    gone = submit(client, f"{new}/state", csrf | {"to": "disabled"})
    last = submit(client, f"{ada}/state", csrf | {"to": "disabled"})
    bare = submit(client, f"{ada}/roles", csrf | {"roles[]": "finance"})
    token = submit(
        client, "/tokens", fields(page, "/tokens") | {"name": "shop", "days": "30", "scopes[]": "clicks:write"}
    )

    assert (added.status_code, short.status_code, gone.status_code) == (303, 422, 303)
    assert (was_in, get(other, "/today").status_code) == (200, 302)
    assert (last.status_code, bare.status_code) == (409, 409)
    assert "No admin would be left" in last.text
    assert (token.status_code, shown_once(token.text).startswith("clk_")) == (201, True)
    assert shown_once(token.text) not in get(client, "/people").text


def test_somebody_ends_a_session_of_his_own_elsewhere(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    here, there = app.test_client(), app.test_client()
    sign_in_by_form(here, "ann@example.com")
    sign_in_by_form(there, "ann@example.com")

    page = get(here, "/me").text
    [path] = re.findall(r'action="(/me/sessions/[0-9a-f]{12}/end)"', page)
    ended = submit(here, path, fields(page, path))
    twice = submit(here, path, fields(page, path))

    assert (ended.status_code, twice.status_code) == (303, 404)
    assert (get(here, "/today").status_code, get(there, "/today").status_code) == (200, 302)


def test_the_audit_log_shows_acts_and_that_its_chain_holds(app: flask.Flask, staff: Staff) -> None:
    staff("ada@example.com", "auditor")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")

    said = words_of(get(client, "/audit?verify=1").text)

    assert "The chain holds" in said
    assert "Signed in staff" in said


def test_a_second_factor_is_set_up_by_form_asked_for_at_sign_in_and_before_money_leaves(
    app: flask.Flask, runtime: Runtime, staff: Staff, clock: TestClock
) -> None:
    staff("ann@example.com", "finance")
    client, other = app.test_client(), app.test_client()
    sign_in_by_form(client, "ann@example.com")

    begun = submit(client, "/me/second-factor", fields(get(client, "/me").text, "/me/second-factor"))
    found = re.search(r'aria-label="Seed">([A-Z2-7]+)</pre>', begun.text)
    assert found is not None
    seed, path = found[1], "/me/second-factor/confirm"
    wrong = submit(client, path, fields(begun.text, path) | {"code": "000000"})
    on = submit(client, path, fields(begun.text, path) | {"code": code_of(runtime, seed)})
    clock.advance(seconds=700)
    half = sign_in_by_form(other, "ann@example.com")
    step = "/sign-in/code"
    missed = submit(other, step, fields(half.text, step) | {"code": "123"})
    forged = submit(other, step, fields(half.text, step) | {"half": "stf_x.9999999999.00", "code": "1"})
    inside = submit(other, step, fields(half.text, step) | {"code": code_of(runtime, seed)})
    close = "/month-end/2026-08/close"
    form = fields(get(client, close).text, close)
    without = submit(client, close, form)
    clock.advance(seconds=30)
    closed = submit(client, close, form | {"otp": code_of(runtime, seed)})
    off = submit(client, "/me/second-factor/remove", fields(get(client, "/me").text, "/me/second-factor/remove"))

    assert "<svg" in begun.text
    assert (wrong.status_code, seed in wrong.text) == (422, True)
    assert (on.status_code, "Recovery codes" in on.text) == (200, True)
    assert (half.status_code, "Code of your second factor" in half.text) == (401, True)
    assert (missed.status_code, forged.status_code, inside.status_code) == (401, 401, 303)
    assert "That took too long" in forged.text
    assert "otp" in form
    assert (without.status_code, closed.status_code, off.status_code) == (422, 303, 303)
