"""The inbox of approvals, and one request with everything to look at before the button."""

from dataclasses import dataclass, replace
from itertools import chain

import flask
import marshmallow as ma
from sqlalchemy.orm import Session

from access import people
from approvals import decisions, queries, requests, routing
from approvals.deciding import Refusal, Refused, RequestState
from approvals.models import ApprovalPolicy
from approvals.queries import RequestView
from approvals.routes import DECIDERS
from approvals.schemas import ApprovalVerdictSchema
from core import versions
from core.errors import Fault, Invalid
from core.http.doors import actors
from core.http.paging import Page
from core.runtime import installed
from web import problems
from web.pages import frame, subjects, words
from web.pages.frame import page
from web.pages.subjects import PayoutSubject

blueprint = flask.Blueprint("approval_pages", __name__)
PLACE = "/approvals"
QUEUE_MAX = 50
DECIDED = (RequestState.APPROVED, RequestState.REJECTED, RequestState.VOIDED)
VIEWS = {"mine": "For me", "open": "All open", "decided": "Decided"}
READERS = actors(*sorted(DECIDERS.roles), "auditor")


@dataclass(frozen=True)
class Notice:
    """What came of the person's own act: `shape` as in console.css, lines in words, perhaps where to go on."""

    shape: str
    heading: str
    lines: tuple[str, ...] = ()
    link: str | None = None


@page(blueprint, "GET", "/approvals", door=READERS)
def approvals(session: Session) -> str:
    """Show the queue: those that wait for me, all open ones, or the decided."""
    return frame.rendered(session, "approvals.html", place=PLACE, shown=None, **_queue(session))


@page(blueprint, "GET", "/approvals/<request_id>", door=READERS)
def approval(session: Session, request_id: str) -> str:
    """Show one request beside the queue."""
    return detail(session, request_id, None)


@page(blueprint, "POST", "/approvals/<request_id>/decision", door=DECIDERS)
def decide(session: Session, request_id: str) -> flask.Response | tuple[str, int]:
    """Take a decision by form; what is refused comes back on the same page with what has changed."""
    form = flask.request.form
    fields = {name: form[name] for name in ("verdict", "content_hash", "comment") if form.get(name)}
    try:
        decision = ApprovalVerdictSchema().load(fields | {"version": form.get("version", type=int)})
    except ma.ValidationError as error:
        raise Invalid.of(Fault("form", "was not complete: open the request again and decide there")) from error
    outcome = decisions.decide(installed(), session, request_id, decision, actor=flask.g.actor)
    if isinstance(outcome, Refused):
        notice = _refused(session, request_id, outcome.reason, seen=decision.version)
        return detail(session, request_id, notice), problems.status_of(decisions.problem(outcome))
    return flask.make_response(flask.redirect(flask.url_for(".approval", request_id=request_id), 303))


def _queue(session: Session) -> dict[str, object]:
    """Return what the queue's template takes, for the view and the cursor in the URL."""
    view = flask.request.args.get("view", "mine")
    view = view if view in VIEWS else "mine"
    after = frame.cursor(flask.request)
    found: Page[RequestView] = queries.listed(
        session,
        limit=QUEUE_MAX,
        after=after,
        states=DECIDED if view == "decided" else [RequestState.OPEN],
        waiting_for=flask.g.actor.id if view == "mine" else None,
        now=installed().clock(),
    )
    sums = queries.sums_waiting_for(session, flask.g.actor.id, installed().clock())
    numbers = {"mine": sum(count for count, _ in sums), "open": queries.count_open(session)}
    return {
        "view": view,
        "views": VIEWS,
        "numbers": numbers,
        "sums": [each for _, each in sums],
        "queue": [(each, words.warnings_of(each.facts)) for each in found.items],
        "older": flask.url_for(".approvals", view=view, after=found.next) if found.next else None,
        "newest": flask.url_for(".approvals", view=view) if after else None,
    }


def detail(session: Session, request_id: str, notice: Notice | None) -> str:
    """Return the page of one request beside the queue, with what came of an act on it."""
    # Read anew: a decision was perhaps refused because of what another person did a moment ago.
    session.expire_all()
    shown = queries.one(session, request_id)
    subject = None
    if shown.subject["kind"] == "payout":
        subject = subjects.payout(session, shown.subject["id"], shown.content.get("accrual_ids", []))
    policy = versions.get(session, ApprovalPolicy, shown.policy_version)
    rule = next(each for each in policy.content["chains"] if each["id"] == shown.chain)
    everyone = chain.from_iterable(
        [*step.approver_ids, *(each.actor_id for each in step.decisions), *step.principals] for step in shown.steps
    )
    said = queries.comments(session, request_id)
    me = flask.g.actor
    return frame.rendered(
        session,
        "approvals.html",
        place=PLACE,
        shown=shown,
        subject=subject,
        warnings=_warnings(shown, subject),
        rule=routing.in_words(rule["when"]),
        emails=people.emails(session, [*everyone, *(each.author_id for each in said)]),
        said=said,
        may_decide=bool(me.roles & DECIDERS.roles)
        and queries.may_decide(session, request_id, me.id, installed().clock()),
        why_not=_why_not(shown, me.id),
        may_comment=bool(me.roles & DECIDERS.roles),
        notice=notice,
        **_queue(session),
    )


def _warnings(shown: RequestView, subject: PayoutSubject | None) -> list[words.Warning_]:
    found = words.warnings_of(shown.facts)
    if subject is not None and subject.discrepancies:
        sentence = f"{words.plural(subject.discrepancies, 'open discrepancy', 'open discrepancies')} at month end "
        sentence += "touch conversions in it."
        found.append(words.Warning_("warn", "Discrepancies", sentence))
    if not shown.is_unchanged:
        sentence = "What is to be approved is no longer what was asked about: nobody can decide this request."
        found.insert(0, words.Warning_("bad", "Changed", sentence))
    return found


def _why_not(shown: RequestView, staff_id: str) -> str:
    """Return in words why the person sees no button; empty when there is nothing to explain."""
    mine = next((each for each in shown.said if each.actor_id == staff_id), None)
    if mine is not None:
        return f"You have decided: {mine.verdict}, {words.moment(mine.decided_at)}. One person counts once."
    if any(each.on_behalf_of == staff_id for each in shown.said):
        return "Somebody has decided it for you. One person counts once."
    if shown.state != RequestState.OPEN:
        return ""
    if staff_id in shown.barred:
        return "Not yours to decide: you made it, or changed what it pays to."
    return "It waits for other people: you are not among the approvers of the step that is open now."


def _refused(session: Session, request_id: str, reason: Refusal, *, seen: int) -> Notice:
    session.expire_all()
    now = queries.one(session, request_id)
    # Every decision moves the version by one, from 1 on: those behind the version seen are what has changed.
    later = now.said[max(0, seen - 1) :]
    emails = people.emails(session, (each.actor_id for each in later))
    lines = [decisions.IN_WORDS[reason][:1].upper() + decisions.IN_WORDS[reason][1:] + "."]
    lines += [
        f"{emails.get(each.actor_id, each.actor_id)}: {each.verdict}, {words.moment(each.decided_at)}."
        for each in later
    ]
    if now.state != RequestState.OPEN:
        lines.append(f"The request is {words.pill(now.state)[1].lower()}.")
    next_one = requests.open_for(session, now.subject["kind"], now.subject["id"])
    notice = Notice("bad", "Your decision was not recorded", tuple(lines))
    if next_one is not None and next_one.id != request_id:
        return replace(notice, link=flask.url_for(".approval", request_id=next_one.id))
    return notice
