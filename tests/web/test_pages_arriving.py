"""Remittances, advertisers' lists and report schedules by form: made, refused beside the field, changed, by whom."""

import io
from collections.abc import Callable

import flask
from flask.testing import FlaskClient

from core.runtime import Runtime
from reports import jobs
from tests.builders import Builder
from tests.conftest import Answer, answer_of
from tests.web.pages import HTML, fields, get, sign_in_by_form, submit, words_of

Staff = Callable[..., str]
SHOP = b"order,total,date\nT1,10.00,2026-10-05\n<i>T2</i>,20.00,2026-10-06\nT3,none,2026-10-06\n"


def signed_in(app: flask.Flask, staff: Staff, role: str) -> FlaskClient:
    staff(f"{role}@example.com", role)
    client = app.test_client()
    sign_in_by_form(client, f"{role}@example.com")
    return client


def refused(client: FlaskClient, path: str, **values: str) -> int:
    token = fields(get(client, "/today").text, "/sign-out")["csrf_token"]
    return submit(client, path, {"csrf_token": token, **values}).status_code


def test_a_payment_advice_is_kept_corrected_and_written_off_by_form(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    finance, manager = signed_in(app, staff, "finance"), signed_in(app, staff, "manager")
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source("Net <b>One</b>").id
    empty = get(finance, "/remittances").text
    form = fields(empty, "/remittances") | {"source_id": source_id, "money.currency": "EUR", "period": "2026-10"}

    wrong = submit(finance, "/remittances", form | {"money.amount": "12.345", "reference": "R 1"})
    kept = submit(finance, "/remittances", form | {"money.amount": "120.00", "reference": "ADV-77"})
    path = kept.headers["Location"]
    shown = get(finance, path).text
    listed = get(manager, "/remittances?period=2026-10").text
    change = fields(shown, f"{path}/change") | {"reason": "the advice says so"}
    change.pop("state", None)
    corrected = submit(finance, f"{path}/change", change | {"amount": "100.00", "due_on": "2026-11-15"})
    stale = submit(finance, f"{path}/change", change | {"amount": "90.00", "due_on": ""})
    version = fields(get(finance, path).text, f"{path}/change")["version"]
    off = {"csrf_token": change["csrf_token"], "version": version, "state": "written_off"}
    why = submit(finance, f"{path}/change", off)
    written_off = submit(finance, f"{path}/change", off | {"reason": "it went under"})
    after = words_of(get(manager, path).text)
    derived = submit(finance, "/remittances/derive", fields(empty, "/remittances/derive") | {"period": "2026-09"})

    assert "No remittance yet" in empty
    assert (wrong.status_code, 'id="money-amount-fault"' in wrong.text, 'value="R 1"' in wrong.text) == (
        422,
        True,
        True,
    )
    assert (kept.status_code, "ADV-77" in listed, "Net &lt;b&gt;One&lt;/b&gt;" in listed) == (303, True, True)
    assert "100.00 EUR" in after
    assert (corrected.status_code, stale.status_code) == (303, 409)
    assert (why.status_code, 'id="why-off-fault"' in why.text, written_off.status_code) == (422, True, 303)
    assert "Written off 100.00 EUR Left 0.00 EUR" in after
    assert derived.headers["Location"] == "/remittances?period=2026-09"
    assert 'name="money.amount"' not in listed
    assert refused(manager, "/remittances", period="2026-10") == 403
    assert refused(manager, f"{path}/charge", reason="x", version="1") == 403


def test_what_was_typed_into_one_form_of_the_page_is_not_shown_in_the_other(app: flask.Flask, staff: Staff) -> None:
    client = signed_in(app, staff, "finance")

    form = fields(get(client, "/remittances").text, "/remittances/derive") | {"period": "October"}
    answer = submit(client, "/remittances/derive", form)

    assert (answer.status_code, answer.text.count('value="October"')) == (422, 1)
    assert 'id="derive-period-fault"' in answer.text


def send(client: FlaskClient, values: dict[str, str], content: bytes) -> Answer:
    form = fields(get(client, "/advertiser-lists").text, "/advertiser-lists") | values
    data = {**form, "file": (io.BytesIO(content), "<b>shop.csv")}
    return answer_of(client.post("/advertiser-lists", data=data, headers=HTML))


def test_an_advertisers_list_is_loaded_by_form_and_compared(app: flask.Flask, runtime: Runtime, staff: Staff) -> None:
    partner, auditor = signed_in(app, staff, "affiliate_manager"), signed_in(app, staff, "auditor")
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source().id
    mapping = {
        "mapping": "transaction_id: order\namount: total\ncurrency: =EUR\n"
        'occurred_on: {column: date, format: "%Y-%m-%d", timezone: UTC}\n',
        "period": "2026-10",
    }

    neither = send(partner, mapping, SHOP)
    garbled = send(partner, mapping | {"source_id": source_id, "mapping": "[: no"}, SHOP)
    loaded = send(partner, mapping | {"source_id": source_id, "statuses": "valid: [paid]"}, SHOP)
    path = loaded.headers["Location"]
    before = words_of(get(partner, path).text)
    jobs.two_tier()
    after = get(auditor, path).text
    listed = get(auditor, "/advertiser-lists").text

    assert (neither.status_code, 'id="new-source-fault"' in neither.text) == (422, True)
    assert (garbled.status_code, 'id="mapping-fault"' in garbled.text) == (422, True)
    assert (loaded.status_code, "2 lines loaded, 1 not" in before, "not compared yet" in before) == (303, True, True)
    assert "Line 4" in before
    assert ("<i>T2" in after, "&lt;b&gt;shop.csv" in after, "<b>shop" in listed) == (False, True, False)
    assert 'enctype="multipart/form-data"' not in listed
    assert refused(auditor, "/advertiser-lists", period="2026-10") == 403


def test_a_schedule_is_made_changed_paused_and_removed_by_form(app: flask.Flask, staff: Staff) -> None:
    manager, auditor = signed_in(app, staff, "manager"), signed_in(app, staff, "auditor")
    first = get(manager, "/report-schedules").text
    token = fields(first, "/report-schedules")["csrf_token"]
    form = {
        "csrf_token": token, "name": "<b>Board</b>", "day": "5", "hour": "7", "reports[]": "month", "formats[]": "csv",
        "recipients": "board@example.com\ncfo@example.com",
    }  # fmt: skip

    nothing = submit(manager, "/report-schedules", {key: form[key] for key in form if key != "reports[]"})
    late = submit(manager, "/report-schedules", form | {"day": "32"})
    made = submit(manager, "/report-schedules", form)
    path = made.headers["Location"]
    shown = get(manager, path).text
    version = fields(shown, path)["version"]
    changed = submit(manager, path, form | {"version": version, "day": "6", "recipients": ""})
    stale = submit(manager, f"{path}/state", {"csrf_token": token, "version": version, "state": "paused"})
    paused = submit(manager, f"{path}/state", fields(get(manager, path).text, f"{path}/state"))
    seen = words_of(get(auditor, path).text)
    listed = words_of(get(auditor, "/report-schedules").text)
    barred = refused(auditor, f"{path}/remove")
    removed = submit(manager, f"{path}/remove", {"csrf_token": token})

    assert "No schedule yet" in first
    assert (nothing.status_code, 'id="reports-fault"' in nothing.text) == (422, True)
    assert "cfo@example.com" in nothing.text
    assert (late.status_code, 'id="day-fault"' in late.text, made.status_code) == (422, True, 303)
    assert "&lt;b&gt;Board&lt;/b&gt;" in shown
    assert "board@example.com\ncfo@example.com" in shown
    assert (changed.status_code, stale.status_code, paused.status_code) == (303, 409, 303)
    assert "Nothing goes out while it is paused" in seen
    assert "day 6, 7:00 UTC" in seen
    assert "Goes to its folder" in seen
    assert "Paused" in listed
    assert (barred, removed.status_code, get(manager, path).status_code) == (403, 303, 404)


def test_each_is_reached_from_where_a_person_looks_for_it(app: flask.Flask, staff: Staff) -> None:
    client = signed_in(app, staff, "finance")

    months, month, reports = (get(client, path).text for path in ("/month-end", "/month-end/2026-10", "/reports"))

    for path in ("/remittances", "/advertiser-lists"):
        assert f'href="{path}"' in months
        assert f'href="{path}?period=2026-10"' in month
    assert 'href="/discrepancies"' in months
    assert 'href="/report-schedules"' in reports
