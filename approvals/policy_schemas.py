"""How policies, groups, limits and delegations travel."""

from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from approvals.delegations import Kind, NewDelegation
from core.http.wire import Amount, Moment, PageQuery, PageQuerySchema, Text, Wire, money_dict
from core.money import Money


@dataclass(frozen=True)
class PolicyContent:
    """A policy as it was sent; approvals.policy_checks looks at it."""

    chains: Any
    defaults: Any = None

    @property
    def content(self) -> dict[str, Any]:
        """The policy as it is kept."""
        return {"chains": self.chains} | ({} if self.defaults is None else {"defaults": self.defaults})


class ApprovalPolicyContentSchema(Wire):
    """Body of a new policy."""

    shape = PolicyContent

    chains = ma.fields.Raw(
        required=True, metadata={"description": "ordered; the first that fits wins, the last has `when: {}`"}
    )
    defaults = ma.fields.Raw(
        load_default=None, metadata={"description": "timeout and escalate for steps that do not say their own"}
    )


class ApprovalPolicySchema(ma.Schema):
    """One version of the policy."""

    version = ma.fields.Integer()
    state = ma.fields.String()
    defaults = ma.fields.Function(lambda policy: policy.content.get("defaults", {}))
    chains = ma.fields.Function(lambda policy: policy.content["chains"])
    created_at = Moment()
    created_by = ma.fields.String()
    activated_at = Moment(allow_none=True)
    activated_by = ma.fields.String(allow_none=True)


@dataclass(frozen=True)
class DryRunQuestion:
    """Which month is to be routed again."""

    period: str


class DryRunQuestionSchema(Wire):
    """Body of a dry run."""

    shape = DryRunQuestion

    period = ma.fields.String(
        required=True, validate=ma.validate.Regexp(r"^\d{4}-(0[1-9]|1[0-2])$", error="takes a month, such as 2026-10")
    )


class ChainTallySchema(ma.Schema):
    """One chain: what it would have taken, and what took it."""

    chain = ma.fields.String()
    would = ma.fields.Integer()
    would_sums = ma.fields.List(Amount())
    was = ma.fields.Integer()
    was_sums = ma.fields.List(Amount())


class DifferenceSchema(ma.Schema):
    """One request that would have gone another way."""

    id = ma.fields.String()
    subject_id = ma.fields.String()
    title = ma.fields.String()
    money = Amount()
    was_chain = ma.fields.String()
    would_chain = ma.fields.String()
    was_asked = ma.fields.String()
    would_ask = ma.fields.String()


class DryRunSchema(ma.Schema):
    """How a month would have been routed; `differences` names the first 500 of `different`."""

    period = ma.fields.String()
    version = ma.fields.Integer()
    requests = ma.fields.Integer()
    different = ma.fields.Integer()
    chains = ma.fields.List(ma.fields.Nested(ChainTallySchema))
    differences = ma.fields.List(ma.fields.Nested(DifferenceSchema))


class GroupSchema(ma.Schema):
    """One group and its people."""

    name = ma.fields.String()
    member_ids = ma.fields.List(ma.fields.String())


class GroupsSchema(ma.Schema):
    """Every group that has a member."""

    items = ma.fields.List(ma.fields.Nested(GroupSchema))


@dataclass(frozen=True)
class Limits:
    """One person's limits, all of them."""

    limits: list[Money]


class LimitsBodySchema(Wire):
    """Body of a person's limits: these, and no others from then on."""

    shape = Limits

    limits = ma.fields.List(Amount(), required=True, validate=ma.validate.Length(max=50))


class LimitsSchema(ma.Schema):
    """Up to how much one person may approve, one amount a currency."""

    staff_id = ma.fields.String()
    limits = ma.fields.List(Amount())


class EveryonesLimitsSchema(ma.Schema):
    """Everybody who has a limit."""

    items = ma.fields.List(ma.fields.Nested(LimitsSchema))


class NewDelegationSchema(Wire):
    """Body of a delegation; `from_id` is for admins, everybody else delegates his own decisions."""

    shape = NewDelegation

    to_id = Text(required=True, validate=ma.validate.Length(max=40))
    from_id = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=40))
    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    reason = Text(required=True, validate=ma.validate.Length(1, 300))
    kind = ma.fields.Enum(Kind, by_value=True, load_default=Kind.DELEGATION)
    scope = ma.fields.Raw(
        load_default=dict, metadata={"description": "a condition on a request's facts; {}: every request"}
    )
    limit = Amount(load_default=None, allow_none=True)


@dataclass(frozen=True)
class DelegationQuery(PageQuery):
    """Which delegations."""

    staff_id: str | None = None


class DelegationQuerySchema(PageQuerySchema):
    """Query of the list of delegations."""

    shape = DelegationQuery

    staff_id = Text(
        load_default=None,
        validate=ma.validate.Length(max=40),
        metadata={"description": "those from or to this person"},
    )


def _limit(row: Any) -> dict[str, str] | None:
    return None if row.limit_minor is None else money_dict(Money(row.limit_minor, row.limit_currency))


class DelegationSchema(ma.Schema):
    """One delegation."""

    id = ma.fields.String()
    from_id = ma.fields.String()
    to_id = ma.fields.String()
    kind = ma.fields.String()
    starts_at = Moment()
    ends_at = Moment()
    scope = ma.fields.Raw()
    limit = ma.fields.Function(_limit)
    reason = ma.fields.String()
    created_at = Moment()
    created_by = ma.fields.String()
    revoked_at = Moment(allow_none=True)
    revoked_by = ma.fields.String(allow_none=True)
