"""What is told to the world: kept once a key, sent once, tried again after a failure, given up in the end."""

import email
import email.policy
import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from standardwebhooks.webhooks import Webhook as Verifier

from approvals import jobs
from core import mail, outbound, outbox, webhooks
from core import runtime as runtimes
from core.mail import Letter, MailFailed, SmtpServer
from core.outbound import Answered, NotTaken
from core.outbox import BACKOFF, LEASE, Channel, Message, OutboxMessage
from core.runtime import Delivery, Runtime
from core.webhooks import Webhook
from tests.conftest import TestClock
from tests.processes import free_port

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass
class Received:
    """What a receiver got, and what it answers."""

    url: str
    status: int = 200
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Received]:
    """A real HTTP server on this machine."""
    received = Received("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(received.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        received.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield received
        server.shutdown()
        thread.join()


@pytest.fixture
def hooked(runtime: Runtime, receiver: Received) -> Runtime:
    """The runtime with the receiver as its webhook."""
    key = webhooks.key_of(SECRET)
    assert key is not None
    assert runtime.delivery is not None
    made = replace(runtime, delivery=replace(runtime.delivery, webhook=Webhook(receiver.url, key)))
    runtimes.install(made)
    return made


def put(runtime: Runtime, *messages: Message) -> int:
    with runtime.transaction() as session:
        return outbox.put(runtime, session, messages)


def letter(key: str = "a") -> Message:
    return Message(key, Channel.EMAIL, "ann@example.com", {"subject": "Zoë\r\nBcc: x", "text": "Grüße\n"})


def event(key: str = "e") -> Message:
    return Message(key, Channel.WEBHOOK, "", {"type": "approval.opened", "data": {"z": 1, "a": "é"}})


def rows(runtime: Runtime) -> list[OutboxMessage]:
    with runtime.reading() as session:
        return list(session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id)))


def test_a_letter_is_written_once_as_a_file_that_mail_programs_read(runtime: Runtime, tmp_path: Path) -> None:
    assert (put(runtime, letter()), put(runtime, letter())) == (1, 0)

    jobs.notify()
    jobs.notify()

    [row] = rows(runtime)
    assert (row.attempts, row.next_at, row.error) == (1, None, None)
    assert row.sent_at == runtime.clock()
    [file] = (tmp_path / "outbox").iterdir()
    assert file.name == f"{row.id}.eml"
    read = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (read["To"], read["Subject"], read["Bcc"]) == ("ann@example.com", "Zoë Bcc: x", None)
    assert (read["From"], read["Message-ID"]) == ("clickledger@localhost", f"<{row.id}@clickledger.invalid>")
    assert read.get_content() == "Grüße\r\n"  # as RFC 5322 ends lines


def test_what_was_rolled_back_is_never_sent(runtime: Runtime, tmp_path: Path) -> None:
    def break_off() -> None:
        with runtime.transaction() as session:
            outbox.put(runtime, session, [letter()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()

    jobs.notify()

    assert rows(runtime) == []
    assert not (tmp_path / "outbox").exists()


def test_a_webhook_is_signed_as_standard_webhooks_says(hooked: Runtime, receiver: Received, clock: TestClock) -> None:
    put(hooked, event())

    jobs.notify()

    [(headers, body)] = receiver.requests
    assert json.loads(body) == {"type": "approval.opened", "data": {"z": 1, "a": "é"}}
    assert headers["webhook-id"] == rows(hooked)[0].id
    # The package verifies within minutes of its own clock: the same signature, made for this moment.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Verifier, "_Webhook__verify_timestamp", lambda _self, _header: clock())
        Verifier(SECRET).verify(body, headers)
        with pytest.raises(Exception, match="No matching signature"):
            Verifier(SECRET).verify(body + b" ", headers)


def test_a_failure_is_tried_again_later_under_the_same_id_and_given_up_in_the_end(
    hooked: Runtime, receiver: Received, clock: TestClock
) -> None:
    receiver.status = 503
    put(hooked, event())

    jobs.notify()
    jobs.notify()
    [row] = rows(hooked)
    assert (len(receiver.requests), row.error, row.next_at) == (1, "answered 503", clock() + BACKOFF[0])
    for pause in BACKOFF:
        clock.advance(seconds=pause.total_seconds())
        jobs.notify()
    [row] = rows(hooked)
    assert (row.attempts, row.next_at, row.sent_at) == (len(BACKOFF) + 1, None, None)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    clock.advance(days=30)
    jobs.notify()
    assert len(receiver.requests) == len(BACKOFF) + 1


def test_a_failure_that_passes_is_sent_on_the_next_try(hooked: Runtime, receiver: Received, clock: TestClock) -> None:
    receiver.status = 500
    put(hooked, event())
    jobs.notify()
    receiver.status = 204

    clock.advance(seconds=60)
    jobs.notify()

    [row] = rows(hooked)
    assert (row.attempts, row.error, row.sent_at) == (2, None, clock())


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (202, Answered(202)),
        (302, NotTaken("answered 302", is_worth_repeating=True)),  # and is not followed
        (410, NotTaken("answered 410", is_worth_repeating=False)),
    ],
)
def test_what_another_server_answers(receiver: Received, status: int, answer: Answered | NotTaken) -> None:
    receiver.status = status

    assert outbound.post(receiver.url, b"{}", {}) == answer
    assert len(receiver.requests) == 1


def test_a_server_that_is_not_there_is_named_by_no_more_than_its_fault() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        port = server.server_address[1]

    answer = outbound.post(f"http://127.0.0.1:{port}/token-in-the-path", b"{}", {})

    assert answer == NotTaken("ConnectionError", is_worth_repeating=True)


def test_of_two_that_send_at_once_each_message_is_one_ones(runtime: Runtime, clock: TestClock) -> None:
    put(runtime, *(letter(f"k{number}") for number in range(30)))
    taken: list[str] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        barrier.wait()
        for _ in range(10):
            with runtime.transaction() as session:
                taken.extend(each.id for each in outbox.claimed(session, clock(), 5))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len(set(taken)) == 30


def test_what_its_sender_died_with_is_sent_again_when_the_lease_is_over(
    runtime: Runtime, clock: TestClock, tmp_path: Path
) -> None:
    put(runtime, letter())
    with runtime.transaction() as session:
        outbox.claimed(session, clock(), 5)

    clock.advance(seconds=LEASE.total_seconds() - 1)
    jobs.notify()
    early = [row.sent_at for row in rows(runtime)]
    clock.advance(seconds=1)
    jobs.notify()

    assert early == [None]
    assert len(list((tmp_path / "outbox").iterdir())) == 1


class SmtpHandler(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as one letter takes."""

    taken: list[bytes]
    answer_to_data = b"250 taken"

    def handle(self) -> None:
        """Answer until QUIT."""
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                self.taken.append(body)
                self.wfile.write(self.answer_to_data + b"\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 well\r\n")


class Kept:
    """Keeps what an SMTP server has taken."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Take it."""
        self.envelopes.append(envelope)
        return "250 taken"


@pytest.fixture
def smtp() -> Iterator[Callable[[bytes], SmtpServer]]:
    """Start an SMTP server that answers a letter with the given line."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def started(answer: bytes) -> SmtpServer:
        handler = type("Handler", (SmtpHandler,), {"taken": [], "answer_to_data": answer})
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return SmtpServer("smtp+plain", "127.0.0.1", server.server_address[1])

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_letter_and_its_password_go_encrypted_to_a_server_that_is_who_it_says(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority, passwords, inbox = trustme.CA(), [], Kept()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        passwords.append((given.login, given.password))
        return AuthResult(success=True)

    # After STARTTLS alone a password is taken: aiosmtpd's own default for servers.
    options: dict[str, Any] = (
        {"ssl_context": context, "auth_require_tls": False}
        if scheme == "smtps"
        else {"tls_context": context, "require_starttls": True, "auth_required": True}
    )
    server = Controller(inbox, hostname="127.0.0.1", port=free_port(), authenticator=check, **options)
    server.start()
    way = SmtpServer(scheme, "127.0.0.1", server.port, "ann", "hunter2")
    letter = Letter("msg_1", "ann@example.com", "Hello", "text\n", runtime.clock())
    try:
        with pytest.raises(MailFailed) as stranger:
            mail.send(way, "us@example.com", letter)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        mail.send(way, "us@example.com", letter)
    finally:
        server.stop()

    assert (stranger.value.reason, stranger.value.is_worth_repeating) == ("SSLCertVerificationError", True)
    assert passwords == [(b"ann", b"hunter2")]
    assert [(each.mail_from, each.rcpt_tos) for each in inbox.envelopes] == [("us@example.com", ["ann@example.com"])]


@pytest.mark.parametrize(
    ("answer", "is_worth_repeating"), [(b"250 taken", None), (b"451 later", True), (b"554 never", False)]
)
def test_a_letter_goes_to_an_smtp_server_and_its_refusal_says_whether_to_come_again(
    runtime: Runtime, smtp: Callable[[bytes], SmtpServer], answer: bytes, *, is_worth_repeating: bool | None
) -> None:
    way = smtp(answer)
    one = Letter("msg_1", "ann@example.com", "Hello", "text\n", runtime.clock())
    if is_worth_repeating is None:
        mail.send(way, "us@example.com", one)
        return

    with pytest.raises(MailFailed) as failed:
        mail.send(way, "us@example.com", one)

    assert (failed.value.reason, failed.value.is_worth_repeating) == (
        f"SMTP {answer[:3].decode()}", is_worth_repeating,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://u:p%40ss@mail.example", SmtpServer("smtp", "mail.example", 587, "u", "p@ss")),
        ("smtps://mail.example:2465", SmtpServer("smtps", "mail.example", 2465)),
        ("smtp+plain://127.0.0.1", SmtpServer("smtp+plain", "127.0.0.1", 25)),
        ("smtp+plain://u:p@127.0.0.1", None),  # no password in clear
        ("http://mail.example", None),
        ("smtp://", None),
        ("smtp://mail.example:port", None),
    ],
)
def test_the_address_of_a_mail_server(url: str, server: SmtpServer | None) -> None:
    assert mail.server_of(url) == server


def test_without_a_way_out_messages_wait(runtime: Runtime) -> None:
    runtimes.install(replace(runtime, delivery=None))
    put(runtime, letter())

    jobs.notify()

    assert [(row.attempts, row.sent_at) for row in rows(runtime)] == [(0, None)]


def test_nothing_that_is_printed_shows_a_password_or_a_key() -> None:
    server = SmtpServer("smtp", "mail.example", 587, "u", "hunter2")
    webhook = Webhook("https://hooks.example/token", b"0" * 24)

    shown = repr(Delivery(server, "us@example.com", webhook))

    assert "hunter2" not in shown
    assert "token" not in shown


def test_the_pauses_between_tries_grow() -> None:
    assert list(BACKOFF) == sorted(BACKOFF)
    assert BACKOFF[0] == timedelta(minutes=1)
