"""How approvals travel."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from approvals.acts import Reassignment
from approvals.bulk_decisions import IDS_MAX, BulkDecision
from approvals.deciding import RequestState, Verdict
from approvals.decisions import Decision, ForcedDecision
from core.http.wire import Amount, Moment, PageQuery, PageQuerySchema, Text, Wire

COMMENT_LENGTH_MAX = 2000
REASON = ma.validate.Length(1, 300)


class Comment(ma.fields.String):
    """Text of several lines; no other control character, and line ends as one kind, whatever a form sends."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs).replace("\r\n", "\n")
        if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\t" for letter in text):
            message = "takes text without control characters"
            raise ma.ValidationError(message)
        return text


@dataclass(frozen=True)
class ApprovalQuery(PageQuery):
    """Which requests."""

    state: str | None = None
    waiting_for: str | None = None
    subject_id: str | None = None


class ApprovalQuerySchema(PageQuerySchema):
    """Query of the list of requests."""

    shape = ApprovalQuery

    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf([each.value for each in RequestState]))
    waiting_for = ma.fields.String(
        load_default=None,
        validate=ma.validate.Equal("me", error="takes me"),
        metadata={"description": "`me`: those the person who asks may decide now"},
    )
    subject_id = Text(load_default=None, validate=ma.validate.Length(max=40))


class ApprovalVerdictSchema(Wire):
    """Body of a decision: `version` as it was shown, and the content hash too where it was kept."""

    shape = Decision

    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    comment = Comment(load_default=None, allow_none=True, validate=ma.validate.Length(max=COMMENT_LENGTH_MAX))
    version = ma.fields.Integer(required=True, strict=True)
    content_hash = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=80))
    on_behalf_of = Text(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Length(max=40),
        metadata={"description": "whom a delegate decides for; without it for himself where he can, else the first"},
    )
    step = Text(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Length(max=40),
        metadata={"description": "which of several open steps; without it the one with the fewest people to spare"},
    )


class ForcedDecisionSchema(Wire):
    """Body of an admin's word at a step that does not name him."""

    shape = ForcedDecision

    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    version = ma.fields.Integer(required=True, strict=True)
    reason = Text(required=True, validate=REASON)
    step = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=40))


class BulkDecisionSchema(Wire):
    """Body of many decisions: `count` and `sums` are what was seen of those still open among `ids`."""

    shape = BulkDecision

    ids = ma.fields.List(
        Text(validate=ma.validate.Length(max=40)), required=True, validate=ma.validate.Length(1, IDS_MAX)
    )
    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    count = ma.fields.Integer(required=True, strict=True)
    sums = ma.fields.List(Amount(), required=True, metadata={"description": "one amount a currency"})
    comment = Comment(load_default=None, allow_none=True, validate=ma.validate.Length(max=COMMENT_LENGTH_MAX))


class BulkResultSchema(ma.Schema):
    """What came of one request."""

    id = ma.fields.String()
    state = ma.fields.String(metadata={"description": "of the request now"})
    refused = ma.fields.String(allow_none=True, metadata={"description": "why the word was not taken; null: it was"})
    detail = ma.fields.String(allow_none=True)


class BulkResultsSchema(ma.Schema):
    """Each request's own result, in the order of the list."""

    results = ma.fields.List(ma.fields.Nested(BulkResultSchema))


class ReassignmentSchema(Wire):
    """Body of a reassignment."""

    shape = Reassignment

    step = Text(required=True, validate=ma.validate.Length(max=40))
    from_id = Text(required=True, validate=ma.validate.Length(max=40))
    to_id = Text(required=True, validate=ma.validate.Length(max=40))
    reason = Text(required=True, validate=REASON)
    version = ma.fields.Integer(required=True, strict=True)


@dataclass(frozen=True)
class NewComment:
    """What somebody says about a request."""

    text: str


class NewCommentSchema(Wire):
    """Body of a comment."""

    shape = NewComment

    text = Comment(required=True, validate=ma.validate.Length(1, COMMENT_LENGTH_MAX))


class CommentSchema(ma.Schema):
    """One comment."""

    id = ma.fields.String()
    author_id = ma.fields.String()
    text = ma.fields.String()
    created_at = Moment()


class CommentsSchema(ma.Schema):
    """Everything said about a request, in order."""

    items = ma.fields.List(ma.fields.Nested(CommentSchema))


class ApprovalDecisionSchema(ma.Schema):
    """One decision."""

    id = ma.fields.String()
    actor_id = ma.fields.String()
    on_behalf_of = ma.fields.String(allow_none=True)
    is_forced = ma.fields.Boolean()
    verdict = ma.fields.String()
    comment = ma.fields.String(allow_none=True)
    content_hash = ma.fields.String()
    decided_at = Moment()


class ApprovalStepSchema(ma.Schema):
    """One step of a request."""

    id = ma.fields.String()
    stage = ma.fields.Integer(metadata={"description": "steps of one stage stand open together"})
    state = ma.fields.String()
    need = ma.fields.Integer()
    approvers = ma.fields.Dict(keys=ma.fields.String())
    approver_ids = ma.fields.List(ma.fields.String())
    added = ma.fields.Raw(metadata={"description": "those of approver_ids who came later, and why"})
    due_at = Moment(allow_none=True, metadata={"description": "when others are asked too"})
    decisions = ma.fields.List(ma.fields.Nested(ApprovalDecisionSchema))
    note = ma.fields.String(
        allow_none=True, metadata={"description": "why it was skipped, or that too few people may decide it"}
    )


class ApprovalSubjectSchema(ma.Schema):
    """What a request is about."""

    kind = ma.fields.String()
    id = ma.fields.String()


class ApprovalRequestSchema(ma.Schema):
    """One request."""

    id = ma.fields.String()
    subject = ma.fields.Nested(ApprovalSubjectSchema)
    title = ma.fields.String()
    money = Amount()
    state = ma.fields.String()
    steps = ma.fields.List(ma.fields.Nested(ApprovalStepSchema))
    chain = ma.fields.String()
    policy_version = ma.fields.Integer()
    facts = ma.fields.Raw()
    content = ma.fields.Raw(
        metadata={"description": "what the content hash is over; account numbers are masked here, not under the hash"}
    )
    content_hash = ma.fields.String()
    created_at = Moment()
    finished_at = Moment(allow_none=True)
    previous_id = ma.fields.String(allow_none=True, metadata={"description": "the request this one follows"})
    version = ma.fields.Integer()
