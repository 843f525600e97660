"""Payouts and batches by form: gathered by one person, released by another, and what a stale page may not do."""

from collections.abc import Callable

import flask
import pytest
import sqlalchemy as sa

from core.money import Money
from core.runtime import Runtime
from payouts.models import Batch
from tests.approvals.test_separation import batch_of
from tests.builders import Builder
from tests.conftest import Caller
from tests.payouts.books import Books, Payers
from tests.web.pages import fields, get, sign_in_by_form, submit, words_of
from web.pages.sums_in_words import in_words

Staff = Callable[..., str]


@pytest.fixture
def payers(runtime: Runtime, sign_in: Callable[..., Caller]) -> Payers:
    """Two people of finance, and books with one affiliate."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate(name="Blog <b>One</b>")
    return Payers(books, sign_in("finance"), sign_in("finance"))


def test_a_batch_is_gathered_by_one_person_and_released_by_another_with_its_sum_in_words(
    app: flask.Flask, staff: Staff, payers: Payers
) -> None:
    [payout_id] = payers.approved(1250, name="Blog <b>One</b>")
    staff("ann@example.com", "finance")
    staff("bob@example.com", "finance")
    ann, bob = app.test_client(), app.test_client()
    sign_in_by_form(ann, "ann@example.com")
    sign_in_by_form(bob, "bob@example.com")

    new = get(ann, "/batches/new").text
    form = fields(new, "/batches") | {"method": "sepa", "payout_ids[]": payout_id}
    made = submit(ann, "/batches", form)
    path = made.headers["Location"]
    gathered = words_of(get(ann, path).text)
    own = get(ann, f"{path}/release").text
    mine = submit(ann, f"{path}/release", fields(get(bob, f"{path}/release").text, f"{path}/release") | {
        "csrf_token": fields(own, "/sign-out")["csrf_token"],
    })  # fmt: skip
    seen = get(bob, f"{path}/release").text
    released = submit(bob, f"{path}/release", fields(seen, f"{path}/release"))
    again = submit(bob, f"{path}/release", fields(seen, f"{path}/release"))
    shown = get(bob, path).text
    payout = get(bob, f"/payouts/{payout_id}").text

    assert "12 .50 EUR" in words_of(new)
    assert (made.status_code, path.startswith("/batches/bat_")) == (303, True)
    assert "You gathered it: another person of finance releases it." in words_of(own)
    assert "1 payout is gathered" in gathered
    assert mine.status_code == 403
    assert "twelve 50/100 EUR" in words_of(seen)
    assert (released.status_code, again.status_code) == (303, 409)
    assert "Nothing was changed" in words_of(again.text)
    assert f"/api/v1{path}/file" in shown
    assert "Blog &lt;b&gt;One&lt;/b&gt;" in payout
    assert path in payout


def test_what_a_form_lacks_is_told_beside_its_field_with_what_was_filled_in(
    app: flask.Flask, staff: Staff, payers: Payers
) -> None:
    [payout_id] = payers.approved(1250)
    staff("ann@example.com", "finance")
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    path = f"/payouts/{payout_id}/cancel"

    form = fields(get(client, f"/payouts/{payout_id}").text, path)
    empty = submit(client, path, form)
    stale = submit(client, path, form | {"version": "99", "reason": "asked twice"})
    cancelled = submit(client, path, form | {"reason": "asked twice"})
    after = get(client, cancelled.headers["Location"]).text
    once_more = get(client, cancelled.headers["Location"]).text

    assert (empty.status_code, stale.status_code, cancelled.status_code) == (422, 409, 303)
    assert 'aria-invalid="true"' in empty.text
    assert 'value="asked twice"' in stale.text
    assert "Given up" in words_of(after)
    assert "It is given up; what it paid waits anew." in after
    assert "It is given up" not in once_more


def test_no_other_site_puts_its_words_on_a_page(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    client.set_cookie("said", "0" * 32 + ".Call%20this%20number")

    assert "Call this number" not in get(client, "/today").text


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (0, "EUR", "zero 00/100 EUR"),
        (100, "EUR", "one 00/100 EUR"),
        (1248005, "GBP", "twelve thousand four hundred and eighty 05/100 GBP"),
        (-4120, "GBP", "minus forty-one 20/100 GBP"),
        (1005, "JPY", "one thousand and five JPY"),
        (2_345_018_901, "KWD", "two million three hundred and forty-five thousand and eighteen 901/1000 KWD"),
        (100_000_000_000_000_000, "EUR", "1,000,000,000,000,000 00/100 EUR"),
        (100_000_00, "EUR", "one hundred thousand 00/100 EUR"),
    ],
)  # fmt: skip
def test_a_sum_is_written_out_as_on_a_cheque(minor: int, currency: str, words: str) -> None:
    assert in_words(Money(minor, currency)) == words


def test_who_may_release_a_batch_is_told_before_anybody_presses(
    app: flask.Flask, staff: Staff, runtime: Runtime
) -> None:
    ids = {name: staff(f"{name}@example.com", "finance") for name in ("ann", "bob")}
    staff("mia@example.com", "manager")
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = build.payout(build.affiliate(), 1250, state="batched")
        build.approval(payout, ids["bob"])
        payout_id = payout.id
    path = f"/batches/{batch_of(runtime, payout_id, None)}"
    with runtime.transaction() as session:
        session.execute(sa.update(Batch).values(created_by=ids["ann"]))
    clients = {}
    for name in ("ann", "bob", "mia"):
        clients[name] = app.test_client()
        sign_in_by_form(clients[name], f"{name}@example.com")

    nobody = {name: words_of(get(client, path).text) for name, client in clients.items()}
    asked = get(clients["bob"], f"{path}/release").text
    staff("eve@example.com", "finance")
    clients["eve"] = app.test_client()
    sign_in_by_form(clients["eve"], "eve@example.com")
    after = {name: words_of(get(client, path).text) for name, client in clients.items()}

    assert "You gathered it: another person of finance releases it." in nobody["ann"]
    assert "You had a say in a payout's approval" in nobody["bob"].replace("&#39;", "'")
    assert "Your roles release no batch: a person of finance does." in nobody["mia"]
    assert all("Nobody may release it now" in page for page in nobody.values())
    assert ("You had a say" in asked, f'action="{path}/release"' in asked) == (True, False)
    assert all("May release it: eve@example.com ." in page for page in after.values())
    assert "Release 0.01 EUR…" in after["eve"]
    assert "Release 0.01 EUR…" not in after["bob"] + after["mia"] + after["ann"]
