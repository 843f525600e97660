"""The list of conversions, and one conversion's custody from click to bank line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import flask
import marshmallow as ma
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE
from core.errors import Fault
from core.http.doors import actors
from core.http.paging import Page
from core.http.paging import page as page_of
from core.money import Money
from core.rows import existing
from partners.models import Affiliate, Campaign, Source
from payouts.models import Accrual, Payout
from payouts.states import PayoutState
from postback import queries
from postback.event_rules import State
from postback.models import Conversion, Receipt
from postback.queries import ConversionQuery
from postback.routes import MAY_SEE_RAW
from postback.schemas import ConversionQuerySchema
from reports import custody
from web.pages import frame, words
from web.pages.frame import page

blueprint = flask.Blueprint("conversion_pages", __name__)
PLACE = "/conversions"
READERS = actors(*EVERYONE)
FILTERS = ("state", "held", "source_id", "period", "transaction_id")
STATES = tuple(state.value for state in State)
ROWS_MAX = 100

# What a step of custody is on its line: a person decided, or the bank says so; all else a machine did.
_HUMAN = {"decision", "batch", "batch_released"}
_BANK = {"bank_line", "bank_match", "settlement"}


@dataclass(frozen=True)
class Moment:
    """One step of custody as it is shown: `since` is the time since the step before, empty at the first."""

    at: datetime
    since: str
    kind: str
    who: str
    sentence: str
    id: str
    facts: dict[str, str]
    raw: str | None


@page(blueprint, "GET", "/conversions", door=READERS)
def conversions(session: Session) -> str | tuple[str, int]:
    """Show conversions, newest first, narrowed by the filters in the URL."""
    wanted = {name: flask.request.args[name] for name in FILTERS if flask.request.args.get(name)}
    found: Page[Conversion] = Page([], None)
    faults: list[Fault] = []
    after = frame.cursor(flask.request)
    try:
        query: ConversionQuery = ConversionQuerySchema().load({**wanted, "limit": ROWS_MAX, "after": after})
        found = page_of(session, queries.conversions(query), Conversion.id, limit=query.limit, after=query.after)
    except ma.ValidationError as error:
        faults = [Fault(words.words(str(name)), _said(why)) for name, why in dict(error.messages_dict).items()]
    body = frame.rendered(
        session,
        "conversions.html",
        place=PLACE,
        rows=found.items,
        faults=faults,
        wanted=wanted,
        paid=_paid(session, [row.id for row in found.items]),
        states=STATES,
        sources=_names(session, Source),
        affiliates=_names(session, Affiliate, {row.affiliate_id for row in found.items}),
        money=Money,
        older=frame.link(".conversions", {**wanted, "after": found.next}) if found.next else None,
        newest=frame.link(".conversions", wanted) if after else None,
    )
    return (body, 422) if faults else body


@page(blueprint, "GET", "/conversions/<conversion_id>", door=READERS)
def conversion(session: Session, conversion_id: str) -> str:
    """Show the custody of one conversion, in time order."""
    found = existing(session, Conversion, conversion_id)
    steps = custody.of(session, found)
    accruals = list(
        session.scalars(sa.select(Accrual).where(Accrual.conversion_id == conversion_id).order_by(Accrual.id))
    )
    return frame.rendered(
        session,
        "conversion.html",
        place=PLACE,
        shown=found,
        state="paid" if conversion_id in _paid(session, [conversion_id]) else found.state,
        payout=None if found.payout_minor is None else Money(found.payout_minor, found.currency),
        moments=_moments(steps, _raw(session, steps)),
        spans=words.span(steps[-1].at - steps[0].at) if steps else "",
        source=_name(session, Source, found.source_id),
        affiliate=_name(session, Affiliate, found.affiliate_id),
        campaign=_name(session, Campaign, found.campaign_id),
        accruals=[(each, Money(each.amount_minor, each.currency)) for each in accruals],
        assurance=words.ASSURANCE.get(found.assurance, ""),
    )


def _paid(session: Session, conversion_ids: Sequence[str]) -> set[str]:
    """Return those of the conversions whose payout the bank has confirmed."""
    statement = (
        sa.select(Accrual.conversion_id)
        .join(Payout, Payout.id == Accrual.payout_id)
        .where(Accrual.conversion_id.in_(conversion_ids), Payout.state == PayoutState.SETTLED)
    )
    return set(session.scalars(statement))


def _moments(steps: Sequence[custody.Step], raw: dict[str, str]) -> list[Moment]:
    shown, before = [], None
    for step in steps:
        since = "" if before is None else f"{words.span(step.at - before)} later" if step.at > before else "same moment"
        shown.append(
            Moment(
                at=step.at,
                since=since,
                kind=step.kind,
                who=_who(step),
                sentence=step.sentence,
                id=step.id,
                facts=_facts(step),
                raw=raw.get(step.id),
            )
        )
        before = step.at
    return shown


def _who(step: custody.Step) -> str:
    if step.kind in _BANK:
        return "money-in"
    # Events are people's or the engine's: the actor's id tells.
    return "human" if step.kind in _HUMAN or str(step.facts.get("actor", "")).startswith("stf_") else ""


def _facts(step: custody.Step) -> dict[str, str]:
    """Return the facts worth a line under the sentence, in words."""
    found = {}
    for name, value in step.facts.items():
        if isinstance(value, dict) and set(value) == {"amount", "currency"}:
            found[name] = _amount(value)
        elif isinstance(value, str | int) and value != "":
            found[name] = str(value)
    return {words.words(name): value for name, value in found.items()}


def _amount(value: dict[str, str]) -> str:
    money = words.of_wire(value)
    return "" if money is None else words.amount(money)


def _raw(session: Session, steps: Sequence[custody.Step]) -> dict[str, str]:
    """Return the raw requests of the steps that are receipts, for people who may see them."""
    if not flask.g.actor.roles & MAY_SEE_RAW:
        return {}
    ids = [step.id for step in steps if step.kind == "receipt"]
    found = {}
    for receipt in session.scalars(sa.select(Receipt).where(Receipt.id.in_(ids))):
        query = receipt.raw_query.decode("utf-8", "backslashreplace")
        lines = [f"{receipt.method} /postback/{receipt.source_id}" + (f"?{query}" if query else "")]
        lines += [f"{name}: {value}" for name, value in receipt.signature_headers.items()]
        lines += [receipt.raw_body.decode("utf-8", "backslashreplace")] if receipt.raw_body else []
        found[receipt.id] = "\n".join([*lines, f"from {receipt.peer}"])
    return found


def _names(
    session: Session, table: type[Source] | type[Affiliate], ids: set[str | None] | None = None
) -> dict[str, str]:
    statement = sa.select(table.id, table.name).order_by(table.name)
    if ids is not None:
        statement = statement.where(table.id.in_(ids))
    return {row.id: row.name for row in session.execute(statement)}


def _name(session: Session, table: type[Source] | type[Affiliate] | type[Campaign], id_: str | None) -> str | None:
    return None if id_ is None else session.scalar(sa.select(table.name).where(table.id == id_))


def _said(why: Any) -> str:
    return " ".join(str(each) for each in why) if isinstance(why, list) else str(why)
