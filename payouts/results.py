"""Result files: read whole, checked against their batch, and applied at once or not at all."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, rows
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from payouts import outcomes
from payouts.formats import pain001
from payouts.formats.methods import METHODS
from payouts.formats.values import Answer, Outcome, ResultFile
from payouts.models import Batch, BatchItem, BatchResult
from payouts.states import BatchState, ItemState

BYTES_MAX = 32 * 1024 * 1024
FAULTS_MAX = 200
# What an item is already when an answer says nothing new; what was settled may still come back.
_SAYS_NOTHING_NEW = {
    (Outcome.SETTLED, ItemState.SETTLED),
    (Outcome.FAILED, ItemState.FAILED),
    (Outcome.RETURNED, ItemState.RETURNED),
}
_FITS = {
    ItemState.LIVE: frozenset(Outcome),
    ItemState.SETTLED: frozenset({Outcome.SETTLED, Outcome.RETURNED, Outcome.PENDING}),
    ItemState.FAILED: frozenset({Outcome.FAILED, Outcome.PENDING}),
    ItemState.RETURNED: frozenset({Outcome.RETURNED, Outcome.SETTLED, Outcome.PENDING}),
    ItemState.CANCELLED: frozenset[Outcome](),
}


@dataclass(frozen=True)
class Upload:
    """A file as it came; without `format` it is read as the batch's method usually answers."""

    content: bytes
    name: str | None = None
    format: str | None = None


def receive(runtime: Runtime, session: Session, batch_id: str, upload: Upload, *, actor: Actor) -> BatchResult:
    """Apply what a result file says about the payments of a batch, and keep the file.

    Raises Invalid with every fault at once (a row that cannot be read, a payment of another batch, another amount, an
    answer that does not fit), and Conflict when the batch is not released or this content was received before.
    """
    batch = rows.locked(session, Batch, batch_id)
    if batch.state not in {BatchState.RELEASED, BatchState.SETTLED}:
        message = f"{batch_id} is {batch.state}: only what was released has results"
        raise Conflict(message)
    sha256 = hashlib.sha256(upload.content).hexdigest()
    known = sa.select(BatchResult.batch_id).where(BatchResult.sha256 == sha256)
    if (elsewhere := session.scalar(known.limit(1))) is not None:
        message = f"this file was received before, for {elsewhere}"
        raise Conflict(message, slug="received-before")
    format_name, file = _read(batch, upload)
    items = {item.end_to_end_id: item for item in batch.items}
    answers = _with_the_rest(file, items)
    faults = [*file.faults, *_reference_faults(batch, file), *_faults(batch, items, answers)]
    if faults:
        left = len(faults) - FAULTS_MAX
        more = [Fault("file", f"has {left} more faults")] if left > 0 else []
        raise Invalid.of(*faults[:FAULTS_MAX], *more)
    result = BatchResult(
        id=runtime.new_id("brs"),
        batch_id=batch.id,
        format=format_name,
        file_name=upload.name,
        sha256=sha256,
        content=upload.content,
        counts={},
        received_at=runtime.clock(),
        received_by=actor.id,
    )
    counts = Counter(
        _apply(runtime, session, batch, items[each.end_to_end_id], each, result_id=result.id, actor=actor)
        for each in answers
    )
    result.counts = dict(sorted(counts.items()))
    session.add(result)
    after = {"result_id": result.id, "format": format_name, "sha256": sha256, "counts": result.counts}
    audit.record(session, Act(actor, "answered", "batch", batch.id, result.received_at, after=after))
    return result


def _read(batch: Batch, upload: Upload) -> tuple[str, ResultFile]:
    readers = METHODS[batch.method].readers
    name = upload.format or next(iter(readers))
    if name not in readers:
        raise Invalid.of(Fault("format", f"a batch by {batch.method} is answered as {', '.join(readers)}"))
    if len(upload.content) > BYTES_MAX:
        raise Invalid.of(Fault("file", f"is larger than {BYTES_MAX // 1024 // 1024} MiB"))
    return name, readers[name](upload.content)


def _with_the_rest(file: ResultFile, items: Mapping[str, BatchItem]) -> Sequence[Answer]:
    """Return the answers, and where the file speaks of all payments one for each it does not name."""
    whole = file.about_all
    if whole is None:
        return file.answers
    named = {answer.end_to_end_id for answer in file.answers}
    rest = [
        Answer(whole.place, end_to_end_id, whole.outcome, whole.reason)
        for end_to_end_id in items
        if end_to_end_id not in named
    ]
    return [*file.answers, *rest]


def _reference_faults(batch: Batch, file: ResultFile) -> list[Fault]:
    if file.reference is None or file.reference == pain001.reference(batch.id):
        return []
    return [Fault("file", f"answers the message {file.reference[:40]}, which is another batch")]


def _faults(batch: Batch, items: Mapping[str, BatchItem], answers: Sequence[Answer]) -> list[Fault]:
    faults = []
    seen: set[str] = set()
    for answer in answers:
        item = items.get(answer.end_to_end_id)
        if item is None:
            faults.append(Fault(answer.place, f"names {answer.end_to_end_id[:40]}, which is no payment of this batch"))
            continue
        if answer.end_to_end_id in seen:
            faults.append(Fault(answer.place, f"answers {answer.end_to_end_id} a second time"))
        seen.add(answer.end_to_end_id)
        if answer.outcome not in _FITS[ItemState(item.state)]:
            faults.append(Fault(answer.place, f"says {answer.outcome} of a payment that is {item.state}"))
        if answer.currency is not None and answer.currency != batch.currency:
            faults.append(Fault(answer.place, f"is in {answer.currency}, and the batch in {batch.currency}"))
        elif answer.amount_minor is not None and answer.amount_minor != item.amount_minor:
            faults.append(Fault(answer.place, "has another amount than was sent"))
    return faults


def _apply(
    runtime: Runtime, session: Session, batch: Batch, item: BatchItem, answer: Answer, *, result_id: str, actor: Actor
) -> str:
    """Do what the answer says; return the word to count it under."""
    day = answer.happened_on or runtime.clock().date()
    reason = answer.reason or f"{answer.outcome}, says {result_id}"
    if answer.outcome is Outcome.PENDING:
        return str(Outcome.PENDING)
    if (answer.outcome, item.state) in _SAYS_NOTHING_NEW:
        return "unchanged"
    account = outcomes.pays_from(batch)
    match answer.outcome:
        case Outcome.SETTLED:
            settled = outcomes.settle(
                runtime, session, item, bank_line_id=None, bank_account=account, settled_on=day, actor=actor
            )
            done = settled == "settled"
        case Outcome.FAILED:
            done = outcomes.fail(runtime, session, item, reason=reason, failed_on=day, actor=actor)
        case Outcome.RETURNED:
            done = outcomes.take_back(
                runtime, session, item, reason=reason, returned_on=day, bank_account=account, actor=actor
            )
        case Outcome.UNKNOWN:
            done = outcomes.lose(runtime, session, item, reason=reason, actor=actor)
    if not done:
        return "unchanged"
    item.result_id = result_id
    return str(answer.outcome)
