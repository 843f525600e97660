"""The inbox and the decision by form."""

from collections.abc import Callable

import flask
import pytest
import sqlalchemy as sa

from approvals import queries, requests
from approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest
from core.runtime import Runtime
from tests.web.pages import fields, get, sign_in_by_form, submit, words_of

Staff = Callable[..., str]
Ask = Callable[..., str]
HOSTILE = "<script>alert(1)</script>\"' & \u202egpj.exe {{ 7*7 }}"


def state_of(runtime: Runtime, request_id: str) -> str:
    with runtime.reading() as session:
        return queries.one(session, request_id).state


def test_a_finance_person_approves_by_form(app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask) -> None:
    staff("ann@example.com", "finance")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")

    inbox = get(client, "/approvals").text
    page = get(client, f"/approvals/{request_id}").text
    form = fields(page, f"/approvals/{request_id}/decision")
    answer = submit(
        client, f"/approvals/{request_id}/decision", form | {"verdict": "approve", "comment": "As agreed, Zoë"}
    )
    after = get(client, answer.headers["Location"]).text

    assert "1 waits for you: 12,480.00 EUR." in words_of(inbox)
    assert f'href="/approvals/{request_id}"' in inbox
    assert "Approve 12,480.00 EUR" in page
    assert set(form) == {"csrf_token", "version", "content_hash"}
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/approvals/{request_id}")
    assert state_of(runtime, request_id) == "approved"
    assert "“ As agreed, Zoë ”" in words_of(after)
    assert "Approve 12,480.00 EUR" not in after


def test_a_rejection_by_form_ends_the_request(app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask) -> None:
    staff("ann@example.com", "finance")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    path = f"/approvals/{request_id}/decision"

    submit(client, path, fields(get(client, f"/approvals/{request_id}").text, path) | {"verdict": "reject"})

    assert state_of(runtime, request_id) == "rejected"


@pytest.mark.parametrize("token", [None, "", "another session's"])
def test_a_form_without_its_token_decides_nothing(
    app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask, token: str | None
) -> None:
    staff("ann@example.com", "finance")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    form = {"version": "1", "verdict": "approve"} | ({} if token is None else {"csrf_token": token})

    answer = submit(client, f"/approvals/{request_id}/decision", form)

    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert state_of(runtime, request_id) == "open"


def test_hostile_names_are_shown_as_text(app: flask.Flask, staff: Staff, ask: Ask) -> None:
    staff("ann@example.com", "finance")
    request_id = ask(title=HOSTILE, category={HOSTILE})
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")

    for path in ("/approvals", f"/approvals/{request_id}"):
        page = get(client, path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "\u202e" not in page
        assert "U+202Egpj.exe" in page
        assert "{{ 7*7 }}" in page


def test_what_to_check_stands_above_the_button_and_in_the_queue(app: flask.Flask, staff: Staff, ask: Ask) -> None:
    staff("ann@example.com", "finance")
    request_id = ask(
        **{"affiliate.status": "new", "affiliate.bank_changed_days": 6, "assurance": "C", "category": {"uncategorised"}}
    )
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")

    page = get(client, f"/approvals/{request_id}").text

    assert "4 things to check before you approve" in page
    assert "The bank account was set or changed 6 days ago." in page
    assert page.index("4 things to check") < page.index('value="approve"')
    assert "New affiliate" in get(client, "/approvals").text


def test_a_decision_somebody_was_quicker_with_comes_back_with_what_changed(
    app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask
) -> None:
    staff("ann@example.com", "finance")
    staff("bob@example.com", "finance")
    request_id = ask()
    path = f"/approvals/{request_id}/decision"
    ann, bob = app.test_client(), app.test_client()
    for client, email in ((ann, "ann@example.com"), (bob, "bob@example.com")):
        sign_in_by_form(client, email)
    seen_by_both = [fields(get(client, f"/approvals/{request_id}").text, path) for client in (ann, bob)]

    submit(ann, path, seen_by_both[0] | {"verdict": "reject"})
    answer = submit(bob, path, seen_by_both[1] | {"verdict": "approve"})

    assert answer.status_code == 409
    said = words_of(answer.text)
    assert "Your decision was not recorded" in said
    assert "This request is no longer open." in said
    assert "ann@example.com: reject, 2 Nov 2026 09:00." in said
    assert state_of(runtime, request_id) == "rejected"


def test_a_voided_request_leads_to_the_newer_one(app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask) -> None:
    staff("ann@example.com", "finance")
    first = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    path = f"/approvals/{first}/decision"
    form = fields(get(client, f"/approvals/{first}").text, path)
    with runtime.transaction() as session:
        requests.void(runtime, session, session.get_one(ApprovalRequest, first), "the account was changed")
    second = ask(amount_minor=99)

    answer = submit(client, path, form | {"verdict": "approve"})

    assert answer.status_code == 409
    assert f'<a href="/approvals/{second}">A newer request stands in its place</a>' in answer.text
    assert state_of(runtime, second) == "open"


def test_a_person_who_is_no_approver_reads_why_and_is_refused(
    app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask
) -> None:
    staff("mia@example.com", "manager")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "mia@example.com")
    page = get(client, f"/approvals/{request_id}").text
    token = fields(page, "/sign-out")["csrf_token"]

    answer = submit(
        client, f"/approvals/{request_id}/decision", {"csrf_token": token, "version": "1", "verdict": "approve"}
    )

    assert "you are not among the approvers" in page
    assert 'value="approve"' not in page
    assert (answer.status_code, state_of(runtime, request_id)) == (403, "open")
    assert "You are not among the approvers of the step that is open now." in words_of(answer.text)


def test_an_auditor_looks_and_has_no_button(app: flask.Flask, staff: Staff, ask: Ask) -> None:
    staff("aud@example.com", "auditor")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "aud@example.com")

    page = get(client, f"/approvals/{request_id}?view=open")

    assert page.status_code == 200
    assert 'value="approve"' not in page.text


def test_a_form_that_lost_its_version_is_refused_whole(
    app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask
) -> None:
    staff("ann@example.com", "finance")
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    path = f"/approvals/{request_id}/decision"
    form = fields(get(client, f"/approvals/{request_id}").text, path)

    answer = submit(client, path, form | {"version": "new", "verdict": "approve"})

    assert answer.status_code == 422
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ApprovalDecision)) == 0


def test_the_lists_show_open_and_decided_ones_and_steps_with_their_reasons(
    app: flask.Flask, runtime: Runtime, staff: Staff, ask: Ask
) -> None:
    staff("ann@example.com", "finance")
    with runtime.transaction() as session:
        chief = {"id": "chief", "approvers": {"role": "admin"}, "need": 1, "when": {"amount_base": {"gt": 10**9}}}
        finance = {"id": "finance", "approvers": {"role": "finance"}, "need": 2}
        policy = session.get_one(ApprovalPolicy, 0)
        policy.content = {"chains": [{"id": "default", "when": {}, "steps": [finance, chief]}]}
    request_id = ask()
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    path = f"/approvals/{request_id}/decision"

    said = words_of(get(client, f"/approvals/{request_id}").text)
    submit(client, path, fields(get(client, f"/approvals/{request_id}").text, path) | {"verdict": "approve"})

    assert "Cannot pass: 1 more person who may decide is needed; a step never passes by itself." in said
    assert "Applies only when amount_base gt 1000000000." in said
    assert f"/approvals/{request_id}" not in get(client, "/approvals").text
    assert f"/approvals/{request_id}" in get(client, "/approvals?view=open").text
    assert f"/approvals/{request_id}" not in get(client, "/approvals?view=decided").text
    assert "One person counts once." in words_of(get(client, f"/approvals/{request_id}").text)
