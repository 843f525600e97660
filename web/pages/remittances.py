"""Remittances: what networks have announced or owe for a month, what came of it, and what is said of the rest."""

from collections.abc import Iterator, Sequence
from datetime import date

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.rows import existing
from partners.models import Source
from reports import remittance_routes as routes
from reports.exports.report import amount, day, moment, text
from reports.exports.tables import Row
from reports.remittance_models import Remittance
from reports.remittance_schemas import (
    AcceptedSchema,
    DerivedPeriodSchema,
    NewRemittanceSchema,
    RemittanceChangeSchema,
    RemittanceQuery,
    RemittanceQuerySchema,
)
from reports.remitting import Origin, RemittanceState
from web.pages import forms, frame, lists, month_end, names, words
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("remittance_pages", __name__)
PLACE = month_end.PLACE
FILTERS = ("period", "source_id", "state", "origin")


def _every(query: RemittanceQuery) -> sa.Select[Remittance]:
    return routes.every(query).outerjoin(Source, Source.id == Remittance.source_id)


def _cells(session: Session, some: Sequence[Remittance]) -> Iterator[Row]:
    called = names.of(session, Source)
    for row, each in zip(some, routes.shown(session, some), strict=True):
        yield (
            row.id, row.source_id, called.get(row.source_id), row.period, row.reference, row.origin, row.due_on,
            row.amount_minor, lists.minor(each["paid"]), lists.minor(each["left"]), row.currency, row.state,
            row.created_at,
        )  # fmt: skip


LISTING = Listing(
    "/remittances",
    "Remittances",
    Remittance.id,
    (
        Head("Network", lists.text(Source.name)),
        Head("Month", (Remittance.period,), Way.MOMENT),
        Head("Reference", lists.text(Remittance.reference)),
        Head("Due", (sa.func.coalesce(Remittance.due_on, date.min),), Way.MOMENT),
        Head("Amount", lists.amount(Remittance.amount_minor, Remittance.currency), Way.AMOUNT, "money"),
        # Worked out of the journal for each that is shown.
        Head("Paid", style="money"),
        Head("Left", style="money"),
        Head("State", (Remittance.state,)),
    ),
    asked=lists.of_query(RemittanceQuerySchema, FILTERS, _every),
    columns=(
        text("id", "Remittance"), text("source_id", "Source id"), text("source", "Network"), text("period", "Month"),
        text("reference", "Reference"), text("origin", "Announced or derived"), day("due_on", "Due"),
        amount("amount", "Amount"), amount("paid", "Paid"), amount("left", "Left"), text("currency", "Currency"),
        text("state", "State"), moment("created_at", "Made at"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=routes.READS)


@page(blueprint, "GET", LISTING.path, door=routes.READS)
def remittances(session: Session, refusal: Refusal | None = None) -> tuple[str, int]:
    """Show remittances, newest first, and the forms that make them."""
    return lists.rendered(
        session,
        LISTING,
        "remittances.html",
        place=PLACE,
        about=lambda rows: {"rows": routes.shown(session, rows)},
        refusal=refusal,
        sources=names.of(session, Source),
        states=[(each.value, each.value.replace("_", " ").capitalize()) for each in RemittanceState],
        origins=[(each.value, each.value.capitalize()) for each in Origin],
        is_announcing="money.amount" in flask.request.form or "source_id" in flask.request.form,
        may_announce=bool(flask.g.actor.roles & routes.ANNOUNCES.roles),
    )


@act(blueprint, "/remittances", door=routes.ANNOUNCES, again=remittances)
def announce(session: Session) -> flask.Response:
    """Keep what a network has announced."""
    made = routes.announce_remittances(session, forms.loaded(NewRemittanceSchema))
    return forms.done(flask.url_for(".remittance", remittance_id=made["id"]), "It is kept; the next run looks for it.")


@act(blueprint, "/remittances/derive", door=routes.DERIVES, again=remittances)
def derive(session: Session) -> flask.Response:
    """Make a month's remittances from its reports."""
    query = forms.loaded(DerivedPeriodSchema)
    done = routes.derive_remittances(session, query)
    said = f"{words.plural(done['made'], 'remittance')} made, {done['changed']} changed, {done['dropped']} dropped, "
    return forms.done(frame.link(".remittances", {"period": query.period}), f"{said}{done['kept']} left as they are.")


@page(blueprint, "GET", "/remittances/<remittance_id>", door=routes.READS)
def remittance(session: Session, remittance_id: str, refusal: Refusal | None = None) -> str:
    """Show one: what was announced, what came, and what is left."""
    shown = routes.show_remittance(session, remittance_id)
    return frame.rendered(
        session,
        "remittance.html",
        place=PLACE,
        shown=shown,
        source=existing(session, Source, shown["source_id"]).name,
        is_written_off=shown["state"] == RemittanceState.WRITTEN_OFF,
        doing=flask.request.path.rpartition("/")[2],
        may_change=bool(flask.g.actor.roles & routes.CHANGES.roles),
        refusal=refusal,
    )


@act(blueprint, "/remittances/<remittance_id>/change", door=routes.CHANGES, again=remittance)
def change(session: Session, remittance_id: str) -> flask.Response:
    """Correct its amount or its day, write it off, or take that back."""
    currency = existing(session, Remittance, remittance_id).currency
    values = forms.nested(flask.request.form)
    if "amount" in values:
        values["money"] = {"amount": values.pop("amount"), "currency": currency}
    routes.change_remittance(session, remittance_id, forms.checked(RemittanceChangeSchema, values))
    return forms.done(flask.url_for(".remittance", remittance_id=remittance_id), "It is changed.")


@act(blueprint, "/remittances/<remittance_id>/charge", door=routes.CHANGES, again=remittance)
def accept_charge(session: Session, remittance_id: str) -> flask.Response:
    """Accept what lacks as the bank's charge."""
    routes.accept_charge(session, remittance_id, forms.loaded(AcceptedSchema))
    return forms.done(flask.url_for(".remittance", remittance_id=remittance_id), "The charge is posted.")
