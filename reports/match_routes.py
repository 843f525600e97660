"""The HTTP door of matching: its rules in versions, the matches, and why an item has one or none."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import versions
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import NumberedPageQuery, NumberedPageQuerySchema, listing
from core.runtime import installed
from reports import explain, match_queries, match_rulesets
from reports.explain import Explanation
from reports.match_models import Match, MatchRuleset
from reports.match_queries import MatchQuery
from reports.match_rulesets import DryRun, Question
from reports.match_schemas import (
    Explained,
    ExplainedSchema,
    ExplanationSchema,
    MatchDryRunSchema,
    MatchQuerySchema,
    MatchRulesetSchema,
    MatchSchema,
    NewMatchRuleset,
    NewMatchRulesetSchema,
    QuestionSchema,
)

blueprint = Blueprint(
    "matching", __name__, url_prefix="/api/v1", description="Matching: rules in versions, matches, explanations."
)

_READS_RULES = actors(Role.ADMIN, Role.FINANCE, Role.MANAGER, Role.AUDITOR, scope="rules:read")
_WRITES_RULES = actors(Role.ADMIN, Role.FINANCE, scope="rules:write")
# People only: no token puts rules in force.
_ACTIVATES = actors(Role.ADMIN, Role.FINANCE)
_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@endpoint(
    blueprint, "POST", "/match-rulesets", door=_WRITES_RULES, body=NewMatchRulesetSchema, answers=MatchRulesetSchema,
    status=201, creates=True,
)  # fmt: skip
def create_match_ruleset(session: Session, body: NewMatchRuleset) -> MatchRuleset:
    """Draft the next version of the match rules; it is in force once another person has activated it."""
    return match_rulesets.draft(installed(), session, body.passes, actor=current_actor())


@endpoint(
    blueprint, "GET", "/match-rulesets", door=_READS_RULES, query=NumberedPageQuerySchema,
    answers=listing(MatchRulesetSchema),
)  # fmt: skip
def list_match_rulesets(session: Session, query: NumberedPageQuery) -> Page[MatchRuleset]:
    """List the versions of the match rules, newest first."""
    return page(session, sa.select(MatchRuleset), MatchRuleset.version, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/match-rulesets/<int:version>", door=_READS_RULES, answers=MatchRulesetSchema)
def show_match_ruleset(session: Session, version: int) -> MatchRuleset:
    """Show one version of the match rules."""
    return versions.get(session, MatchRuleset, version)


@endpoint(blueprint, "POST", "/match-rulesets/<int:version>/activate", door=_ACTIVATES, answers=MatchRulesetSchema)
def activate_match_ruleset(session: Session, version: int) -> MatchRuleset:
    """Put a draft in force: another person than its author does. Runs from now on follow it."""
    return versions.activate(installed(), session, MatchRuleset, version, actor=current_actor())


@endpoint(
    blueprint, "POST", "/match-rulesets/<int:version>/dry-run", door=_READS_RULES, body=QuestionSchema,
    answers=MatchDryRunSchema,
)  # fmt: skip
def dry_run_match_ruleset(session: Session, version: int, body: Question) -> DryRun:
    """Answer how a month would be matched by this version, pass by pass, beside the one in force; nothing is stored."""
    return match_rulesets.dry_run(session, version, body)


@endpoint(blueprint, "GET", "/matches", door=_READS, query=MatchQuerySchema, answers=listing(MatchSchema))
def list_matches(session: Session, query: MatchQuery) -> Page[dict[str, Any]]:
    """List matches and suggestions, those of the newest lines first."""
    found = page(session, match_queries.matches(query), Match.id, limit=query.limit, after=query.after)
    return Page([match_queries.shown(match) for match in found.items], found.next)


@endpoint(blueprint, "GET", "/matches/explain", door=_READS, query=ExplainedSchema, answers=ExplanationSchema)
def explain_item(session: Session, query: Explained) -> Explanation:
    """Explain an item: which passes were tried, and the first condition that failed in each."""
    return explain.of_item(session, query.item)
