"""The HTTP door of what people do to matches."""

from typing import Any

from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.runtime import installed
from reports import alias_acts, match_act_queries, match_acts, match_groups, match_judging
from reports.match_act_queries import AliasQuery, EventQuery
from reports.match_act_schemas import (
    Bulk,
    BulkMatchesDoneSchema,
    BulkMatchesSchema,
    MatchAliasQuerySchema,
    MatchAliasSchema,
    MatchEventQuerySchema,
    MatchEventSchema,
    MatchGroupSchema,
    MatchMergeSchema,
    MatchSplitSchema,
    MatchWordSchema,
    Merge,
    NewMatchSchema,
    Split,
    Why,
)
from reports.match_acts import NewMatch
from reports.match_groups import Word
from reports.match_judging import Verdict
from reports.match_models import MatchAlias, MatchEvent

blueprint = Blueprint(
    "match_acts",
    __name__,
    url_prefix="/api/v1",
    description="Matches: confirm, reject, match by hand, take apart; the words about them, and what they teach.",
)

# People only: what no pass was sure of is nothing for a program to say.
_ACTS = actors(Role.FINANCE, Role.MANAGER)
_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@endpoint(
    blueprint, "POST", "/matches", door=_ACTS, body=NewMatchSchema, answers=MatchGroupSchema, status=201, creates=True
)  # fmt: skip
def match(session: Session, body: NewMatch) -> dict[str, Any]:
    """Match items by hand: one with one, one with many, or in part. A debit of a payout's whole amount settles it."""
    group_id = match_acts.match(installed(), session, body, _word(body.reason))
    return match_act_queries.group(session, group_id)


@endpoint(
    blueprint, "POST", "/matches/<group_id>/confirm", door=_ACTS, body=MatchWordSchema, answers=MatchGroupSchema,
    creates=True,
)  # fmt: skip
def confirm(session: Session, group_id: str, body: Why) -> dict[str, Any]:
    """Confirm a suggestion; 409 when something it takes is taken by now."""
    return _judged(session, group_id, body, Verdict.CONFIRM)


@endpoint(
    blueprint, "POST", "/matches/<group_id>/reject", door=_ACTS, body=MatchWordSchema, answers=MatchGroupSchema,
    creates=True,
)  # fmt: skip
def reject(session: Session, group_id: str, body: Why) -> dict[str, Any]:
    """Reject a suggestion: no run brings its pairs again."""
    return _judged(session, group_id, body, Verdict.REJECT)


@endpoint(
    blueprint, "POST", "/matches/<group_id>/unmatch", door=_ACTS, body=MatchWordSchema, answers=MatchGroupSchema,
    creates=True,
)  # fmt: skip
def unmatch(session: Session, group_id: str, body: Why) -> dict[str, Any]:
    """Take a confirmed match apart; one that settled a payout stays, and 409 says what to do instead."""
    match_acts.unmatch(installed(), session, group_id, _word(body.reason), version=body.version)
    return match_act_queries.group(session, group_id)


@endpoint(
    blueprint, "POST", "/matches/<group_id>/split", door=_ACTS, body=MatchSplitSchema, answers=MatchGroupSchema,
    status=201, creates=True,
)  # fmt: skip
def split(session: Session, group_id: str, body: Split) -> dict[str, Any]:
    """Let what is named leave its group for one of its own, which is answered."""
    new_id = match_acts.split(
        installed(),
        session,
        group_id,
        _word(body.reason),
        our_ids=body.our_ids,
        their_ids=body.their_ids,
        version=body.version,
    )
    return match_act_queries.group(session, new_id)


@endpoint(
    blueprint, "POST", "/matches/merge", door=_ACTS, body=MatchMergeSchema, answers=MatchGroupSchema, creates=True
)  # fmt: skip
def merge(session: Session, body: Merge) -> dict[str, Any]:
    """Put confirmed groups together into a new one."""
    return match_act_queries.group(session, match_acts.merge(installed(), session, body.group_ids, _word(body.reason)))


@endpoint(
    blueprint, "POST", "/matches/bulk", door=_ACTS, body=BulkMatchesSchema, answers=BulkMatchesDoneSchema, creates=True
)  # fmt: skip
def judge_many(session: Session, body: Bulk) -> dict[str, int]:
    """Confirm or reject up to 1,000 suggestions, all or none; 409 lists every one that cannot be, and why."""
    match_judging.judge(installed(), session, body.group_ids, body.verdict, _word(body.reason), count=body.count)
    return {"done": len(body.group_ids)}


@endpoint(blueprint, "GET", "/matches/<group_id>", door=_READS, answers=MatchGroupSchema)
def show_match(session: Session, group_id: str) -> dict[str, Any]:
    """Show a group of matches: its edges, both sides' items, and every word about it."""
    return match_act_queries.group(session, group_id)


@endpoint(
    blueprint, "GET", "/match-events", door=_READS, query=MatchEventQuerySchema, answers=listing(MatchEventSchema)
)  # fmt: skip
def list_events(session: Session, query: EventQuery) -> Page[dict[str, Any]]:
    """List what people said about matches, newest first: of one item, of one group, or of all."""
    found = page(session, match_act_queries.events(query), MatchEvent.id, limit=query.limit, after=query.after)
    return Page([match_act_queries.shown_event(each) for each in found.items], found.next)


@endpoint(
    blueprint, "GET", "/match-aliases", door=_READS, query=MatchAliasQuerySchema, answers=listing(MatchAliasSchema)
)  # fmt: skip
def list_aliases(session: Session, query: AliasQuery) -> Page[MatchAlias]:
    """List what matches by hand have taught, newest first."""
    return page(session, match_act_queries.alias_list(query), MatchAlias.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "DELETE", "/match-aliases/<alias_id>", door=_ACTS, answers=MatchAliasSchema)
def drop_alias(session: Session, alias_id: str) -> MatchAlias:
    """Drop an alias for good: nothing is found by it any more, and it is not learnt again."""
    return alias_acts.drop(installed(), session, alias_id, actor=current_actor())


def _judged(session: Session, group_id: str, body: Why, verdict: Verdict) -> dict[str, Any]:
    match_groups.held_one(session, group_id, version=body.version)
    match_judging.judge(installed(), session, [group_id], verdict, _word(body.reason))
    return match_act_queries.group(session, group_id)


def _word(reason: str) -> Word:
    return Word(current_actor(), reason)
