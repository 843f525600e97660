"""Letters: to an SMTP server, or as .eml files into a folder, which is what happens without one."""

import base64
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 15
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
# Permanent refusals of SMTP begin at 550 and above: no such mailbox, not allowed, too large.
_PERMANENT = range(550, 600)


class MailFailed(Exception):
    """A letter has not gone out; `is_worth_repeating` says whether the same may work later."""

    def __init__(self, reason: str, *, is_worth_repeating: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_worth_repeating = is_worth_repeating


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a letter; `mimetype` is type and subtype, such as text/csv."""

    name: str
    mimetype: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """Plain text to one person. `id` makes its Message-ID: sent again, a mailbox knows it for the same."""

    id: str
    to: str
    subject: str
    text: str
    written_at: datetime
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Folder:
    """A folder that takes letters as `<id>.eml`: the default, and for whoever picks them up himself."""

    path: Path


@dataclass(frozen=True)
class SmtpServer:
    """Where letters go. Encrypted unless `scheme` is smtp+plain. No repr: it holds a password."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "SmtpServer(..)"


def server_of(url: str) -> SmtpServer | None:
    """Return the server of `smtp://user:password@host:587` (STARTTLS), `smtps://` or `smtp+plain://`, None for others.

    Without encryption no password is sent, so smtp+plain takes none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        return None
    if parts.scheme == "smtp+plain" and parts.username:
        return None
    user, password = (unquote(each) if each else None for each in (parts.username, parts.password))
    return SmtpServer(parts.scheme, parts.hostname, port, user, password)


def as_json(attachment: Attachment) -> dict[str, str]:
    """Return `attachment` as a message of the outbox keeps it; `from_json` reads it again."""
    content = base64.b64encode(attachment.content).decode()
    return {"name": attachment.name, "mimetype": attachment.mimetype, "base64": content}


def from_json(kept: Mapping[str, str]) -> Attachment:
    """Return the attachment that `as_json` has written."""
    return Attachment(kept["name"], kept["mimetype"], base64.b64decode(kept["base64"]))


def send(way: Folder | SmtpServer, sender: str, letter: Letter) -> None:
    """Send `letter`; raise MailFailed when it has not gone out."""
    message = _message(sender, letter)
    if isinstance(way, Folder):
        _write(way, letter.id, message)
        return
    try:
        _deliver(way, message)
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _text in error.recipients.values()}
        permanent = all(code in _PERMANENT for code in codes)
        reason = f"recipient refused: {sorted(codes)}"
        raise MailFailed(reason, is_worth_repeating=not permanent) from None
    except smtplib.SMTPResponseException as error:
        # Only the code: a server's text quotes addresses.
        permanent = error.smtp_code in _PERMANENT and not isinstance(error, smtplib.SMTPAuthenticationError)
        reason = f"SMTP {error.smtp_code}"
        raise MailFailed(reason, is_worth_repeating=not permanent) from None
    except (OSError, smtplib.SMTPException) as error:
        raise MailFailed(type(error).__name__, is_worth_repeating=True) from None


def _message(sender: str, letter: Letter) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = f"<{letter.id}@clickledger.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    for each in letter.attachments:
        kind, _, subtype = each.mimetype.partition("/")
        message.add_attachment(each.content, maintype=kind, subtype=subtype, filename=each.name)
    return message


def _write(folder: Folder, letter_id: str, message: EmailMessage) -> None:
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = folder.path / f".{letter_id}.part"
        unfinished.write_bytes(bytes(message))
        # In one step: whoever picks letters up never sees half of one, and written again it is the same file.
        unfinished.replace(folder.path / f"{letter_id}.eml")
    except OSError as error:
        raise MailFailed(type(error).__name__, is_worth_repeating=True) from None


def _deliver(server: SmtpServer, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    with connection:
        if server.scheme == "smtp":
            connection.starttls(context=context)
        if server.user is not None:
            connection.login(server.user, server.password or "")
        connection.send_message(message)
