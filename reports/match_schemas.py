"""How matches, their rules and their explanations travel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from core.http.wire import Moment, MoneySchema, PageQuerySchema, Text, Wire
from ledger.schemas import PERIOD
from reports.match_queries import MatchQuery
from reports.match_rules import PASSES
from reports.match_rulesets import Question
from reports.matching import Leg, Pass

_ID = ma.validate.Length(1, 40)
_STATES = ["confirmed", "suggested"]


@dataclass(frozen=True)
class NewMatchRuleset:
    """The passes of a draft, in their order."""

    passes: Sequence[Mapping[str, Any]]


class NewMatchRulesetSchema(Wire):
    """Body of a new match ruleset; its passes are checked by reports/match_rules.py, every fault at once."""

    shape = NewMatchRuleset

    passes = ma.fields.List(
        ma.fields.Raw(),
        required=True,
        metadata={
            "description": f"objects with pass ({', '.join(PASSES)}) and its limits: days_before, days_after of "
            "composite and amount_date; tolerance_minor, tolerance_percent of amount_date; items_max of subset_sum",
            "example": [{"pass": "exact_id"}, {"pass": "subset_sum", "items_max": 12}],
        },
    )


class MatchRulesetSchema(ma.Schema):
    """A version of the match rules."""

    version = ma.fields.Integer(required=True)
    state = ma.fields.String(required=True, metadata={"enum": ["draft", "active", "retired"]})
    passes = ma.fields.List(ma.fields.Raw())
    created_at = Moment()
    created_by = ma.fields.String()
    activated_at = Moment(allow_none=True)
    activated_by = ma.fields.String(allow_none=True)


class QuestionSchema(Wire):
    """Body of a dry run."""

    shape = Question

    period = ma.fields.String(required=True, validate=PERIOD)
    leg = ma.fields.Enum(
        Leg,
        by_value=True,
        required=True,
        validate=ma.validate.OneOf([Leg.NETWORK, Leg.PAYOUT], error="takes network or payout: others have no ruleset"),
    )
    source_id = Text(load_default=None, allow_none=True, validate=_ID)


class EdgesSchema(ma.Schema):
    """How many edges one pass makes under the version in force, and under the one that is tried."""

    kind = ma.fields.String(data_key="pass", metadata={"enum": [kind.value for kind in Pass]})
    state = ma.fields.String(metadata={"enum": _STATES})
    before = ma.fields.Integer()
    after = ma.fields.Integer()
    change = ma.fields.Integer()


class MatchDryRunSchema(ma.Schema):
    """What a version would do to a month; nothing was stored."""

    version = ma.fields.Integer()
    active_version = ma.fields.Integer()
    ours = ma.fields.Integer()
    theirs = ma.fields.Integer()
    matched_before = ma.fields.Integer()
    matched_after = ma.fields.Integer()
    by_pass = ma.fields.List(ma.fields.Nested(EdgesSchema))


class MatchQuerySchema(PageQuerySchema):
    """Query of the matches."""

    shape = MatchQuery

    leg = ma.fields.String(load_default=None, validate=ma.validate.OneOf([leg.value for leg in Leg]))
    state = ma.fields.String(load_default=None, validate=ma.validate.OneOf(_STATES))
    period = ma.fields.String(load_default=None, validate=PERIOD)


class MatchSchema(ma.Schema):
    """An edge between one of our items and one of theirs; edges of one group belong together."""

    id = ma.fields.String()
    group_id = ma.fields.String()
    reconciliation_id = ma.fields.String()
    leg = ma.fields.String()
    matched_by = ma.fields.String(metadata={"enum": [kind.value for kind in Pass]})
    our_id = ma.fields.String()
    their_id = ma.fields.String()
    allocated = ma.fields.Nested(MoneySchema, metadata={"description": "how much of theirs it takes"})
    difference = ma.fields.Nested(MoneySchema, metadata={"description": "theirs minus ours"})
    state = ma.fields.String(metadata={"enum": _STATES})
    is_whole = ma.fields.Boolean(metadata={"description": "it takes both items whole"})
    score = ma.fields.Integer(allow_none=True, metadata={"description": "0 to 100, of a suggestion"})
    made_by = ma.fields.String(allow_none=True, metadata={"description": "a person; null: a pass"})
    created_at = Moment()


@dataclass(frozen=True)
class Explained:
    """Which item is to be explained."""

    item: str


class ExplainedSchema(Wire):
    """Query of an explanation."""

    shape = Explained

    item = Text(required=True, validate=_ID, metadata={"description": "cnv_.., nln_.., pay_.. or bln_.."})


class TriedSchema(ma.Schema):
    """What one pass found about the item."""

    kind = ma.fields.String(data_key="pass")
    outcome = ma.fields.String(metadata={"enum": ["matched", "suggested", "failed", "not_tried"]})
    condition = ma.fields.String(allow_none=True, metadata={"description": "the first one that did not hold"})
    sentence = ma.fields.String()
    candidates = ma.fields.List(ma.fields.String(), metadata={"description": "the nearest on the other side, by id"})


class ExplanationSchema(ma.Schema):
    """Why an item is matched, or is not: every pass of the rules in force, in their order."""

    item = ma.fields.String()
    leg = ma.fields.String()
    period = ma.fields.String(allow_none=True)
    ruleset_version = ma.fields.Integer()
    sentence = ma.fields.String()
    matches = ma.fields.List(ma.fields.Nested(MatchSchema))
    passes = ma.fields.List(ma.fields.Nested(TriedSchema))
