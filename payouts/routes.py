"""The HTTP door of payouts: category rules, accruals, payouts, batches."""

from collections.abc import Mapping
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import versions
from core.errors import NotFound
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import NumberedPageQuery, NumberedPageQuerySchema, PageQuery, PageQuerySchema, listing
from core.runtime import installed
from payouts import acts, batches, queries, releasing, resubmitting, results, rulesets, self_bills
from payouts.batches import NewBatch
from payouts.category_schemas import NewRuleset, NewRulesetSchema, RulesetSchema
from payouts.formats.methods import METHODS
from payouts.models import Accrual, Batch, BatchResult, CategoryRuleset, Payout
from payouts.schemas import (
    AccrualQuery,
    AccrualQuerySchema,
    AccrualSchema,
    BatchDetailSchema,
    BatchQuery,
    BatchQuerySchema,
    BatchResultSchema,
    BatchSchema,
    NewBatchSchema,
    PayoutDetailSchema,
    PayoutQuery,
    PayoutQuerySchema,
    PayoutSchema,
    Resubmission,
    ResubmissionSchema,
    ResultUpload,
    ResultUploadSchema,
    Seen,
    SeenSchema,
    SeenWithReason,
    SeenWithReasonSchema,
)

blueprint = Blueprint(
    "payouts",
    __name__,
    url_prefix="/api/v1",
    description="Accruals, expense categories, payouts, batches and settlement.",
)

RULES_READERS = actors(Role.ADMIN, Role.FINANCE, Role.AUDITOR, scope="rules:read")
READERS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="payouts:read")
# People only: no token gathers, releases or cancels.
FINANCE = actors(Role.FINANCE)
FILE_READERS = actors(Role.FINANCE, Role.AUDITOR)


@endpoint(
    blueprint, "POST", "/category-rulesets",
    door=actors(Role.ADMIN, scope="rules:write"), body=NewRulesetSchema, answers=RulesetSchema,
    status=201, creates=True,
)  # fmt: skip
def create_ruleset(session: Session, body: NewRuleset) -> CategoryRuleset:
    """Draft the next version of the category rules; it is in force once another person has activated it."""
    return rulesets.draft(installed(), session, body.rules, actor=current_actor())


@endpoint(
    blueprint, "GET", "/category-rulesets",
    door=RULES_READERS, query=NumberedPageQuerySchema, answers=listing(RulesetSchema),
)  # fmt: skip
def list_rulesets(session: Session, query: NumberedPageQuery) -> Page[CategoryRuleset]:
    """List the versions of the category rules, newest first."""
    return page(session, sa.select(CategoryRuleset), CategoryRuleset.version, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/category-rulesets/<int:version>", door=RULES_READERS, answers=RulesetSchema)
def show_ruleset(session: Session, version: int) -> CategoryRuleset:
    """Show one version of the category rules."""
    return versions.get(session, CategoryRuleset, version)


@endpoint(
    blueprint, "POST", "/category-rulesets/<int:version>/activate", door=actors(Role.ADMIN), answers=RulesetSchema
)  # fmt: skip
def activate_ruleset(session: Session, version: int) -> CategoryRuleset:
    """Put a draft in force: another admin than its author does."""
    return versions.activate(installed(), session, CategoryRuleset, version, actor=current_actor())


@endpoint(blueprint, "GET", "/accruals", door=READERS, query=AccrualQuerySchema, answers=listing(AccrualSchema))
def list_accruals(session: Session, query: AccrualQuery) -> Page[Mapping[str, Any]]:
    """List what conversions make us owe, newest first."""
    found = page(session, queries.accruals(query), Accrual.id, limit=query.limit, after=query.after)
    return Page([queries.accrual_shown(accrual) for accrual in found.items], found.next)


@endpoint(blueprint, "GET", "/payouts", door=READERS, query=PayoutQuerySchema, answers=listing(PayoutSchema))
def list_payouts(session: Session, query: PayoutQuery) -> Page[Mapping[str, Any]]:
    """List payouts, newest first."""
    found = page(session, queries.payouts(query), Payout.id, limit=query.limit, after=query.after)
    return Page([queries.payout_shown(payout) for payout in found.items], found.next)


@endpoint(blueprint, "GET", "/payouts/<payout_id>", door=READERS, answers=PayoutDetailSchema)
def show_payout(session: Session, payout_id: str) -> Mapping[str, Any]:
    """Show a payout with the accruals it is made of."""
    return queries.payout_detail(session, payout_id)


@endpoint(
    blueprint, "POST", "/payouts/<payout_id>/retry", door=FINANCE, body=SeenWithReasonSchema, answers=PayoutSchema
)  # fmt: skip
def retry_payout(session: Session, payout_id: str, body: SeenWithReason) -> Mapping[str, Any]:
    """Let a payout that failed or came back be paid again; what changed since, or came back, is asked about anew."""
    payout = acts.retry(
        installed(), session, payout_id, version=body.version, reason=body.reason, actor=current_actor()
    )
    session.flush()
    return queries.payout_shown(payout)


@endpoint(
    blueprint, "POST", "/payouts/<payout_id>/cancel", door=FINANCE, body=SeenWithReasonSchema, answers=PayoutSchema
)  # fmt: skip
def cancel_payout(session: Session, payout_id: str, body: SeenWithReason) -> Mapping[str, Any]:
    """Give up a payout that was not sent; its accruals wait for the next bundling."""
    payout = acts.cancel(
        installed(), session, payout_id, version=body.version, reason=body.reason, actor=current_actor()
    )
    session.flush()
    return queries.payout_shown(payout)


@endpoint(
    blueprint, "GET", "/payouts/<payout_id>/self-bill", door=READERS, content_type="application/pdf"
)  # fmt: skip
def payout_self_bill(session: Session, payout_id: str) -> flask.Response:
    """Answer the self-billing document of a settled payout, the same bytes every time."""
    issued = self_bills.of_payout(session, payout_id)
    return attachment(issued.file, "application/pdf", f"{issued.content['number']}.pdf")


@endpoint(
    blueprint, "POST", "/payouts/<payout_id>/resubmit",
    door=FINANCE, body=ResubmissionSchema, answers=PayoutDetailSchema, creates=True,
)  # fmt: skip
def resubmit_payout(session: Session, payout_id: str, body: Resubmission) -> Mapping[str, Any]:
    """Ask anew about a rejected payout: a new request follows the old one, and who resubmits does not decide it."""
    resubmitting.resubmit(
        installed(), session, payout_id, version=body.version, reason=body.reason, actor=current_actor()
    )
    session.flush()
    return queries.payout_detail(session, payout_id)


@endpoint(
    blueprint, "POST", "/batches",
    door=FINANCE, body=NewBatchSchema, answers=BatchDetailSchema, status=201, creates=True,
)  # fmt: skip
def create_batch(session: Session, body: NewBatch) -> Mapping[str, Any]:
    """Gather approved payouts: those named, all or none, or else all that wait."""
    batch = batches.create(installed(), session, body, actor=current_actor())
    return queries.batch_detail(session, batch)


@endpoint(blueprint, "GET", "/batches", door=READERS, query=BatchQuerySchema, answers=listing(BatchSchema))
def list_batches(session: Session, query: BatchQuery) -> Page[Mapping[str, Any]]:
    """List batches, newest first."""
    found = page(session, queries.batches(query), Batch.id, limit=query.limit, after=query.after)
    return Page(queries.batches_shown(session, found.items), found.next)


@endpoint(blueprint, "GET", "/batches/<batch_id>", door=READERS, answers=BatchDetailSchema)
def show_batch(session: Session, batch_id: str) -> Mapping[str, Any]:
    """Show a batch with its payouts."""
    return queries.batch_detail(session, batches.by_id(session, batch_id))


@endpoint(
    blueprint, "POST", "/batches/<batch_id>/release", door=FINANCE, body=SeenSchema, answers=BatchDetailSchema,
    step_up=True,
)  # fmt: skip
def release_batch(session: Session, batch_id: str, body: Seen) -> Mapping[str, Any]:
    """Write the payment file and let the payouts go: another person than who gathered them does."""
    batch = releasing.release(installed(), session, batch_id, version=body.version, actor=current_actor())
    session.flush()
    return queries.batch_detail(session, batch)


@endpoint(
    blueprint, "POST", "/batches/<batch_id>/cancel", door=FINANCE, body=SeenSchema, answers=BatchDetailSchema
)  # fmt: skip
def cancel_batch(session: Session, batch_id: str, body: Seen) -> Mapping[str, Any]:
    """Give up a batch that was not released; its payouts wait for another."""
    batch = batches.cancel(installed(), session, batch_id, version=body.version, actor=current_actor())
    session.flush()
    return queries.batch_detail(session, batch)


@endpoint(
    blueprint, "GET", "/batches/<batch_id>/file", door=FILE_READERS, content_type="application/octet-stream"
)  # fmt: skip
def batch_file(session: Session, batch_id: str) -> flask.Response:
    """Answer the payment file exactly as it was written at the release."""
    batch = batches.by_id(session, batch_id)
    if batch.file_content is None:
        message = f"{batch_id} has no file: it is written when the batch is released"
        raise NotFound(message)
    return attachment(batch.file_content, METHODS[batch.method].media_type, batch.file_name or batch.id)


@endpoint(
    blueprint, "POST", "/batches/<batch_id>/results",
    door=FINANCE, multipart=ResultUploadSchema, answers=BatchResultSchema, status=201, creates=True,
)  # fmt: skip
def receive_results(session: Session, batch_id: str, body: ResultUpload) -> BatchResult:
    """Apply what came back about a batch: all of the file or, with one fault, nothing."""
    upload = results.Upload(body.file.read(results.BYTES_MAX + 1), (body.file.filename or None), body.format)
    return results.receive(installed(), session, batch_id, upload, actor=current_actor())


@endpoint(
    blueprint, "GET", "/batches/<batch_id>/results", door=READERS, query=PageQuerySchema,
    answers=listing(BatchResultSchema),
)  # fmt: skip
def list_results(session: Session, batch_id: str, query: PageQuery) -> Page[BatchResult]:
    """List the files that came back about a batch, newest first."""
    statement = sa.select(BatchResult).where(BatchResult.batch_id == batches.by_id(session, batch_id).id)
    without_content = statement.options(sa.orm.defer(BatchResult.content))
    return page(session, without_content, BatchResult.id, limit=query.limit, after=query.after)


def attachment(content: bytes, media_type: str, name: str) -> flask.Response:
    """Answer a file to be kept under `name`."""
    response = flask.Response(content, mimetype=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
