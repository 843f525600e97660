"""The HTTP door of postback."""

from typing import Any

from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.errors import NotFound
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from partners import sources
from partners.models import Source
from postback import checking, events, example, queries, reprocessing
from postback.checking import Pasted
from postback.events import Decision
from postback.example import Example
from postback.models import Conversion, Receipt, Reprocessing
from postback.presets.catalogue import CATALOGUE
from postback.presets.shown import shown
from postback.queries import ConversionQuery, ReceiptQuery, ReprocessingQuery
from postback.replays import Window
from postback.schemas import (
    ConversionDecisionSchema,
    ConversionQuerySchema,
    ConversionSchema,
    NewReprocessingSchema,
    PastedSchema,
    PostbackExampleSchema,
    PresetListSchema,
    PresetSchema,
    ReceiptQuerySchema,
    ReceiptSchema,
    ReprocessingQuerySchema,
    ReprocessingSchema,
    RevealedReceiptSchema,
    ValidationSchema,
)

blueprint = Blueprint(
    "postback", __name__, description="Believe or refuse a postback, and record its conversion exactly once."
)

MAY_SEE_RAW = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR})
_SEES_REPROCESSINGS = actors(Role.ADMIN, Role.FINANCE, Role.MANAGER, Role.AUDITOR)


@endpoint(
    blueprint, "GET", "/api/v1/receipts",
    door=actors(*EVERYONE, scope="receipts:read"), query=ReceiptQuerySchema, answers=listing(ReceiptSchema),
)  # fmt: skip
def list_receipts(session: Session, query: ReceiptQuery) -> Page[Receipt]:
    """List the postbacks that came in, newest first; of refused ones a bounded sample is there."""
    return page(session, queries.receipts(query), Receipt.id, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "GET", "/api/v1/receipts/<receipt_id>",
    door=actors(*EVERYONE, scope="receipts:read"), answers=RevealedReceiptSchema,
)  # fmt: skip
def get_receipt(session: Session, receipt_id: str) -> dict[str, Any]:
    """Answer one receipt; the raw request in it is for people with the role admin, finance or auditor."""
    receipt = existing(session, Receipt, receipt_id)
    actor = current_actor()
    raw = None
    if actor.is_person and actor.roles & MAY_SEE_RAW:
        raw = {
            "query": receipt.raw_query.decode("utf-8", "backslashreplace"),
            "body": receipt.raw_body.decode("utf-8", "backslashreplace"),
            "signature_headers": receipt.signature_headers,
        }
    return {**ReceiptSchema().dump(receipt), "received_at": receipt.received_at, "raw": raw}


@endpoint(
    blueprint, "GET", "/api/v1/conversions",
    door=actors(*EVERYONE, scope="conversions:read"), query=ConversionQuerySchema, answers=listing(ConversionSchema),
)  # fmt: skip
def list_conversions(session: Session, query: ConversionQuery) -> Page[Conversion]:
    """List conversions, newest first."""
    return page(session, queries.conversions(query), Conversion.id, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "POST", "/api/v1/conversions/<conversion_id>/events",
    door=actors(Role.FINANCE, Role.ADMIN), body=ConversionDecisionSchema, answers=ConversionSchema, status=201,
    creates=True,
)  # fmt: skip
def decide(session: Session, conversion_id: str, body: Decision) -> Conversion:
    """Approve a held conversion, reject, adjust, refund or charge back one: people only, with a reason."""
    return events.decide(installed(), session, conversion_id, body, actor=current_actor())


@endpoint(
    blueprint, "POST", "/api/v1/sources/<source_id>/validate",
    door=actors(Role.ADMIN), body=PastedSchema, answers=ValidationSchema,
)  # fmt: skip
def validate(session: Session, source_id: str, body: Pasted) -> dict[str, Any]:
    """Say what would become of a pasted request, check by check, and why; nothing is recorded. People only."""
    return checking.check(installed(), session, source_id, body)


@endpoint(
    blueprint, "GET", "/api/v1/presets",
    door=actors(Role.ADMIN, Role.AUDITOR, scope="sources:read"), answers=PresetListSchema, transaction=False,
)  # fmt: skip
def list_presets() -> dict[str, Any]:
    """List the networks that are known here, with what to enter at each; docs/networks.md says where it was read."""
    return {"items": [shown(preset, _a_postback_url()) for _, preset in sorted(CATALOGUE.items())]}


@endpoint(
    blueprint, "GET", "/api/v1/presets/<name>",
    door=actors(Role.ADMIN, Role.AUDITOR, scope="sources:read"), answers=PresetSchema, transaction=False,
)  # fmt: skip
def get_preset(name: str) -> dict[str, Any]:
    """Answer one network: what it sends, how it proves it, and what a source of it needs from you."""
    preset = CATALOGUE.get(name)
    if preset is None:
        message = f"there is no preset {name}"
        raise NotFound(message)
    return shown(preset, _a_postback_url())


@endpoint(
    blueprint, "POST", "/api/v1/reprocessings",
    door=actors(Role.ADMIN), body=NewReprocessingSchema, answers=ReprocessingSchema, status=201, creates=True,
)  # fmt: skip
def propose_reprocessing(session: Session, body: Window) -> dict[str, Any]:
    """Read a source's receipts again under its mapping of today, and keep what that would change."""
    row = reprocessing.propose(installed(), session, body, actor=current_actor())
    return queries.shown_reprocessing(row)


@endpoint(
    blueprint, "GET", "/api/v1/reprocessings",
    door=_SEES_REPROCESSINGS, query=ReprocessingQuerySchema, answers=listing(ReprocessingSchema),
)  # fmt: skip
def list_reprocessings(session: Session, query: ReprocessingQuery) -> Page[dict[str, Any]]:
    """List reprocessings, newest first."""
    found = page(session, queries.reprocessings(query), Reprocessing.id, limit=query.limit, after=query.after)
    return Page([queries.shown_reprocessing(row) for row in found.items], found.next)


@endpoint(
    blueprint, "GET", "/api/v1/reprocessings/<reprocessing_id>", door=_SEES_REPROCESSINGS, answers=ReprocessingSchema
)  # fmt: skip
def show_reprocessing(session: Session, reprocessing_id: str) -> dict[str, Any]:
    """Show what one dry run found, and what applying it did."""
    return queries.shown_reprocessing(existing(session, Reprocessing, reprocessing_id))


@endpoint(
    blueprint, "POST", "/api/v1/reprocessings/<reprocessing_id>/apply",
    door=actors(Role.ADMIN), answers=ReprocessingSchema, creates=True,
)  # fmt: skip
def apply_reprocessing(session: Session, reprocessing_id: str) -> dict[str, Any]:
    """Do what a dry run said; takes another person than made it, and a window that has not moved on since."""
    row = reprocessing.apply(installed(), session, reprocessing_id, actor=current_actor())
    return queries.shown_reprocessing(row)


@endpoint(
    blueprint, "GET", "/api/v1/sources/<source_id>/example",
    door=actors(Role.ADMIN, scope="sources:write"), answers=PostbackExampleSchema,
)  # fmt: skip
def get_example(session: Session, source_id: str) -> Example:
    """Answer a signed, ready curl command, and the URL to paste into the network's dashboard."""
    return example.build(installed(), existing(session, Source, source_id))


def _a_postback_url() -> str:
    return sources.postback_url(installed(), "{source_id}")
