"""The wire of rulesets, trials, recategorisations and bonuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from core.http.wire import Amount, Moment, Text, Wire
from payouts.bonuses import NewBonus
from payouts.categories import Category
from payouts.recategorising import NewCategory
from payouts.schemas import CategorySchema
from payouts.trials import CONVERSIONS_MAX, TrialQuery

REASON_LENGTH_MAX = 500


class TrialQuerySchema(Wire):
    """Body of a dry run; `limit` and `after` page through what would change."""

    shape = TrialQuery

    conversions = ma.fields.Integer(load_default=1000, validate=ma.validate.Range(1, CONVERSIONS_MAX))
    limit = ma.fields.Integer(load_default=100, validate=ma.validate.Range(1, 500))
    after = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=90))


class CategorySumSchema(ma.Schema):
    """How many accruals, and their sum in each currency."""

    count = ma.fields.Integer()
    sums = ma.fields.List(Amount())


class CategoryTallySchema(ma.Schema):
    """What a category has of the conversions looked at, and what it would have."""

    category = ma.fields.Nested(CategorySchema)
    before = ma.fields.Nested(CategorySumSchema)
    after = ma.fields.Nested(CategorySumSchema)
    difference = ma.fields.List(Amount())


class ChosenSchema(ma.Schema):
    """A category and the rule that chose it."""

    category = ma.fields.Nested(CategorySchema)
    rule_id = ma.fields.String(allow_none=True)


class CategoryChangeSchema(ma.Schema):
    """One accrual that would go to another category."""

    accrual_id = ma.fields.String()
    conversion_id = ma.fields.String()
    affiliate_id = ma.fields.String()
    money = Amount()
    before = ma.fields.Nested(ChosenSchema)
    after = ma.fields.Nested(ChosenSchema)


class TrialSchema(ma.Schema):
    """What a ruleset would make of the newest accrued conversions."""

    version = ma.fields.Integer(required=True)
    state = ma.fields.String()
    conversions = ma.fields.Integer()
    changed = ma.fields.Nested(CategorySumSchema)
    categories = ma.fields.List(ma.fields.Nested(CategoryTallySchema))
    items = ma.fields.List(ma.fields.Nested(CategoryChangeSchema), required=True)
    next = ma.fields.String(allow_none=True)


class TakenCategorySchema(Wire):
    """The category to move to; payouts/categories.py says what fits."""

    shape = Category

    code = Text(required=True)
    name = Text(required=True)
    account = Text(required=True)
    department = Text(load_default=None, allow_none=True)
    cost_centre = Text(load_default=None, allow_none=True)


class NewBonusSchema(Wire):
    """Body of a bonus; its money is in the currency that the affiliate is paid in."""

    shape = NewBonus

    money = Amount(required=True)
    category = ma.fields.Nested(TakenCategorySchema, required=True)
    reason = Text(required=True, validate=[ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S")])


class NewCategorySchema(Wire):
    """Body of a recategorisation."""

    shape = NewCategory

    category = ma.fields.Nested(TakenCategorySchema, required=True)
    reason = Text(required=True, validate=[ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S")])
    version = ma.fields.Integer(required=True)


@dataclass(frozen=True)
class NewRuleset:
    """The rules of a draft, in their order."""

    rules: Sequence[Mapping[str, Any]]


class NewRulesetSchema(Wire):
    """Body of a new ruleset; its rules are checked by payouts/categories.py, every fault at once."""

    shape = NewRuleset

    rules = ma.fields.List(ma.fields.Raw(), required=True)


class RulesetSchema(ma.Schema):
    """A version of the category rules."""

    version = ma.fields.Integer(required=True)
    state = ma.fields.String(required=True, metadata={"enum": ["draft", "active", "retired"]})
    rules = ma.fields.List(ma.fields.Raw())
    created_at = Moment()
    created_by = ma.fields.String()
    activated_at = Moment(allow_none=True)
    activated_by = ma.fields.String(allow_none=True)
