"""The HTTP door of postback."""

import time
from typing import Any

import flask
from flask.blueprints import BlueprintSetupState
from sqlalchemy.orm import Session
from werkzeug.exceptions import MethodNotAllowed

from access.roles import EVERYONE, Role
from core.http.doors import SIGNED, actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from partners.models import Source
from postback import events, example, intake, queries
from postback.events import Decision
from postback.example import Example
from postback.intake import Memory
from postback.models import Conversion, Receipt
from postback.queries import ConversionQuery, ReceiptQuery
from postback.receipts import Attempt
from postback.schemas import (
    ConversionDecisionSchema,
    ConversionQuerySchema,
    ConversionSchema,
    PostbackAnswerSchema,
    PostbackExampleSchema,
    ReceiptQuerySchema,
    ReceiptSchema,
    RevealedReceiptSchema,
)

blueprint = Blueprint(
    "postback", __name__, description="Believe or refuse a postback, and record its conversion exactly once."
)

MAY_SEE_RAW = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR})
_MEMORY = "clickledger_postback_memory"
_METHODS = ["GET", "OPTIONS", "POST"]


def _remember(state: BlueprintSetupState) -> None:
    # One memory an application, and so one a process: buckets are not shared, a source's rate is that of one process.
    state.app.extensions[_MEMORY] = Memory()


blueprint.record(_remember)


@endpoint(blueprint, "GET", "/postback/<source_id>", door=SIGNED, answers=PostbackAnswerSchema, transaction=False)
def get_postback(source_id: str) -> flask.Response:
    """Take a postback signed under pb1: every parameter in the query, `sig` last."""
    if flask.request.method == "HEAD":
        # A link checker's probe. An empty 200 would look like a recorded postback in the sender's log.
        raise MethodNotAllowed(_METHODS)
    return _received(source_id)


@endpoint(blueprint, "POST", "/postback/<source_id>", door=SIGNED, answers=PostbackAnswerSchema, transaction=False)
def post_postback(source_id: str) -> flask.Response:
    """Take a postback signed under sw1 (Standard Webhooks): a JSON object, signed in three headers."""
    return _received(source_id)


def _received(source_id: str) -> flask.Response:
    request, runtime = flask.request, installed()
    started, now = time.perf_counter(), runtime.clock()
    # The bytes as they came: request.args would hide repeated names and turn bytes that are no text into some.
    query = request.environ.get("QUERY_STRING", "").encode("latin-1")
    answer = intake.out_of_bounds(
        request.method,
        query_bytes=len(query),
        content_length=request.environ.get("CONTENT_LENGTH"),
        transfer_encoding=request.environ.get("HTTP_TRANSFER_ENCODING"),
    )
    if answer is None:
        attempt = Attempt(
            source_id=source_id,
            method=request.method,
            peer=request.remote_addr or "",
            query=query,
            received_at=now,
            started=started,
            body=request.get_data(cache=False) if request.method == "POST" else b"",
            signature_headers={
                name: request.headers[name] for name in intake.SIGNATURE_HEADERS if name in request.headers
            },
        )
        answer = intake.receive(runtime, flask.current_app.extensions[_MEMORY], attempt)
    return flask.Response(answer.body, answer.code, answer.headers)


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
    """Approve a held conversion, or reject one that is not accrued yet; people only, with a reason."""
    return events.decide(installed(), session, conversion_id, body, actor=current_actor())


@endpoint(
    blueprint, "GET", "/api/v1/sources/<source_id>/example",
    door=actors(Role.ADMIN, scope="sources:write"), answers=PostbackExampleSchema,
)  # fmt: skip
def get_example(session: Session, source_id: str) -> Example:
    """Answer a signed, ready curl command, and the URL to paste into the network's dashboard."""
    return example.build(installed(), existing(session, Source, source_id))
