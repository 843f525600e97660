"""How approvals travel."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from approvals.deciding import RequestState, Verdict
from approvals.decisions import Decision
from core.http.wire import Amount, Moment, PageQuery, PageQuerySchema, Text, Wire

COMMENT_LENGTH_MAX = 2000


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


class ApprovalDecisionSchema(ma.Schema):
    """One decision."""

    id = ma.fields.String()
    actor_id = ma.fields.String()
    verdict = ma.fields.String()
    comment = ma.fields.String(allow_none=True)
    content_hash = ma.fields.String()
    decided_at = Moment()


class ApprovalStepSchema(ma.Schema):
    """One step of a request."""

    id = ma.fields.String()
    state = ma.fields.String()
    need = ma.fields.Integer()
    approvers = ma.fields.Dict(keys=ma.fields.String())
    approver_ids = ma.fields.List(ma.fields.String())
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
    version = ma.fields.Integer()


@dataclass(frozen=True)
class PolicyContent:
    """A policy as it was sent; approvals.routing checks it."""

    chains: Any


class ApprovalPolicyContentSchema(Wire):
    """Body of a new policy."""

    shape = PolicyContent

    chains = ma.fields.Raw(
        required=True, metadata={"description": "ordered; the first that fits wins, the last has `when: {}`"}
    )


class ApprovalPolicySchema(ma.Schema):
    """One version of the policy."""

    version = ma.fields.Integer()
    state = ma.fields.String()
    chains = ma.fields.Function(lambda policy: policy.content["chains"])
    created_at = Moment()
    created_by = ma.fields.String()
    activated_at = Moment(allow_none=True)
    activated_by = ma.fields.String(allow_none=True)
