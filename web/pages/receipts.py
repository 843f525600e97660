"""Receipts: every postback that came, why it was refused, and what would become of a pasted one."""

from collections.abc import Iterator, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.errors import Problem
from core.http.doors import actors
from partners.models import Source
from postback import queries, routes
from postback.models import Receipt
from postback.schemas import PastedSchema, ReceiptQuerySchema
from postback.verification import Refusal as Reason
from reports.exports.report import count, moment, text
from reports.exports.tables import Row
from web.pages import forms, frame, lists, names
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("receipt_pages", __name__)
PLACE = "/receipts"
READERS = actors(*EVERYONE)
FILTERS = ("source_id", "verdict", "reason", "conversion_id", "from", "until")
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


def _every(query: queries.ReceiptQuery) -> sa.Select[Receipt]:
    """Return the statement, without what was sent: a list shows none of it."""
    raw = (Receipt.raw_query, Receipt.raw_body, Receipt.signature_headers)
    return queries.receipts(query).options(*(sa.orm.defer(each) for each in raw))


def _cells(session: Session, some: Sequence[Receipt]) -> Iterator[Row]:
    called = names.of(session, Source)
    for row in some:
        yield (
            row.id, row.received_at, row.source_id, called.get(row.source_id), row.peer, row.method, row.verdict,
            row.reason, row.outcome, row.conversion_id, row.assurance, row.secret_id, row.latency_us,
        )  # fmt: skip


LISTING = Listing(
    PLACE,
    "Receipts",
    Receipt.id,
    (
        Head("Received", (Receipt.id,), Way.MOMENT),
        # Ten million of them are a year: by time they have an index, for all else there are filters.
        Head("Source"),
        Head("From"),
        Head("Verdict"),
        Head("What became of it"),
    ),
    asked=lists.of_query(ReceiptQuerySchema, FILTERS, _every),
    columns=(
        text("id", "Receipt"), moment("received_at", "Received at"), text("source_id", "Source id"),
        text("source", "Source"), text("peer", "From"), text("method", "Method"), text("verdict", "Verdict"),
        text("reason", "Reason"), text("outcome", "Outcome"), text("conversion_id", "Conversion"),
        text("assurance", "Assurance"), text("secret_id", "Secret id"), count("latency_us", "Microseconds it took"),
    ),
    cells=_cells,
    newest="received",
)  # fmt: skip
lists.exported(blueprint, LISTING, door=READERS)


@page(blueprint, "GET", LISTING.path, door=READERS)
def receipts(session: Session) -> tuple[str, int]:
    """Show receipts, newest first, narrowed by the filters in the URL."""
    return lists.rendered(
        session,
        LISTING,
        "receipts.html",
        place=PLACE,
        sources=names.of(session, Source),
        reasons=[(reason.value, said(reason.value)) for reason in Reason],
        said=said,
        may_check=Role.ADMIN in flask.g.actor.roles,
    )


@page(blueprint, "GET", "/receipts/<receipt_id>", door=READERS)
def receipt(session: Session, receipt_id: str) -> str:
    """Show one receipt: the reason first, the raw request below for those who may see it."""
    shown = routes.get_receipt(session, receipt_id)
    return frame.rendered(
        session,
        "receipt.html",
        place=PLACE,
        shown=shown,
        sources=names.of(session, Source),
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
        sources=sorted(names.of(session, Source).items(), key=lambda each: each[1].lower()),
        asked=flask.request.form,
        refusal=refusal,
        said=said,
    )


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
