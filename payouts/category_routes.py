"""The HTTP door of categories: dry runs of rulesets, accruals moved to another category, and bonuses."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.runtime import installed
from payouts import bonuses, queries, recategorising, trials
from payouts.bonuses import NewBonus
from payouts.category_schemas import NewBonusSchema, NewCategorySchema, TrialQuerySchema, TrialSchema
from payouts.recategorising import NewCategory
from payouts.schemas import AccrualSchema
from payouts.trials import TrialQuery

blueprint = Blueprint(
    "categories", __name__, url_prefix="/api/v1", description="Expense categories: dry runs, and corrections by people."
)


@endpoint(
    blueprint, "POST", "/category-rulesets/<int:version>/dry-run",
    # Its answer is about accruals: whoever may read those may ask.
    door=actors(Role.ADMIN, Role.FINANCE, Role.AUDITOR, scope="payouts:read"), body=TrialQuerySchema,
    answers=TrialSchema, transaction=False,
)  # fmt: skip
def dry_run_ruleset(version: int, body: TrialQuery) -> Mapping[str, Any]:
    """Show what a ruleset would make of the newest accrued conversions, in money; nothing is changed."""
    # A transaction of the endpoint would be one that writes, and on SQLite hold up whoever does.
    with installed().reading() as session:
        return trials.shown(trials.run(session, version, body))


@endpoint(
    blueprint, "POST", "/accruals/<accrual_id>/category",
    door=actors(Role.FINANCE), body=NewCategorySchema, answers=AccrualSchema, creates=True,
)  # fmt: skip
def recategorise_accrual(session: Session, accrual_id: str, body: NewCategory) -> Mapping[str, Any]:
    """Move an accrual to another category: a correction is posted, and approvals bound to its payout start again."""
    accrual = recategorising.recategorise(installed(), session, accrual_id, body, actor=current_actor())
    return queries.accrual_shown(accrual)


@endpoint(
    blueprint, "POST", "/conversions/<conversion_id>/bonuses",
    door=actors(Role.FINANCE), body=NewBonusSchema, answers=AccrualSchema, status=201, creates=True,
)  # fmt: skip
def give_bonus(session: Session, conversion_id: str, body: NewBonus) -> Mapping[str, Any]:
    """Add a bonus to an accrued conversion; another person approves what is paid of it."""
    return queries.accrual_shown(bonuses.give(installed(), session, conversion_id, body, actor=current_actor()))
