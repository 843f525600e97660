"""The RQ door of approvals: the stages escalation and notifying."""

from approvals import digests, escalation
from core import mail, outbound, outbox, webhooks
from core.mail import Letter, MailFailed
from core.outbound import NotTaken
from core.outbox import Channel, Claimed
from core.runtime import Delivery, Runtime, installed

ROWS_MAX = 200
# So few that a server which lets every one of them time out does not outlast their lease.
MESSAGES_MAX = 12


def escalate() -> None:
    """Remind before a timeout, ask more people after it or where too few are left: one transaction a request."""
    runtime = installed()
    reminded = ROWS_MAX
    while reminded:
        with runtime.transaction() as session:
            reminded = escalation.remind(runtime, session, ROWS_MAX)
    after: str | None = None
    while True:
        with runtime.reading() as session:
            found = escalation.waiting(session, runtime.clock(), after=after, limit=ROWS_MAX)
            after = escalation.last_open(session, after=after, limit=ROWS_MAX)
        for request_id in found:
            with runtime.transaction() as session:
                escalation.escalate(runtime, session, request_id)
        if after is None:
            return


def notify() -> None:
    """Write the day's digests, then send what is due, each once: claimed, sent outside any transaction, recorded."""
    runtime = installed()
    with runtime.reading() as session:
        people = digests.due(session, runtime.clock())
    for staff_id in people:
        with runtime.transaction() as session:
            digests.send(runtime, session, staff_id)
    if runtime.delivery is None:
        return
    while True:
        with runtime.transaction() as session:
            messages = outbox.claimed(session, runtime.clock(), MESSAGES_MAX)
        if not messages:
            return
        for message in messages:
            _send(runtime, runtime.delivery, message)


def _send(runtime: Runtime, delivery: Delivery, message: Claimed) -> None:
    failed = _failure(runtime, delivery, message)
    with runtime.transaction() as session:
        if failed is None:
            outbox.record_sent(session, message.id, runtime.clock())
        else:
            reason, is_final = failed
            outbox.record_failure(session, message.id, reason, runtime.clock(), is_final=is_final)


def _failure(runtime: Runtime, delivery: Delivery, message: Claimed) -> tuple[str, bool] | None:
    """Send `message`; return why it has not gone out and whether that is for good, None when it has."""
    match message.channel:
        case Channel.EMAIL:
            letter = Letter(
                id=message.id,
                to=message.recipient,
                subject=message.payload["subject"],
                text=message.payload["text"],
                written_at=message.created_at,
                attachments=tuple(map(mail.from_json, message.payload.get("attachments", ()))),
            )
            try:
                mail.send(delivery.mail, delivery.sender, letter)
            except MailFailed as error:
                return error.reason, not error.is_worth_repeating
            return None
        case Channel.WEBHOOK:
            if delivery.webhook is None:
                return "no WEBHOOK_URL is set any more", True
            body = webhooks.body_of(message.payload)
            headers = webhooks.headers_of(delivery.webhook, message.id, body, runtime.clock())
            answer = outbound.post(delivery.webhook.url, body, headers)
            return (answer.reason, not answer.is_worth_repeating) if isinstance(answer, NotTaken) else None
