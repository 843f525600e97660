"""Every page of the console, with a month of data in it: who may see it, and that it is whole."""

from collections.abc import Callable, Iterator

import flask
import pytest

from access.roles import Role
from core.http.doors import DoorKind
from core.runtime import Runtime
from tests.builders import Builder
from tests.web.pages import get, sign_in_by_form

Staff = Callable[..., str]
HOSTILE = "<script>alert(1)</script>\"' & \u202egpj.exe {{ 7*7 }}"


def pages(app: flask.Flask) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every page that takes no part in its path, with the roles that may see it."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        door = getattr(view, "door", None)
        is_whole = getattr(view, "is_page", False) and "GET" in (rule.methods or ()) and not rule.arguments
        if is_whole and door is not None and door.kind is DoorKind.ACTORS:
            yield rule.rule, door.roles


@pytest.fixture
def month(runtime: Runtime) -> dict[str, str]:
    """A source, an affiliate with a hostile name, a conversion with its receipt and accrual, and a payout."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source(HOSTILE[:100])
        affiliate = build.affiliate(name=HOSTILE)
        conversion = build.conversion(source, "T1" + HOSTILE, 1250, affiliate_id=affiliate.id)
        receipt = build.receipt(conversion)
        payout = build.payout(affiliate, 1250)
        return {
            "source_id": source.id, "affiliate_id": affiliate.id, "conversion_id": conversion.id,
            "receipt_id": receipt.id, "payout_id": payout.id, "period": "2026-10",
        }  # fmt: skip


def test_every_page_is_for_the_roles_of_its_door_alone(app: flask.Flask, staff: Staff, month: dict[str, str]) -> None:
    every = dict(pages(app))
    seen = {}
    for role in Role:
        client = app.test_client()
        staff(f"{role}@example.com", role)
        sign_in_by_form(client, f"{role}@example.com")
        for path in every:
            seen[path, role.value] = get(client, path).status_code

    for (path, name), status in seen.items():
        allowed = name in every[path]
        assert status in ({200, 302} if allowed else {403}), (path, name, status)
    assert {"/today", "/payouts", "/batches", "/sources", "/receipts", "/affiliates", "/approvals"} <= set(every)


def test_what_is_hostile_is_text_on_every_page_of_it(app: flask.Flask, staff: Staff, month: dict[str, str]) -> None:
    client = app.test_client()
    staff("eve@example.com", *[role.value for role in Role])
    sign_in_by_form(client, "eve@example.com")
    shown = {}
    for path in (
        "/today", "/sources", "/sources/{source_id}", "/receipts",
        "/receipts/{receipt_id}", "/imports", "/discrepancies", "/month-end/{period}/suggestions",
        "/receipts/check", "/conversions", "/conversions/{conversion_id}", "/payouts", "/payouts/{payout_id}",
        "/affiliates", "/affiliates/{affiliate_id}", "/month-end/{period}", "/find?q=script",
    ):  # fmt: skip
        answer = get(client, path.format(**month))
        assert answer.status_code == 200, (path, answer.status_code)
        shown[path] = answer.text

    for path, page in shown.items():
        assert "<script>alert" not in page, path
        assert "\u202e" not in page, path
        assert "49" not in page or "{{ 7*7 }}" in page, path
    assert "U+202Egpj.exe" in shown["/affiliates/{affiliate_id}"]
