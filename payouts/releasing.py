"""Releasing: a second person lets a batch go, and its file is written once."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import sepaxml
import sqlalchemy as sa
from lxml import etree
from sqlalchemy.orm import Session

from approvals import separation
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from payouts import batches, moving
from payouts.formats import pain001
from payouts.formats.methods import METHODS, Method
from payouts.formats.values import BatchFile, Payer
from payouts.models import Batch, BatchItem, Payout
from payouts.states import BatchState, PayoutState

_ENTRIES_AT_ONCE = 1000


class Bar(StrEnum):
    """Why a person may not release a batch, in the order that is asked."""

    GATHERED = "gathered"
    HAS_DECIDED = "has_decided"


@dataclass(frozen=True)
class Parts:
    """Who had a part in a batch before its release."""

    gathered_by: str
    voices: frozenset[str]

    def bar_of(self, staff_id: str) -> Bar | None:
        """Say why that person may not release it, or None where he may."""
        if staff_id == self.gathered_by:
            return Bar.GATHERED
        return Bar.HAS_DECIDED if staff_id in self.voices else None


def parts_in(session: Session, batch: Batch) -> Parts:
    """Return who gathered a batch and who had a say in the approval of its payouts."""
    statement = (
        sa.select(Payout.approval_id)
        .join(BatchItem, BatchItem.payout_id == Payout.id)
        .where(BatchItem.batch_id == batch.id, Payout.approval_id.is_not(None))
    )
    asked = {approval_id for approval_id in session.scalars(statement) if approval_id}
    return Parts(batch.created_by, separation.voices(session, asked))


def release(runtime: Runtime, session: Session, batch_id: str, *, version: int, actor: Actor) -> Batch:
    """Write the payment file, once, and mark its payouts as sent; the same file is downloaded ever after.

    Raises Forbidden for whoever gathered the batch or decided one of its payouts, Conflict when it has moved on from
    `version` or one of its payouts is no longer what was approved or must wait, Invalid when a format cannot carry a
    payment.
    """
    batch = batches.building(session, batch_id, version)
    method = METHODS[batch.method]
    payouts = batches.payouts_of(session, batch)
    # After the payouts' locks: nobody has a say in one of them while it is asked who had.
    _refuse(parts_in(session, batch).bar_of(actor.id))
    weighed = batches.weigh(runtime, session, [(payout_id, payout) for payout_id, payout in payouts.items()])
    faults = [fault for each in weighed for fault in each.faults]
    faults += [
        Fault(item.payout_id, "has another amount than its item of the batch")
        for item in batch.items
        if item.amount_minor != payouts[item.payout_id].amount_minor
    ]
    if faults:
        message = "a payout is no longer what was approved, or must wait: cancel this batch and gather a new one"
        raise Conflict(message, slug="payout-changed", faults=faults)
    now = runtime.clock()
    content = _file(
        method,
        batch,
        _batch_file(runtime, batch, {item.payout_id: item.end_to_end_id for item in batch.items}, payouts),
    )
    batch.file_name = f"{batch.format or method.usual_format}-{batch.id}.{method.suffix}"
    batch.file_content, batch.file_sha256 = content, hashlib.sha256(content).hexdigest()
    batch.released_at, batch.released_by, batch.state = now, actor.id, BatchState.RELEASED
    batch.version += 1
    moving.move_all(session, payouts.values(), PayoutState.BATCHED, PayoutState.SENT)
    entries = [
        posting.batch_sent(
            end_to_end_id=item.end_to_end_id,
            payout_id=item.payout_id,
            affiliate_id=payouts[item.payout_id].affiliate_id,
            money=Money(item.amount_minor, batch.currency),
            sent_on=now.date(),
        )
        for item in batch.items
    ]
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        journal.post(runtime, session, entries[start : start + _ENTRIES_AT_ONCE], today=now.date())
    after = {"count": len(batch.items), "money": str(batches.total(batch)), "file_sha256": batch.file_sha256}
    audit.record(session, Act(actor, "released", "batch", batch.id, now, after=after))
    return batch


def _refuse(bar: Bar | None) -> None:
    match bar:
        case Bar.GATHERED:
            message = "whoever gathered a batch cannot release it: another person does"
            raise Forbidden(message)
        case Bar.HAS_DECIDED:
            message = "whoever had a say in a payout's approval cannot release it: another person does"
            raise Forbidden(message, slug="has-decided")
        case None:
            return


def check_schema(content: bytes, schema: str) -> None:
    """Raise Invalid when a pain.001 is not valid under its schema; read as a stream, so a large file stays small."""
    try:
        for _event, element in etree.iterparse(
            io.BytesIO(content), schema=_schema(schema), resolve_entities=False, no_network=True
        ):
            if etree.QName(element).localname == "CdtTrfTxInf":
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        # Where, and not what: the schema's own words quote names and accounts.
        message = f"the payment file does not keep to {schema} (line {error.lineno}, column {error.offset})"
        raise Invalid(message) from None


def _batch_file(runtime: Runtime, batch: Batch, ids: dict[str, str], payouts: Mapping[str, Payout]) -> BatchFile:
    now = runtime.clock()
    payer = Payer(
        batch.debtor_name, batch.debtor_iban or None, batch.debtor_bic,
        batch.debtor_routing_number, batch.debtor_company_id, batch.debtor_bank_name,
    )  # fmt: skip
    payments = [batches.payment(payouts[payout_id], end_to_end_id) for payout_id, end_to_end_id in ids.items()]
    return BatchFile(batch.id, batch.currency, payer, payments, now, now.date())


def _file(method: Method, batch: Batch, file: BatchFile) -> bytes:
    faults = [*method.payer_faults(file.payer, "debtor"), *method.total_faults(file)]
    for payment in file.payments:
        faults += batches.account_faults(payment.payee, payment.end_to_end_id)
        faults += method.payment_faults(payment, file.currency, payment.end_to_end_id)
    if faults:
        raise Invalid.of(*faults)
    name = batch.format or method.usual_format
    content = b"".join(method.writers[name](file))
    if name in {pain001.V03, pain001.V09}:
        check_schema(content, name)
    return content


@cache
def _schema(name: str) -> etree.XMLSchema:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    path = Path(sepaxml.__file__).parent / "schemas" / f"{name}.xsd"
    return etree.XMLSchema(etree.parse(str(path), parser))
