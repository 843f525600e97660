"""Discrepancies: who looks after which, what may be said about it, and what that would post."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.models import Staff
from access.roles import Role
from core.http.doors import actors
from core.money import Money
from core.runtime import installed
from ledger import periods
from partners.models import Source
from reports.exports.report import amount, moment, same_text, text
from reports.exports.tables import Row
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution
from reports.models import Discrepancy
from reports.resolving import queries, routes
from reports.resolving.acts import TOGETHER
from reports.resolving.claiming import Outcome
from reports.resolving.queries import EveryQuery
from reports.resolving.schemas import (
    AnsweredSchema,
    AssignedSchema,
    EveryQuerySchema,
    NewNoteSchema,
    SaidOfManySchema,
    SaidSchema,
)
from reports.taxonomy import Severity
from web.pages import forms, frame, lists, month_end, names, words
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("discrepancy_pages", __name__)
PLACE = month_end.PLACE
RESOLVES = actors(Role.FINANCE, Role.MANAGER)
FILTERS = ("period", "leg", "class", "severity", "owner", "state", "source_id")
ROWS_MAX = 100
WORDS = {
    Resolution.EXPLAINED: "Explain it",
    Resolution.CARRY_FORWARD: "Carry it forward",
    Resolution.ACCEPT: "Accept the difference",
    Resolution.WRITE_OFF: "Write it off",
    Resolution.CLAIM: "Claim it from the network",
    Resolution.CREATE_CONVERSION: "Create the conversion",
}
POSTS = {Resolution.ACCEPT, Resolution.WRITE_OFF}


def _every(query: EveryQuery) -> sa.Select[Discrepancy]:
    mine = replace(query, owner=flask.g.actor.id) if query.owner == "me" else query
    statement = queries.every(mine, now=installed().clock())
    return statement.outerjoin(Staff, same_text(Staff.id, Discrepancy.owner))


def _cells(session: Session, some: Sequence[Discrepancy]) -> Iterator[Row]:
    shown = queries.shown(session, some, now=installed().clock())
    emails = people.emails(session, [row.owner for row in some if row.owner])
    for row, each in zip(some, shown, strict=True):
        yield (
            row.id, row.klass, each["severity"], row.leg, row.period, row.source_id, row.conversion_id, row.payout_id,
            row.remittance_id, row.line_id, emails.get(row.owner or "", row.owner), row.ours_minor, row.ours_currency,
            row.theirs_minor, row.theirs_currency, lists.minor(each["difference"]), row.state, row.resolution,
            row.note, row.created_at,
        )  # fmt: skip


_CURRENCY = sa.func.coalesce(Discrepancy.ours_currency, Discrepancy.theirs_currency)
_OFF = sa.func.coalesce(Discrepancy.theirs_minor, 0) - sa.func.coalesce(Discrepancy.ours_minor, 0)
LISTING = Listing(
    "/discrepancies",
    "Discrepancies",
    Discrepancy.id,
    (
        Head("What is wrong", (Discrepancy.klass,)),
        Head("Month", (Discrepancy.period,), Way.MOMENT),
        Head("Owner", lists.text(Staff.email)),
        Head("We say", lists.amount(Discrepancy.ours_minor, Discrepancy.ours_currency), Way.AMOUNT, "money"),
        Head("They say", lists.amount(Discrepancy.theirs_minor, Discrepancy.theirs_currency), Way.AMOUNT, "money"),
        Head("Difference", lists.amount(_OFF, _CURRENCY), Way.AMOUNT, "money"),
        Head("Age", (Discrepancy.created_at,), Way.AGE, "num"),
        Head("State", (Discrepancy.state,)),
    ),
    asked=lists.of_query(EveryQuerySchema, FILTERS, _every),
    columns=(
        text("id", "Discrepancy"), text("class", "What is wrong"), text("severity", "Severity"),
        text("leg", "Comparison"), text("period", "Month"), text("source_id", "Source id"),
        text("conversion_id", "Conversion"), text("payout_id", "Payout"), text("remittance_id", "Remittance"),
        text("line_id", "Line"), text("owner", "Owner"), amount("ours", "We say", "ours_currency"),
        text("ours_currency", "Our currency"), amount("theirs", "They say", "theirs_currency"),
        text("theirs_currency", "Their currency"), amount("difference", "Difference", "ours_currency"),
        text("state", "State"), text("resolution", "Said of it"), text("note", "Note"),
        moment("first_seen_at", "First seen at"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=month_end.READERS)


@page(blueprint, "GET", LISTING.path, door=month_end.READERS)
def discrepancies(session: Session, refusal: Refusal | None = None) -> tuple[str, int]:
    """Show discrepancies of all months, newest first, narrowed by the filters in the URL."""
    return lists.rendered(
        session,
        LISTING,
        "discrepancies.html",
        place=PLACE,
        about=lambda rows: {
            "rows": queries.shown(session, rows, now=installed().clock()),
            "emails": people.emails(session, [row.owner for row in rows if row.owner]),
        },
        refusal=refusal,
        options={
            "class": [(each.value, each.value.replace("_", " ").capitalize()) for each in DiscrepancyClass],
            "state": [(each.value, each.value.capitalize()) for each in DiscrepancyState],
            "severity": [(each.value, each.value.capitalize()) for each in Severity],
            "leg": [(each.value, month_end.LEGS[each]) for each in Leg],
            "owner": [("me", "Mine"), ("nobody", "Nobody's")],
            "source_id": list(names.of(session, Source).items()),
        },
        may_act=bool(flask.g.actor.roles & RESOLVES.roles),
    )


@page(blueprint, "GET", "/discrepancies/review", door=RESOLVES)
def review(session: Session, refusal: Refusal | None = None) -> str:
    """Show what was ticked, how many and what they come to, before the same is said of all of them."""
    ids = flask.request.values.getlist("ids[]")[:ROWS_MAX]
    found = session.scalars(sa.select(Discrepancy).where(Discrepancy.id.in_(ids)).order_by(Discrepancy.id))
    shown = queries.shown(session, list(found), now=installed().clock())
    return frame.rendered(
        session,
        "discrepancies_review.html",
        place=PLACE,
        rows=shown,
        sums=_sums(shown),
        together=[(each.value, WORDS[each]) for each in WORDS if each in TOGETHER],
        refusal=refusal,
    )


@act(blueprint, "/discrepancies/review", door=RESOLVES, again=review)
def say_of_many(session: Session) -> flask.Response:
    """Say the same of all of them, or of none: what they come to must be what the person saw."""
    form = forms.nested(flask.request.form)
    sums = [{"amount": each.partition(" ")[0], "currency": each.partition(" ")[2]} for each in form.get("sums", [])]
    count = form.get("count", "")
    values = form | {"sums": sums, "count": int(count) if str(count).isdecimal() else count}
    done = routes.resolve_discrepancies(session, forms.checked(SaidOfManySchema, values))
    return forms.done(
        flask.url_for(".discrepancies"), f"{len(done['items'])} discrepancies: it is said of all of them."
    )


@page(blueprint, "GET", "/discrepancies/<discrepancy_id>", door=month_end.READERS)
def discrepancy(session: Session, discrepancy_id: str, refusal: Refusal | None = None) -> str:
    """Show one discrepancy: both sides, what it means, and what may be said about it now."""
    shown = queries.one(session, discrepancy_id, now=installed().clock())
    who = [shown["owner"], *(each.author_id for each in shown["notes"])]
    return frame.rendered(
        session,
        "discrepancy.html",
        place=PLACE,
        shown=shown,
        emails=people.emails(session, [each for each in who if each]),
        staff=[tuple(row) for row in session.execute(sa.select(Staff.id, Staff.email).order_by(Staff.email))],
        words=[(each.value, WORDS[each], each in POSTS) for each in WORDS if each.value in shown["allowed"]],
        is_closed=periods.is_closed(session, shown["period"]),
        outcomes=[(each.value, each.value.capitalize()) for each in Outcome],
        sees_packs=bool(flask.g.actor.roles & {Role.FINANCE, Role.AUDITOR, Role.ADMIN}),
        may_act=bool(flask.g.actor.roles & RESOLVES.roles),
        refusal=refusal,
    )  # fmt: skip


@act(blueprint, "/discrepancies/<discrepancy_id>/resolve", door=RESOLVES, again=discrepancy)
def resolve(session: Session, discrepancy_id: str) -> flask.Response:
    """Say what becomes of it."""
    routes.resolve_discrepancy(session, discrepancy_id, forms.loaded(SaidSchema))
    return forms.done(flask.url_for(".discrepancy", discrepancy_id=discrepancy_id), "It is said.")


@act(blueprint, "/discrepancies/<discrepancy_id>/owner", door=RESOLVES, again=discrepancy)
def assign(session: Session, discrepancy_id: str) -> flask.Response:
    """Say who looks after it."""
    form = flask.request.form
    values = {"owner": form.get("owner") or None, "version": form.get("version", type=int)}
    routes.assign_discrepancy(session, discrepancy_id, forms.checked(AssignedSchema, values))
    return forms.done(flask.url_for(".discrepancy", discrepancy_id=discrepancy_id), "It has another owner.")


@act(blueprint, "/discrepancies/<discrepancy_id>/notes", door=month_end.READERS, again=discrepancy)
def note(session: Session, discrepancy_id: str) -> flask.Response:
    """Add a note."""
    routes.note_discrepancy(session, discrepancy_id, forms.loaded(NewNoteSchema))
    return forms.done(flask.url_for(".discrepancy", discrepancy_id=discrepancy_id), "The note stands.")


@act(blueprint, "/discrepancies/<discrepancy_id>/answer", door=RESOLVES, again=discrepancy)
def answer(session: Session, discrepancy_id: str) -> flask.Response:
    """Write down what the network answers to a claim."""
    values = forms.nested(flask.request.form)
    if "amount" in values:
        values["amount"] = {"amount": values["amount"], "currency": values.pop("currency", "")}
    values.pop("currency", None)
    values["version"] = flask.request.form.get("version", type=int)
    routes.answer_claim(session, discrepancy_id, forms.checked(AnsweredSchema, values))
    return forms.done(flask.url_for(".discrepancy", discrepancy_id=discrepancy_id), "The answer stands.")


def _sums(shown: list[dict[str, Any]]) -> list[Money]:
    """Return what the differences come to in each currency."""
    found: dict[str, int] = {}
    for each in shown:
        if each["difference"] is not None:
            money = words.of_wire(each["difference"])
            if money is not None:
                found[money.currency] = found.get(money.currency, 0) + money.amount_minor
    return [Money(amount, currency) for currency, amount in sorted(found.items())]
