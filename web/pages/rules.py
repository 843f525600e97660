"""Rules in versions: approvals, categories, matching. One person drafts and tries, another puts them in force."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.roles import Role
from approvals import dry_run, rules_routes
from approvals.models import ApprovalPolicy
from approvals.policy_schemas import ApprovalPolicyContentSchema
from core import versions
from core.errors import NotFound
from core.http.doors import actors
from core.ids import first_of_month
from core.runtime import installed
from ledger.periods import period_of
from payouts import routes as payout_routes
from payouts import trials
from payouts.category_schemas import NewRulesetSchema, TrialQuerySchema
from payouts.models import CategoryRuleset
from reports import mapping_text, match_routes
from reports.match_models import MatchRuleset
from reports.match_schemas import NewMatchRulesetSchema, QuestionSchema
from reports.matching import Leg
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.month_end import LEGS

blueprint = flask.Blueprint("rule_pages", __name__)
PLACE = "/rules"
READERS = actors(Role.ADMIN, Role.FINANCE, Role.AUDITOR)
WRITERS = actors(Role.ADMIN)
VERSIONS_MAX = 50


@dataclass(frozen=True)
class Kind:
    """One kind of rules: its table, which column holds them, how a draft is made and put in force."""

    title: str
    about: str
    table: Any
    column: str
    draft: Callable[[Session, Any], Any]
    activate: Callable[[Session, int], Any]


def _policy(session: Session, content: Any) -> Any:
    return rules_routes.draft_policy(session, forms.checked(ApprovalPolicyContentSchema, content))


def _categories(session: Session, content: Any) -> Any:
    return payout_routes.create_ruleset(session, forms.checked(NewRulesetSchema, {"rules": content}))


def _matching(session: Session, content: Any) -> Any:
    return match_routes.create_match_ruleset(session, forms.checked(NewMatchRulesetSchema, {"passes": content}))


KINDS = {
    "approvals": Kind("Approval policy", "Who decides what: chains of steps, by amount and by what a payout is.",
                      ApprovalPolicy, "content", _policy, rules_routes.activate_policy),
    "categories": Kind("Category rules", "Which expense category and account a conversion's payout goes to.",
                       CategoryRuleset, "rules", _categories, payout_routes.activate_ruleset),
    "matching": Kind("Match rules", "In which order month end pairs our items with theirs, and how near is near.",
                     MatchRuleset, "passes", _matching, match_routes.activate_match_ruleset),
}  # fmt: skip


@page(blueprint, "GET", "/rules", door=READERS)
def every(session: Session) -> str:
    """Show each kind with the version in force and the drafts that wait."""
    rows = []
    for name, kind in KINDS.items():
        statement = sa.select(kind.table).order_by(kind.table.version.desc()).limit(VERSIONS_MAX)
        rows.append((name, kind, list(session.scalars(statement))))
    ids = [each.created_by for _, _, found in rows for each in found]
    return frame.rendered(session, "rules.html", place=PLACE, rows=rows, emails=people.emails(session, ids))


@page(blueprint, "GET", "/rules/<kind>/new", door=WRITERS)
def new(session: Session, kind: str, refusal: Refusal | None = None) -> str:
    """Write the next version, from the one in force."""
    chosen = _kind(kind)
    active = versions.active(session, chosen.table)
    return frame.rendered(
        session, "rules_new.html", place=PLACE, name=kind, kind=chosen,
        text=mapping_text.written(getattr(active, chosen.column)), refusal=refusal,
    )  # fmt: skip


@act(blueprint, "/rules/<kind>", door=WRITERS, again=new)
def draft(session: Session, kind: str) -> flask.Response:
    """Keep it as a draft; every fault is told at its place."""
    chosen = _kind(kind)
    made = chosen.draft(session, mapping_text.parsed(flask.request.form.get("text", ""), field="text"))
    session.flush()
    return forms.done(
        flask.url_for(".one", kind=kind, version=made.version), "It is a draft: another person activates it."
    )


@page(blueprint, "GET", "/rules/<kind>/<int:version>", door=READERS)
def one(session: Session, kind: str, version: int, refusal: Refusal | None = None) -> str:
    """Show one version, and what it would change."""
    is_tried = bool(flask.request.args.get("try"))
    return _shown(
        session,
        kind,
        version,
        refusal,
        routed=dry_run.run(session, version, _month_asked_for()) if is_tried and kind == "approvals" else None,
        moved=trials.shown(trials.run(session, version, TrialQuerySchema().load({})))
        if is_tried and kind == "categories"
        else None,
    )


@act(blueprint, "/rules/matching/<int:version>/try", door=READERS,
     again=lambda session, version, refusal: _shown(session, "matching", version, refusal))  # fmt: skip
def try_matching(session: Session, version: int) -> str:
    """Match a month by it and by the version in force, in tables of this moment alone; nothing is stored."""
    question = forms.checked(QuestionSchema, forms.nested(flask.request.form))
    return _shown(
        session, "matching", version, None, matched=match_routes.dry_run_match_ruleset(session, version, question)
    )


def _shown(session: Session, kind: str, version: int, refusal: Refusal | None, **tried: Any) -> str:
    chosen = _kind(kind)
    found = versions.get(session, chosen.table, version)
    return frame.rendered(
        session,
        "rules_one.html",
        place=PLACE,
        name=kind,
        kind=chosen,
        found=found,
        text=mapping_text.written(getattr(found, chosen.column)),
        emails=people.emails(session, [each for each in (found.created_by, found.activated_by) if each]),
        period=_month_asked_for(),
        legs=[(leg.value, LEGS[leg]) for leg in (Leg.NETWORK, Leg.PAYOUT)],
        asked=flask.request.form,
        may_activate=found.state == "draft"
        and Role.ADMIN in flask.g.actor.roles
        and found.created_by != flask.g.actor.id,
        refusal=refusal,
        **tried,
    )


def _month_asked_for() -> str:
    return flask.request.values.get("period") or period_of(first_of_month(installed().clock(), -1).date())


@act(blueprint, "/rules/<kind>/<int:version>/activate", door=WRITERS, again=one)
def activate(session: Session, kind: str, version: int) -> flask.Response:
    """Put it in force."""
    _kind(kind).activate(session, version)
    return forms.done(flask.url_for(".one", kind=kind, version=version), "It is in force from now on.")


def _kind(name: str) -> Kind:
    if name not in KINDS:
        message = f"there are no rules {name}"
        raise NotFound(message)
    return KINDS[name]
