"""Receipts: every postback that came, why it was refused, and what would become of a pasted one."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.errors import Problem
from core.http.doors import actors
from core.http.paging import page as page_of
from partners.models import Source
from postback import queries, routes
from postback.models import Receipt
from postback.schemas import PastedSchema, ReceiptQuerySchema
from postback.verification import Refusal as Reason
from web.pages import forms, frame
from web.pages.frame import page

blueprint = flask.Blueprint("receipt_pages", __name__)
PLACE = "/receipts"
READERS = actors(*EVERYONE)
FILTERS = ("source_id", "verdict", "reason", "conversion_id", "from", "until")
ROWS_MAX = 100
# Why a postback was refused, as a sentence about it.
REASONS = {
    Reason.UNKNOWN_SOURCE: "no source has this address",
    Reason.ADDRESS_NOT_ALLOWED: "it came from an address that is not on the source's list",
    Reason.WRONG_METHOD: "it came by another method than its scheme signs",
    Reason.SIGNATURE_MISSING: "it has no signature",
    Reason.SIGNATURE_MALFORMED: "what stands where its signature should is none",
    Reason.BAD_SIGNATURE: "no live secret of the source makes its signature",
    Reason.FROM_THE_FUTURE: "its time lies ahead of ours",
    Reason.STALE: "its time is too long ago",
}


@page(blueprint, "GET", "/receipts", door=READERS)
def receipts(session: Session) -> str | tuple[str, int]:
    """Show receipts, newest first, narrowed by the filters in the URL."""
    query, wanted, refusal = forms.narrowed(ReceiptQuerySchema, FILTERS, limit=ROWS_MAX)
    rows = page_of(session, queries.receipts(query), Receipt.id, limit=ROWS_MAX, after=frame.cursor(flask.request))
    body = frame.rendered(
        session,
        "receipts.html",
        place=PLACE,
        rows=rows.items,
        older=frame.link(".receipts", {**wanted, "after": rows.next}) if rows.next else None,
        newest=frame.link(".receipts", wanted) if flask.request.args.get("after") else None,
        wanted=wanted,
        refusal=refusal,
        sources=_sources(session),
        reasons=[(reason.value, said(reason.value)) for reason in Reason],
        said=said,
        may_check=Role.ADMIN in flask.g.actor.roles,
    )
    return (body, 422) if refusal else body


@page(blueprint, "GET", "/receipts/<receipt_id>", door=READERS)
def receipt(session: Session, receipt_id: str) -> str:
    """Show one receipt: the reason first, the raw request below for those who may see it."""
    shown = routes.get_receipt(session, receipt_id)
    return frame.rendered(
        session,
        "receipt.html",
        place=PLACE,
        shown=shown,
        sources=_sources(session),
        said=said,
    )


@page(blueprint, "GET", "/receipts/check", door=actors(Role.ADMIN))
def check_form(session: Session) -> str:
    """Ask for a request to be looked at."""
    return _check(session, None, None)


@page(blueprint, "POST", "/receipts/check", door=actors(Role.ADMIN))
def check(session: Session) -> str | tuple[str, int]:
    """Say what would become of it, and why; nothing is recorded."""
    form = flask.request.form
    try:
        values = {name: form[name] for name in ("method", "url", "body", "peer") if form.get(name)}
        pasted = forms.checked(PastedSchema, values | {"headers": _headers(form.get("headers", ""))})
        return _check(session, routes.validate(session, form.get("source_id", ""), pasted), None)
    except Problem as problem:
        lines = [f"{fault.field}: {fault.reason}" for fault in problem.faults] or [problem.detail]
        return _check(session, None, forms.Refusal("Correct this and send it again", lines, {}, form.to_dict())), 422


def said(reason: str | None) -> str:
    """Return why a postback was refused, as a sentence about it."""
    if reason is None:
        return ""
    return REASONS[Reason(reason)] if reason in set(Reason) else reason.replace("_", " ")


def _check(session: Session, found: dict[str, Any] | None, refusal: forms.Refusal | None) -> str:
    return frame.rendered(
        session,
        "receipt_check.html",
        place=PLACE,
        found=found,
        sources=sorted(_sources(session).items(), key=lambda each: each[1].lower()),
        asked=flask.request.form,
        refusal=refusal,
        said=said,
    )


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _sources(session: Session) -> dict[str, str]:
    return {row.id: row.name for row in session.execute(sa.select(Source.id, Source.name))}
