"""Month end by form: files loaded, suggestions judged, differences resolved, the month closed and opened again."""

import io
import re
from collections.abc import Callable

import flask
import sqlalchemy as sa
from flask.testing import FlaskClient

from core.runtime import Runtime
from reports import jobs
from reports.importing import jobs as importing
from reports.match_models import Match
from reports.models import Discrepancy
from tests.builders import OUR_IBAN, Builder
from tests.conftest import Answer, answer_of
from tests.reports.test_doors import OCTOBER
from tests.reports.test_passes import Month
from tests.web.pages import HTML, fields, get, sign_in_by_form, submit, words_of

Staff = Callable[..., str]
IMPACT = "Id,State,Payout,Currency,SubId1,EventDate\nT1,APPROVED,12.00,EUR,c1,2026-10-02T12:00:00Z\nT2,x,y,EUR,c2,now\n"


def upload(client: FlaskClient, path: str, name: str, content: bytes, **values: str) -> Answer:
    form = fields(get(client, "/imports").text, path) | values
    return answer_of(client.post(path, data={**form, "file": (io.BytesIO(content), name)}, headers=HTML))


def signed_in(app: flask.Flask, staff: Staff, email: str, *roles: str) -> FlaskClient:
    staff(email, *roles)
    client = app.test_client()
    sign_in_by_form(client, email)
    return client


def test_a_report_is_looked_at_mended_and_loaded_by_the_worker(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    client = signed_in(app, staff, "ann@example.com", "finance")
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source().id
    named = {"source_id": source_id, "period": "2026-10"}

    looked = upload(client, "/imports/network", "<b>october.csv", IMPACT.encode(), **named)
    form = fields(looked.text, "/imports/network/load") | named
    text = re.search(r'name="mapping"[^>]*>([^<]*)</textarea>', looked.text)
    assert text is not None
    again = submit(client, "/imports/network/load", form | {"mapping": "amount: Sum", "do": "look"})
    sent = submit(client, "/imports/network/load", form | {"mapping": text[1], "do": "load"})
    waiting = get(client, sent.headers["Location"])
    importing.import_reports()
    done = words_of(get(client, sent.headers["Location"]).text)
    listed = get(client, "/imports").text
    other = signed_in(app, staff, "bob@example.com", "finance")
    stolen = submit(other, "/imports/network/load", form | {
        "mapping": text[1], "do": "load", "csrf_token": fields(get(other, "/imports").text, "/sign-out")["csrf_token"],
    })  # fmt: skip

    assert "1 line understood, 1 row not." in words_of(looked.text)
    assert "&lt;b&gt;october.csv" in looked.text
    assert "It is not understood yet." in words_of(again.text)
    assert (sent.status_code, 'http-equiv="refresh"' in waiting.text) == (303, True)
    assert "Lines 1 New 1" in done
    assert "&lt;b&gt;october.csv" in listed
    assert (stolen.status_code, "choose it again" in stolen.text) == (422, True)


def test_a_bank_statement_is_looked_at_and_loaded(app: flask.Flask, staff: Staff) -> None:
    client = signed_in(app, staff, "ann@example.com", "finance")

    looked = upload(client, "/imports/bank", "october.xml", OCTOBER, account=OUR_IBAN)
    nothing = answer_of(client.post("/imports/bank", data=fields(looked.text, "/sign-out"), headers=HTML))
    loaded = submit(client, "/imports/bank/load", fields(looked.text, "/imports/bank/load"))
    shown = words_of(get(client, loaded.headers["Location"]).text)

    assert "1 statement in camt.053. Nothing is stored yet." in words_of(looked.text)
    assert (nothing.status_code, "choose one" in nothing.text) == (422, True)
    assert "4 lines, 4 new, 0 were there." in shown
    assert "is PDNG, not booked" in shown


def test_suggestions_are_judged_and_one_match_is_taken_apart_again(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    client = signed_in(app, staff, "ann@example.com", "finance")
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("near", 7777)
        month.theirs("also near", 7770, day=18)
    page = get(client, "/month-end/2026-10").text
    submit(client, "/month-end/2026-10/runs", fields(page, "/month-end/2026-10/runs") | {"leg": "network"})
    jobs.month_end()
    path = "/month-end/2026-10/suggestions"
    shown = get(client, path)
    with runtime.reading() as session:
        group_id = session.scalars(sa.select(Match.group_id).where(Match.state == "suggested")).one()

    form = fields(shown.text, path) | {"group_ids[]": group_id, "verdict": "confirm"}
    why = submit(client, path, form)
    judged = submit(client, path, form | {"reason": "the same order"})
    twice = submit(client, path, form | {"reason": "the same order"})
    match = get(client, f"/matches/{group_id}").text
    apart = submit(
        client, f"/matches/{group_id}/unmatch", fields(match, f"/matches/{group_id}/unmatch") | {"reason": "no"}
    )

    assert "77.70" in shown.text.replace('<span class="f">', "").replace("</span>", "")
    assert (why.status_code, judged.status_code, twice.status_code, apart.status_code) == (422, 303, 409, 303)
    assert "the same order" in words_of(get(client, f"/matches/{group_id}").text)


def test_differences_are_given_an_owner_explained_by_many_and_one_by_one(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    client = signed_in(app, staff, "ann@example.com", "finance")
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("T1", 1000)
        month.theirs("T1", 700)
        month.ours("T2", 500)
    page = get(client, "/month-end/2026-10").text
    submit(client, "/month-end/2026-10/runs", fields(page, "/month-end/2026-10/runs") | {"leg": "network"})
    jobs.month_end()
    with runtime.reading() as session:
        ids = {row.klass: row.id for row in session.scalars(sa.select(Discrepancy))}
        me = session.scalars(sa.text("SELECT id FROM staff")).one()
    path = f"/discrepancies/{ids['amount_mismatch']}"
    shown = get(client, path).text

    owned = submit(client, f"{path}/owner", fields(shown, f"{path}/owner") | {"owner": me})
    stale = submit(client, f"{path}/owner", fields(shown, f"{path}/owner") | {"owner": ""})
    noted = submit(client, f"{path}/notes", fields(shown, f"{path}/notes") | {"text": "asked <them>"})
    mine = words_of(get(client, "/discrepancies?owner=me").text)
    review = get(client, f"/discrepancies/review?ids[]={ids['missing_at_network']}").text
    form = fields(review, "/discrepancies/review") | {"resolution": "carry_forward", "note": "next month"}
    other = submit(client, "/discrepancies/review", form | {"sums[]": "-1.00 EUR"})
    carried = submit(client, "/discrepancies/review", form)

    assert "Accept the difference: post" in words_of(shown)
    assert (owned.status_code, stale.status_code, noted.status_code) == (303, 409, 303)
    assert "Amount mismatch" in mine
    assert "asked &lt;them&gt;" in get(client, path).text
    assert "minus five 00/100 EUR" in words_of(review)
    assert (other.status_code, carried.status_code) == (409, 303)
    assert "Carried" in words_of(get(client, f"/discrepancies/{ids['missing_at_network']}").text)


def test_a_month_closes_by_form_and_is_opened_by_another_person(
    app: flask.Flask, runtime: Runtime, staff: Staff
) -> None:
    ann = signed_in(app, staff, "ann@example.com", "finance")
    bob = signed_in(app, staff, "bob@example.com", "finance")
    cyd = signed_in(app, staff, "cyd@example.com", "finance")
    early = words_of(get(ann, "/month-end/2026-08/close").text)
    close = "/month-end/2026-08/close"

    closed = submit(ann, close, fields(get(ann, close).text, close))
    ask = "/month-end/2026-08/reopen"
    asked = submit(bob, ask, fields(get(bob, "/month-end/2026-08").text, ask) | {"reason": "a line came late"})
    own = get(bob, "/month-end/2026-08").text
    opened = submit(cyd, f"{ask}/confirm", fields(get(cyd, "/month-end/2026-08").text, f"{ask}/confirm"))

    assert "Close August 2026" in early
    assert (closed.status_code, asked.status_code, opened.status_code) == (303, 303, 303)
    assert f"{ask}/confirm" not in own
    assert "Open" in words_of(get(ann, "/month-end/2026-08").text)
