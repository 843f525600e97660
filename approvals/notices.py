"""What people and other programs are told about requests: rows of the outbox, in the commit of what they tell."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from access import people
from approvals.models import ApprovalRequest, ApprovalStep
from core import outbox
from core.http.wire import moment_text, money_dict
from core.money import Money
from core.outbox import Channel, Message
from core.runtime import Runtime

NAMED_MAX = 20


class Event(StrEnum):
    """What a webhook tells; `docs/approvals.md` lists them."""

    OPENED = "approval.opened"
    DECIDED = "approval.decided"
    APPROVED = "approval.approved"
    REJECTED = "approval.rejected"
    VOIDED = "approval.voided"
    ESCALATED = "approval.escalated"
    REASSIGNED = "approval.reassigned"


def publish(runtime: Runtime, session: Session, events: Iterable[tuple[Event, Mapping[str, Any]]]) -> None:
    """Keep `events` about requests, each a mapping of a request's columns, for the webhook; without one do nothing."""
    if runtime.delivery is None or runtime.delivery.webhook is None:
        return
    now = moment_text(runtime.clock())
    outbox.put(
        runtime,
        session,
        [
            Message(
                # A request's version moves on with each of these, but for two that happen at the same one.
                key=f"{event}/{row['id']}/{row['version']}/{now}",
                channel=Channel.WEBHOOK,
                recipient="",
                payload={"type": event.value, "timestamp": now, "data": _shown(row)},
            )
            for event, row in events
        ],
    )


def tell(runtime: Runtime, session: Session, event: Event, request: ApprovalRequest) -> None:
    """Keep one event about `request` as it is now."""
    publish(runtime, session, [(event, _columns(request))])


def letters(
    runtime: Runtime, session: Session, staff_ids: Iterable[str], *, key: str, subject: str, lines: Sequence[str]
) -> None:
    """Keep one letter to each of these people, told once under `key`."""
    addresses = people.emails(session, staff_ids)
    text = "\n".join([*lines, "", f"{runtime.public_url}/approvals", ""])
    outbox.put(
        runtime,
        session,
        [
            Message(f"{key}/{staff_id}", Channel.EMAIL, address, {"subject": subject, "text": text})
            for staff_id, address in sorted(addresses.items())
        ],
    )


def escalated(runtime: Runtime, session: Session, step: ApprovalStep, staff_ids: Iterable[str]) -> None:
    """Tell those who were added to a step, and the webhook."""
    request = step.request
    letters(
        runtime, session, staff_ids,
        key=f"escalated/{request.id}/{step.step_id}/{step.escalations}",
        subject=f"Approval waits for you: {request.title}",
        lines=[
            f"{_named(request)} waits at the step {step.step_id}.",
            "Those who were asked first have not decided in time, or too few of them may. You are asked as well.",
            *_where(runtime, request),
        ],
    )  # fmt: skip
    tell(runtime, session, Event.ESCALATED, request)


def reassigned(runtime: Runtime, session: Session, step: ApprovalStep, staff_id: str, reason: str) -> None:
    """Tell the person who was put in another's place, and the webhook."""
    request = step.request
    letters(
        runtime, session, [staff_id],
        key=f"reassigned/{request.id}/{step.step_id}/{request.version}",
        subject=f"Approval handed to you: {request.title}",
        lines=[f"{_named(request)} was handed to you at the step {step.step_id}: {reason}", *_where(runtime, request)],
    )  # fmt: skip
    tell(runtime, session, Event.REASSIGNED, request)


def reminded(runtime: Runtime, session: Session, step: ApprovalStep, staff_ids: Iterable[str], due: datetime) -> None:
    """Remind those who may decide a step before it escalates at `due`."""
    request = step.request
    letters(
        runtime, session, staff_ids,
        key=f"reminder/{request.id}/{step.step_id}/{moment_text(due)}",
        subject=f"Reminder: {request.title}",
        lines=[
            f"{_named(request)} waits for you at the step {step.step_id}.",
            f"If nobody decides by {moment_text(due)}, others are asked as well.",
            *_where(runtime, request),
        ],
    )  # fmt: skip


def digest(
    runtime: Runtime, session: Session, staff_id: str, sums: Sequence[tuple[int, Money]], titles: Sequence[str]
) -> None:
    """Tell one person, once a day, what waits for him: how many and how much a currency, and the oldest by name."""
    count = sum(number for number, _money in sums)
    total = " and ".join(str(money) for _number, money in sums)
    noun = "request waits" if count == 1 else "requests wait"
    rest = [f"and {count - len(titles)} more"] if count > len(titles) else []
    letters(
        runtime, session, [staff_id],
        key=f"digest/{runtime.clock().date().isoformat()}",
        subject=f"{count} {noun} for your decision",
        lines=[f"{count} {noun} for your decision: {total}.", "", *(f"- {title}" for title in titles), *rest],
    )  # fmt: skip


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a webhook says of a request: no name, no account, and the ids under which to ask for more."""
    return {
        "approval_id": row["id"],
        "subject": {"kind": row["subject_kind"], "id": row["subject_id"]},
        "money": money_dict(Money(row["amount_minor"], row["currency"])),
        "state": str(row["state"]),
        "chain": row["chain_id"],
        "policy_version": row["policy_version"],
        "version": row["version"],
    }


def _columns(request: ApprovalRequest) -> dict[str, Any]:
    return {column.key: getattr(request, column.key) for column in ApprovalRequest.__table__.columns}


def _named(request: ApprovalRequest) -> str:
    return f"{request.title} ({Money(request.amount_minor, request.currency)})"


def _where(runtime: Runtime, request: ApprovalRequest) -> list[str]:
    return ["", f"{runtime.public_url}/approvals/{request.id}"]
