"""The list of conversions, and one conversion's custody from click to bank line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE
from core.http.doors import actors
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
from reports.exports.report import amount, moment, text
from reports.exports.tables import Row
from web.pages import frame, lists, names, words
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("conversion_pages", __name__)
PLACE = "/conversions"
READERS = actors(*EVERYONE)
FILTERS = ("state", "held", "source_id", "period", "transaction_id")
STATES = tuple(state.value for state in State)

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


def _every(query: ConversionQuery) -> sa.Select[Conversion]:
    """Return the statement; the names, joined from the left, are left out where nothing is sorted by them."""
    statement = queries.conversions(query).outerjoin(Affiliate, Affiliate.id == Conversion.affiliate_id)
    return statement.outerjoin(Source, Source.id == Conversion.source_id)


def _cells(session: Session, some: Sequence[Conversion]) -> Iterator[Row]:
    sources = names.of(session, Source, {row.source_id for row in some})
    affiliates = names.of(session, Affiliate, {row.affiliate_id for row in some})
    for row in some:
        yield (
            row.id, row.transaction_id, row.event, row.source_id, sources.get(row.source_id), row.affiliate_id,
            affiliates.get(row.affiliate_id or ""), row.campaign_id, row.claimed_click_id, row.occurred_at,
            row.recorded_at, row.payout_minor, row.amount_minor, row.currency, row.state, row.hold_reason,
            row.assurance,
        )  # fmt: skip


LISTING = Listing(
    PLACE,
    "Conversions",
    Conversion.id,
    (
        Head("Transaction", (Conversion.transaction_id,)),
        Head("Affiliate", lists.text(Affiliate.name)),
        Head("Source", lists.text(Source.name)),
        Head("Occurred", (Conversion.occurred_at,), Way.MOMENT),
        Head("Payout told", lists.amount(Conversion.payout_minor, Conversion.currency), Way.AMOUNT, "money"),
        Head("State", (Conversion.state,)),
    ),
    asked=lists.of_query(ConversionQuerySchema, FILTERS, _every),
    columns=(
        text("id", "Conversion"), text("transaction_id", "Transaction"), text("event", "Event"),
        text("source_id", "Source id"), text("source", "Source"), text("affiliate_id", "Affiliate id"),
        text("affiliate", "Affiliate"), text("campaign_id", "Campaign id"), text("click_id", "Click"),
        moment("occurred_at", "Occurred at"), moment("recorded_at", "Recorded at"), amount("payout", "Payout told"),
        amount("amount", "Sale"), text("currency", "Currency"), text("state", "State"), text("hold_reason", "Held for"),
        text("assurance", "Assurance"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=READERS)


@page(blueprint, "GET", LISTING.path, door=READERS)
def conversions(session: Session) -> tuple[str, int]:
    """Show conversions, newest first, narrowed by the filters in the URL."""
    return lists.rendered(
        session,
        LISTING,
        "conversions.html",
        place=PLACE,
        about=lambda rows: {
            "paid": _paid(session, [row.id for row in rows]),
            "affiliates": names.of(session, Affiliate, {row.affiliate_id for row in rows}),
        },
        states=[(state, words.pill(state)[1]) for state in STATES],
        sources=names.of(session, Source),
        money=Money,
    )


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


def _name(session: Session, table: type[Source] | type[Affiliate] | type[Campaign], id_: str | None) -> str | None:
    return None if id_ is None else session.scalar(sa.select(table.name).where(table.id == id_))
