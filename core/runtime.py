"""What a process carries: database, doorbell, clock, ids, keys. Built once at a door, taken from here everywhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from redis import Redis
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from core import audit, doorbell
from core.clock import Clock
from core.encryption import Keyring
from core.errors import Unavailable
from core.ids import NewId
from core.mail import Folder, SmtpServer
from core.webhooks import Webhook


@dataclass(frozen=True)
class AchAccount:
    """A bank in the United States and who we are there, as NACHA files name both. No repr, as with Company."""

    routing_number: str
    company_id: str
    bank_name: str

    def __repr__(self) -> str:
        return "AchAccount(..)"


@dataclass(frozen=True)
class Company:
    """Who runs this installation, and the accounts it pays from. No repr: an account number belongs in no log."""

    name: str
    iban: str | None = None
    bic: str | None = None
    address: str | None = None
    vat_id: str | None = None
    ach: AchAccount | None = None

    def __repr__(self) -> str:
        return "Company(..)"


@dataclass(frozen=True)
class Delivery:
    """How messages leave: letters in `sender`'s name by `mail`, events to `webhook` where there is one."""

    mail: Folder | SmtpServer
    sender: str
    webhook: Webhook | None = None


@dataclass(frozen=True)
class SignOnProvider:
    """Whom we believe about who somebody is, by OpenID Connect; `name` is how people call it."""

    issuer: str
    client_id: str
    client_secret: str
    name: str


@dataclass(frozen=True)
class Runtime:
    """The engine's parts. `secret_key` signs and peppers; `public_url` has no slash at its end.

    `audit_heads` is the folder of the audit log's signed heads, `deliveries` that of delivered reports, `exports` that
    of the files people asked for, `imports` that of reports on their way in. `company` is None while the settings do
    not name an account to pay from. For
    `payee_cool_off` after an affiliate's account was changed no money leaves to it. What lacks of a remittance up to
    `bank_charge_max` (whole units of its currency) may be a bank's charge, and it is late `remittance_grace` after its
    due day. Without `delivery` messages are kept and wait. Up to `rounding_minor` minor units a difference at month end
    is one of rounding, up to `fee_parts` hundredths of a percent perhaps a fee; a network's line is pending for too
    long after `stale_pending`.
    """

    engine: sa.Engine
    sessions: sessionmaker[Session]
    reading_sessions: sessionmaker[Session]
    redis: Redis
    clock: Clock
    new_id: NewId
    keyring: Keyring
    secret_key: bytes
    public_url: str
    company: Company | None = None
    receipt_retention: timedelta = timedelta(days=400)
    payee_cool_off: timedelta = timedelta(days=3)
    bank_charge_max: int = 30
    remittance_grace: timedelta = timedelta(days=5)
    rounding_minor: int = 1
    fee_parts: int = 200
    stale_pending: timedelta = timedelta(days=30)
    delivery: Delivery | None = None
    audit_heads: Path = Path("var/audit-heads")
    base_currency: str = "EUR"
    fx_rates: str | None = None
    deliveries: Path = Path("var/deliveries")
    exports: Path = Path("var/exports")
    sign_on: SignOnProvider | None = None
    imports: Path = Path("var/imports")

    @contextmanager
    def transaction(self, *, ring: Callable[[str], object] | None = None) -> Iterator[Session]:
        """Open the one transaction of a request, a job's batch or a command; commit at its end, then ring.

        `ring` takes the names of the stages to wake, in place of ringing here and now.

        Only doors call this (routes, jobs, commands, the intake writer). Raises Unavailable when the database is
        away, its pool is empty for two seconds or it stays locked: nothing was stored then.
        """
        session = self.sessions()
        try:
            with session:
                yield session
                audit.write_pending(session)
                session.commit()
                rings = doorbell.taken_rings(session)
        except (DBAPIError, PoolTimeoutError) as error:
            if not _is_outage(error):
                raise
            raise _unavailable(error) from error
        finally:
            audit.forget_pending(session)
            doorbell.taken_rings(session)
        for stage in sorted(rings):
            if ring is None:
                doorbell.ring(self.redis, stage)
            else:
                ring(stage)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that only reads, on one snapshot."""
        try:
            with self.reading_sessions() as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise _unavailable(error) from error


_installed: Runtime | None = None


def install(runtime: Runtime) -> None:
    """Make `runtime` the one of this process, in place of an earlier one."""
    global _installed  # noqa: PLW0603 - one process, one runtime; RQ jobs have no other way to find it
    _installed = runtime


def installed() -> Runtime:
    """Return this process's runtime; a process that serves or works has installed one at its start."""
    if _installed is None:
        message = "no runtime is installed: start through wsgi.py, worker.py or the command line"
        raise RuntimeError(message)
    return _installed


def _is_outage(error: Exception) -> bool:
    """Say whether the database, and not the statement, is what failed."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    # PostgreSQL turned read-only (25006, a standby or a full disk's safeguard) raises an InternalError.
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "25006"


def _unavailable(error: Exception) -> Unavailable:
    # The driver's text names the address and may quote values: keep it as the cause, out of the answer.
    return Unavailable(f"the database does not answer just now ({type(error).__name__}); try again")
