"""The HTTP door of remittances: what networks owe or have announced, and what became of it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import rows
from core.database import among
from core.errors import Fault, Invalid
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, narrowed, page
from core.http.wire import listing, money_dict
from core.money import Money
from core.runtime import installed
from reports import remittance_deriving, remittance_entries, remittances
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine
from reports.remittance_models import Remittance
from reports.remittance_schemas import (
    Accepted,
    AcceptedSchema,
    AnnouncedSchema,
    DerivedPeriod,
    DerivedPeriodSchema,
    DerivedSchema,
    NewRemittanceSchema,
    RemittanceChangeSchema,
    RemittanceQuery,
    RemittanceQuerySchema,
    RemittanceSchema,
)
from reports.remittances import Change, NewRemittance
from reports.remitting import PartKind

blueprint = Blueprint(
    "remittances",
    __name__,
    url_prefix="/api/v1",
    description="What networks owe us for a month, against what the bank booked.",
)
ANNOUNCES = actors(Role.FINANCE, scope="statements:write")
DERIVES = actors(Role.FINANCE, scope="reconciliations:write")
READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")
CHANGES = actors(Role.FINANCE)


@endpoint(
    blueprint, "POST", "/remittances", door=ANNOUNCES, body=NewRemittanceSchema, answers=AnnouncedSchema, status=201,
    creates=True,
)  # fmt: skip
def announce_remittances(session: Session, body: NewRemittance | list[NewRemittance]) -> dict[str, Any]:
    """Keep what a network has announced to pay: one, or a list of up to 1,000, of which a fault in one keeps none."""
    if isinstance(body, list):
        made = remittances.announce(installed(), session, body, actor=current_actor())
        return {"listed": shown(session, made)}
    try:
        made = remittances.announce(installed(), session, [body], actor=current_actor())
    except Invalid as problem:
        # It was no list: its faults have no place before their field.
        raise Invalid.of(*(Fault(fault.field.removeprefix("0."), fault.reason) for fault in problem.faults)) from None
    return shown(session, made)[0]


@endpoint(
    blueprint, "POST", "/remittances/derive", door=DERIVES, body=DerivedPeriodSchema, answers=DerivedSchema,
    status=201, creates=True,
)  # fmt: skip
def derive_remittances(session: Session, body: DerivedPeriod) -> dict[str, Any]:
    """Make a month's remittances from its report lines that match conversions, where none was announced."""
    done = remittance_deriving.derive(installed(), session, body.period, actor=current_actor())
    counts = {name: getattr(done, name) for name in ("made", "changed", "dropped", "kept")}
    return {"items": shown(session, done.items), **counts}


@endpoint(
    blueprint, "GET", "/remittances", door=READS, query=RemittanceQuerySchema, answers=listing(RemittanceSchema)
)  # fmt: skip
def list_remittances(session: Session, query: RemittanceQuery) -> Page[dict[str, Any]]:
    """List remittances, newest first."""
    found = page(session, every(query), Remittance.id, limit=query.limit, after=query.after)
    return Page(shown(session, found.items), found.next)


@endpoint(blueprint, "GET", "/remittances/<remittance_id>", door=READS, answers=RemittanceSchema)
def show_remittance(session: Session, remittance_id: str) -> dict[str, Any]:
    """Show one remittance with the credits that paid it."""
    return shown(session, [rows.existing(session, Remittance, remittance_id)])[0]


@endpoint(
    blueprint, "PATCH", "/remittances/<remittance_id>",
    door=CHANGES, body=RemittanceChangeSchema, answers=RemittanceSchema,
)  # fmt: skip
def change_remittance(session: Session, remittance_id: str, body: Change) -> dict[str, Any]:
    """Change amount or due day before a credit is matched, or write off what has not come, with a reason."""
    found = remittances.change(installed(), session, remittance_id, body, actor=current_actor())
    return shown(session, [found])[0]


@endpoint(
    blueprint, "POST", "/remittances/<remittance_id>/charges", door=CHANGES, body=AcceptedSchema,
    answers=RemittanceSchema, status=201, creates=True,
)  # fmt: skip
def accept_charge(session: Session, remittance_id: str, body: Accepted) -> dict[str, Any]:
    """Accept what lacks of a remittance as a bank's charge: it is posted to an account of its own, and settles it."""
    found = remittances.accept_charge(
        installed(), session, remittance_id, reason=body.reason, version=body.version, actor=current_actor()
    )
    return shown(session, [found])[0]


def every(query: RemittanceQuery) -> sa.Select[Remittance]:
    """Return the statement for the remittances `query` asks for."""
    wanted = (
        (Remittance.source_id, query.source_id),
        (Remittance.period, query.period),
        (Remittance.state, query.state),
        (Remittance.origin, query.origin),
    )
    return narrowed(sa.select(Remittance), wanted)


def shown(session: Session, found: Sequence[Remittance]) -> list[dict[str, Any]]:
    """Return `found` as they travel, with what came of each."""
    ids = [each.id for each in found]
    parts = remittance_entries.sums(session, ids)
    payments: dict[str, list[dict[str, Any]]] = {id_: [] for id_ in ids}
    statement = (
        sa.select(Match, BankLine)
        .join(BankLine, BankLine.id == Match.their_id)
        .where(Match.leg == Leg.REMITTANCE, Match.state == "confirmed", among(session, Match.our_id, ids))
        .order_by(BankLine.booked_on, BankLine.id)
    )
    for match, line in session.execute(statement):
        payments[match.our_id].append(
            {
                "bank_line_id": line.id,
                "money": money_dict(Money(match.allocated_minor, line.currency)),
                "booked_on": line.booked_on,
                "account": line.account,
                "matched_by": match.matched_by,
            }
        )
    return [_of(each, parts.get(each.id, {}), payments[each.id]) for each in found]


def _of(each: Remittance, parts: dict[PartKind, int], payments: list[dict[str, Any]]) -> dict[str, Any]:
    def money(amount_minor: int) -> dict[str, str]:
        return money_dict(Money(amount_minor, each.currency))

    return {
        "id": each.id,
        "source_id": each.source_id,
        "period": each.period,
        "reference": each.reference,
        "money": money(each.amount_minor),
        "paid": money(parts.get(PartKind.PAYMENT, 0)),
        "charged": money(parts.get(PartKind.CHARGE, 0)),
        "written_off": money(parts.get(PartKind.WRITE_OFF, 0)),
        "left": money(each.amount_minor - sum(parts.values())),
        "due_on": each.due_on,
        "state": each.state,
        "origin": each.origin,
        "payments": payments,
        "created_by": each.created_by,
        "created_at": each.created_at,
        "changed_at": each.changed_at,
        "version": each.version,
    }
