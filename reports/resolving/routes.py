"""The HTTP door of discrepancies across months: owners, notes, resolutions, claims."""

from dataclasses import replace
from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.runtime import installed
from reports.models import Discrepancy
from reports.resolving import acts, claiming, notes, queries
from reports.resolving.acts import Said, SaidOfMany
from reports.resolving.claiming import Answered
from reports.resolving.models import DiscrepancyNote
from reports.resolving.queries import EveryQuery
from reports.resolving.schemas import (
    AnsweredSchema,
    Assigned,
    AssignedSchema,
    DiscrepancyInFullSchema,
    EveryQuerySchema,
    NewNote,
    NewNoteSchema,
    NoteSchema,
    ResolvedSchema,
    SaidOfManySchema,
    SaidSchema,
)
from reports.schemas import DiscrepancyListSchema, DiscrepancySchema

blueprint = Blueprint(
    "discrepancies",
    __name__,
    url_prefix="/api/v1",
    description="Discrepancies: who looks after them, what is said about them, adjustments under approval, claims.",
)

_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")
# People only: each of these says something in somebody's name.
_RESOLVES = actors(Role.FINANCE, Role.MANAGER)
_NOTES = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN)
# As with a receipt's raw request, which is in it.
_SEES_PACKS = actors(Role.FINANCE, Role.AUDITOR, Role.ADMIN)


@endpoint(
    blueprint, "GET", "/discrepancies", door=_READS, query=EveryQuerySchema, answers=DiscrepancyListSchema
)  # fmt: skip
def list_discrepancies(session: Session, query: EveryQuery) -> Page[dict[str, Any]]:
    """List the discrepancies of all months as they stand now, newest first."""
    now = installed().clock()
    if query.owner == "me":
        query = replace(query, owner=current_actor().id)
    found = page(session, queries.every(query, now=now), Discrepancy.id, limit=query.limit, after=query.after)
    return Page(queries.shown(session, found.items, now=now), found.next)


@endpoint(blueprint, "GET", "/discrepancies/<discrepancy_id>", door=_READS, answers=DiscrepancyInFullSchema)
def show_discrepancy(session: Session, discrepancy_id: str) -> dict[str, Any]:
    """Show one discrepancy with its notes, adjustments and claims, and the resolutions it takes now."""
    return queries.one(session, discrepancy_id, now=installed().clock())


@endpoint(
    blueprint, "PATCH", "/discrepancies/<discrepancy_id>", door=_RESOLVES, body=AssignedSchema,
    answers=DiscrepancySchema,
)  # fmt: skip
def assign_discrepancy(session: Session, discrepancy_id: str, body: Assigned) -> dict[str, Any]:
    """Say who looks after a discrepancy, null for nobody."""
    found = notes.assign(
        installed(), session, discrepancy_id, owner=body.owner, version=body.version, actor=current_actor()
    )
    return _shown(session, found)


@endpoint(
    blueprint, "POST", "/discrepancies/<discrepancy_id>/notes", door=_NOTES, body=NewNoteSchema, answers=NoteSchema,
    status=201, creates=True,
)  # fmt: skip
def note_discrepancy(session: Session, discrepancy_id: str, body: NewNote) -> DiscrepancyNote:
    """Note something about a discrepancy, without resolving it; notes are kept as they are."""
    return notes.add(installed(), session, discrepancy_id, body.text, actor=current_actor())


@endpoint(
    blueprint, "POST", "/discrepancies/<discrepancy_id>/resolutions", door=_RESOLVES, body=SaidSchema,
    answers=DiscrepancySchema, status=201, creates=True,
)  # fmt: skip
def resolve_discrepancy(session: Session, discrepancy_id: str, body: Said) -> dict[str, Any]:
    """Explain, carry forward, accept or write off (posted once approved), claim, or create the missing conversion."""
    return _shown(session, acts.resolve(installed(), session, discrepancy_id, body, actor=current_actor()))


@endpoint(
    blueprint, "POST", "/discrepancies/resolutions/bulk", door=_RESOLVES, body=SaidOfManySchema,
    answers=ResolvedSchema, status=201, creates=True,
)  # fmt: skip
def resolve_discrepancies(session: Session, body: SaidOfMany) -> dict[str, Any]:
    """Resolve many alike, or none: 409 when one may not be, or their count and sums are not those that were seen."""
    found = acts.resolve_many(installed(), session, body, actor=current_actor())
    return {"items": queries.shown(session, found, now=installed().clock())}


@endpoint(
    blueprint, "POST", "/discrepancies/<discrepancy_id>/claim-answers", door=_RESOLVES, body=AnsweredSchema,
    answers=DiscrepancySchema, status=201, creates=True,
)  # fmt: skip
def answer_claim(session: Session, discrepancy_id: str, body: Answered) -> dict[str, Any]:
    """Record what the network answers to a claim: won, lost, or a part of it."""
    return _shown(session, claiming.answer(installed(), session, discrepancy_id, body, actor=current_actor()))


@endpoint(
    blueprint, "GET", "/discrepancies/<discrepancy_id>/dispute-pack", door=_SEES_PACKS,
    content_type="application/zip",
)  # fmt: skip
def download_dispute_pack(session: Session, discrepancy_id: str) -> flask.Response:
    """Download the newest claim's dispute pack: a ZIP with a signed manifest, the same bytes every time."""
    claim = claiming.newest_pack(session, discrepancy_id)
    response = flask.Response(claim.pack, mimetype="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="dispute-{claim.id}.zip"'
    return response


def _shown(session: Session, found: Discrepancy) -> dict[str, Any]:
    return queries.shown(session, [found], now=installed().clock())[0]
