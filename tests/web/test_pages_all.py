"""Every page of the console, with a month of data in it: who may see it, and that it is whole."""

from collections.abc import Callable, Iterator
from datetime import date

import flask
import pytest

from access.roles import Role
from core.http.doors import DoorKind
from core.runtime import Runtime
from partners.models import Source
from reports.advertiser_models import AdvertiserList
from reports.delivery.models import ReportSchedule
from reports.remittance_models import Remittance
from tests.builders import OCTOBER, Builder
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
        remittance, advertiser_list, schedule = _of_month_end(runtime, build, source)
        return {
            "remittance_id": remittance.id, "list_id": advertiser_list.id, "schedule_id": schedule.id,
            "source_id": source.id, "affiliate_id": affiliate.id, "conversion_id": conversion.id,
            "receipt_id": receipt.id, "payout_id": payout.id, "period": "2026-10",
        }  # fmt: skip


def _of_month_end(
    runtime: Runtime, build: Builder, source: Source
) -> tuple[Remittance, AdvertiserList, ReportSchedule]:
    made = {"created_by": "stf_1", "created_at": OCTOBER}
    rows = (
        Remittance(
            id=runtime.new_id("rem"), source_id=source.id, period="2026-10", reference=HOSTILE, amount_minor=1250,
            currency="EUR", due_on=date(2026, 11, 30), state="open", origin="announced", changed_at=OCTOBER, **made,
        ),
        AdvertiserList(
            id=runtime.new_id("adl"), source_id=source.id, period="2026-10", compares="sale", seed=1, lines=1,
            sample_percent=100, mapping={}, file_name=HOSTILE, file_sha256="0" * 64, imported_by="stf_1",
            rejected=[{"line": 2, "reason": HOSTILE}], state="waiting", counts={}, imported_at=OCTOBER,
        ),
        # Its name stands in a field too, which gives back what it was given, whatever turns round.
        ReportSchedule(
            id=runtime.new_id("sch"), name=HOSTILE.replace("\u202e", ""), day=3, hour=6, reports=["month"],
            formats=["csv"], folder="monthly", recipients=["one@example.com"], state="active", counts_from=OCTOBER,
            **made,
        ),
    )  # fmt: skip
    build.session.add_all(rows)
    build.session.flush()
    return rows


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
        "/remittances", "/remittances/{remittance_id}", "/advertiser-lists", "/advertiser-lists/{list_id}",
        "/report-schedules", "/report-schedules/{schedule_id}",
    ):  # fmt: skip
        answer = get(client, path.format(**month))
        assert answer.status_code == 200, (path, answer.status_code)
        shown[path] = answer.text

    for path, page in shown.items():
        assert "<script>alert" not in page, path
        assert "\u202e" not in page, path
        assert "49" not in page or "{{ 7*7 }}" in page, path
    assert "U+202Egpj.exe" in shown["/affiliates/{affiliate_id}"]
