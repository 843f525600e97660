"""Match review: what a run suggests, side by side, and what people say to it."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core.errors import Fault, Invalid
from core.http.doors import actors
from core.http.paging import page as page_of
from ledger import periods
from reports import explain, match_act_queries, match_act_routes, match_queries
from reports.match_act_schemas import BulkMatchesSchema, MatchWordSchema, NewMatchSchema
from reports.match_models import Match
from reports.match_queries import MatchQuery
from reports.matching import Leg
from web.pages import forms, frame, match_candidates, month_end
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("matching_pages", __name__)
PLACE = month_end.PLACE
GROUPS_MAX = 50
# What the ids of our own items begin with; the others are lines of somebody else's.
_OURS = frozenset({"cnv", "pay"})
ACTS = actors(Role.FINANCE, Role.MANAGER)


@page(blueprint, "GET", "/month-end/<period>/suggestions", door=month_end.READERS)
def suggestions(session: Session, period: str, refusal: Refusal | None = None) -> str:
    """Show what the passes suggest in a month, a group at a time, both sides beside each other."""
    periods.bounds(period)
    leg = flask.request.values.get("leg", "")
    leg = leg if leg in {each.value for each in Leg} else ""
    query = MatchQuery(period=period, state="suggested", leg=leg or None)
    rows = page_of(session, match_queries.matches(query), Match.id, limit=GROUPS_MAX, after=frame.cursor(flask.request))
    ids = list(dict.fromkeys(row.group_id for row in rows.items))
    groups = [match_act_queries.group(session, group_id) for group_id in ids]
    return frame.rendered(
        session,
        "suggestions.html",
        place=PLACE,
        period=period,
        groups=groups,
        reasons={row.group_id: row.matched_by for row in rows.items},
        scores={row.group_id: row.score for row in rows.items},
        legs=[(each.value, month_end.LEGS[each]) for each in Leg],
        wanted={"leg": leg} if leg else {},
        total=session.scalar(sa.select(sa.func.count()).select_from(match_queries.matches(query).subquery())) or 0,
        older=frame.link(".suggestions", {"period": period, "leg": leg, "after": rows.next}) if rows.next else None,
        newest=frame.link(".suggestions", {"period": period, "leg": leg}) if flask.request.args.get("after") else None,
        may_act=bool(flask.g.actor.roles & ACTS.roles),
        refusal=refusal,
    )


@act(blueprint, "/month-end/<period>/suggestions", door=ACTS, again=suggestions)
def judge(session: Session, period: str) -> flask.Response:
    """Confirm or reject what is ticked, all or none."""
    values = forms.nested(flask.request.form)
    values["count"] = len(values.get("group_ids", []))
    done = match_act_routes.judge_many(session, forms.checked(BulkMatchesSchema, values))["done"]
    word = "confirmed" if flask.request.form.get("verdict") == "confirm" else "rejected"
    path = frame.link(".suggestions", {"period": period, "leg": flask.request.form.get("next", "")})
    return forms.done(path, f"{done} {word}. The next run brings the month up to date.")


@page(blueprint, "GET", "/matches/<group_id>", door=month_end.READERS)
def match(session: Session, group_id: str, refusal: Refusal | None = None) -> str:
    """Show one group: its edges, both sides' items, and every word about it."""
    shown = match_act_queries.group(session, group_id)
    return frame.rendered(
        session,
        "match.html",
        place=PLACE,
        shown=shown,
        may_act=bool(flask.g.actor.roles & ACTS.roles),
        refusal=refusal,
    )


@act(blueprint, "/matches/<group_id>/confirm", door=ACTS, again=match)
def confirm(session: Session, group_id: str) -> flask.Response:
    """Say that it is the same."""
    match_act_routes.confirm(session, group_id, forms.loaded(MatchWordSchema))
    return forms.done(flask.url_for(".match", group_id=group_id), "Confirmed.")


@act(blueprint, "/matches/<group_id>/reject", door=ACTS, again=match)
def reject(session: Session, group_id: str) -> flask.Response:
    """Say that it is not."""
    match_act_routes.reject(session, group_id, forms.loaded(MatchWordSchema))
    return forms.done(flask.url_for(".match", group_id=group_id), "Rejected: no run brings this pair again.")


@act(blueprint, "/matches/<group_id>/unmatch", door=ACTS, again=match)
def unmatch(session: Session, group_id: str) -> flask.Response:
    """Take it apart."""
    match_act_routes.unmatch(session, group_id, forms.loaded(MatchWordSchema))
    return forms.done(flask.url_for(".match", group_id=group_id), "Taken apart.")


@page(blueprint, "GET", "/explain/<item_id>", door=month_end.READERS)
def explained(session: Session, item_id: str, refusal: Refusal | None = None) -> str:
    """Say why an item is matched, or is not: every pass, and the first condition that failed in it."""
    found = explain.of_item(session, item_id)
    is_ours = item_id.partition("_")[0] in _OURS
    return frame.rendered(
        session,
        "explain.html",
        place=PLACE,
        found=found,
        item_id=item_id,
        is_ours=is_ours,
        candidates=match_candidates.of_item(session, item_id, is_ours=is_ours),
        may_act=bool(flask.g.actor.roles & ACTS.roles),
        refusal=refusal,
    )


@act(blueprint, "/explain/<item_id>/match", door=ACTS, again=explained)
def match_by_hand(session: Session, item_id: str) -> flask.Response:
    """Match it with what the person names."""
    form = flask.request.form
    others = [*form.getlist("with[]"), *form.get("others", "").replace(",", " ").split()]
    if not others:
        raise Invalid.of(Fault("others", "is needed: tick one above, or name its id"))
    is_ours = flask.request.form.get("side") == "ours"
    values: dict[str, Any] = {
        "leg": flask.request.form.get("leg", ""),
        "ours": [item_id] if is_ours else others,
        "theirs": others if is_ours else [item_id],
        "reason": flask.request.form.get("reason", ""),
    }
    made = match_act_routes.match(session, forms.checked(NewMatchSchema, values))
    return forms.done(flask.url_for(".match", group_id=made["id"]), "Matched by hand.")
