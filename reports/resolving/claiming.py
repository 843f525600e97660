"""Claims: what we say a network owes us, the dispute pack that proves it, and what the network answers."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Invalid, NotFound
from core.http.wire import moment_text
from core.money import Money
from core.runtime import Runtime
from reports.matching import DiscrepancyState
from reports.models import Discrepancy
from reports.reconciliation import LOCK
from reports.resolving import evidence, notes, packing
from reports.resolving.models import DiscrepancyClaim

PURPOSE = "dispute packs"


class Outcome(StrEnum):
    """What a network says to a claim."""

    WON = "won"
    LOST = "lost"
    PARTIAL = "partial"


OPEN = "open"


@dataclass(frozen=True)
class Answered:
    """A network's answer, as a person has it; `amount` is what it grants of a part. `version` is the discrepancy's."""

    answer: Outcome
    note: str
    version: int
    amount: Money | None = None


def claim(
    runtime: Runtime, session: Session, found: Discrepancy, short: Money | None, *, actor: Actor
) -> DiscrepancyClaim:
    """Claim `short` from the network, with a pack of what there is now; None when it is not about money.

    The tables allow it only while no other claim about it waits for its answer, and a unique index holds that.
    """
    made = DiscrepancyClaim(
        id=runtime.new_id("clm"),
        discrepancy_id=found.id,
        amount_minor=short.amount_minor if short else None,
        currency=short.currency if short else None,
        state=OPEN,
        claimed_at=runtime.clock(),
        claimed_by=actor.id,
    )
    made.pack = _pack(runtime, session, found, made)
    made.pack_sha256 = hashlib.sha256(made.pack).hexdigest()
    session.add(made)
    session.flush()
    after = {"discrepancy_id": found.id, "money": str(short) if short else None, "pack_sha256": made.pack_sha256}
    audit.record(session, Act(actor, "claimed", "claim", made.id, runtime.clock(), after=after, reason=found.note))
    return made


def answer(runtime: Runtime, session: Session, discrepancy_id: str, said: Answered, *, actor: Actor) -> Discrepancy:
    """Record what the network answers. Won resolves the discrepancy; else it is open again, with what is left of it.

    One that was carried forward meanwhile stays so, whatever month is closed: the answer stands on its claim. Raise
    NotFound, Conflict when it moved on from the version or has no open claim, Invalid for an amount that is no part.
    """
    lock(session, LOCK)
    found = rows.locked(session, Discrepancy, discrepancy_id, version=said.version)
    waiting = _open(session, found.id)
    if waiting is None:
        message = "no claim about it waits for an answer"
        raise Conflict(message, slug="no-open-claim")
    awarded = _awarded(waiting, said)
    waiting.state, waiting.awarded_minor = said.answer.value, awarded
    waiting.answered_at, waiting.answered_by, waiting.answer_note = runtime.clock(), actor.id, said.note
    waiting.version += 1
    before = found.state
    if found.state == DiscrepancyState.CLAIMED:
        notes.refuse_closed(session, found.period)
        if said.answer is Outcome.WON:
            found.state = DiscrepancyState.RESOLVED
        else:
            found.state = DiscrepancyState.OPEN
            found.resolution = found.note = found.resolved_by = found.resolved_at = None
        found.version += 1
    text = f"the network's answer to {waiting.id}: {said.answer.value}. {said.note}"
    notes.write(runtime, session, found, text, author_id=actor.id)
    after = {"answer": said.answer.value, "awarded_minor": awarded, "state": found.state}
    act = Act(actor, "answered", "claim", waiting.id, runtime.clock(), {"state": before}, after, said.note)
    audit.record(session, act)
    return found


def newest_pack(session: Session, discrepancy_id: str) -> DiscrepancyClaim:
    """Return the newest claim about a discrepancy, with its pack; raise NotFound when nothing was claimed."""
    statement = sa.select(DiscrepancyClaim).where(DiscrepancyClaim.discrepancy_id == discrepancy_id)
    found = session.scalar(statement.order_by(DiscrepancyClaim.id.desc()).limit(1))
    if found is None:
        message = f"nothing was claimed about {discrepancy_id}: resolve it as claim, and its pack is made"
        raise NotFound(message)
    return found


def _open(session: Session, discrepancy_id: str) -> DiscrepancyClaim | None:
    statement = sa.select(DiscrepancyClaim).where(
        DiscrepancyClaim.discrepancy_id == discrepancy_id, DiscrepancyClaim.state == OPEN
    )
    return session.scalar(statement.with_for_update())


def _awarded(waiting: DiscrepancyClaim, said: Answered) -> int | None:
    if said.answer is not Outcome.PARTIAL:
        if said.amount is not None:
            raise Invalid.of(Fault("amount", f"says nothing beside {said.answer.value}"))
        return None
    if waiting.amount_minor is None or waiting.currency is None:
        raise Invalid.of(Fault("answer", "takes won or lost: the claim is about no amount"))
    claimed = Money(waiting.amount_minor, waiting.currency)
    is_part = (
        said.amount is not None
        and said.amount.currency == claimed.currency
        and 0 < said.amount.amount_minor < claimed.amount_minor
    )
    if said.amount is None or not is_part:
        raise Invalid.of(Fault("amount", f"takes more than nothing and less than the {claimed} that were claimed"))
    return said.amount.amount_minor


def _pack(runtime: Runtime, session: Session, found: Discrepancy, made: DiscrepancyClaim) -> bytes:
    keyring = runtime.keyring
    claimed = {
        "id": made.id,
        "claimed_at": moment_text(made.claimed_at),
        "money": None
        if made.amount_minor is None or made.currency is None
        else str(Money(made.amount_minor, made.currency)),
    }
    members = packing.members_of(evidence.of(session, found) | {"claim": claimed})
    return packing.packed(
        members,
        {"pack": "clickledger dispute pack 1", "discrepancy_id": found.id, "issued_by": runtime.public_url},
        public_key=keyring.public_key(purpose=PURPOSE),
        sign=lambda message: keyring.sign(message, purpose=PURPOSE),
    )
