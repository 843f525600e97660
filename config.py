"""The settings: read once from the environment, all faults together, no secret with a default."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core import mail, webhooks
from core.account_texts import ach_id_fault, routing_fault
from core.bank_accounts import bic_fault, iban_fault
from core.money import EXPONENTS

KEY_BYTES = 32
SECRET_KEY_LENGTH_MIN = 32


class ConfigurationError(ValueError):
    """Everything wrong with the environment, one line a fault; no value of a secret is quoted."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the settings do not hold:\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, repr=False)
class Settings:
    """One field a setting; .env.example explains each. No repr: it would print secrets."""

    host: str
    port: int
    database_url: str
    redis_url: str
    secret_key: bytes
    key_encryption_key: str
    key_encryption_key_previous: str | None
    public_url: str
    trusted_proxy_hops: int
    var_dir: Path
    web_processes: int
    intake_port: int
    intake_processes: int
    receipt_retention_days: int
    company_name: str | None
    company_iban: str | None
    company_bic: str | None
    company_address: str | None
    company_vat_id: str | None
    company_routing_number: str | None
    company_ach_id: str | None
    company_bank_name: str | None
    payee_cool_off_days: int
    bank_charge_max: int
    remittance_grace_days: int
    rounding_minor: int
    fee_basis_points: int
    stale_pending_days: int
    smtp_url: str | None
    mail_from: str
    webhook_url: str | None
    webhook_secret: str | None
    base_currency: str
    fx_rates: str | None
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_name: str


class _Reader:
    """Reads single settings and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None, *, kept_in: Path | None = None) -> str:
        """Return NAME, or what the file NAME_FILE holds; a missing one without a default is a fault.

        `kept_in` is a folder whose file `name`, in lower case, counts when the environment says nothing: there
        `make run` keeps what it made, so that a command typed by hand finds the same.
        """
        value, file = self.environment.get(name), self.environment.get(f"{name}_FILE")
        if kept_in is not None and not (value or file) and (kept := kept_in / name.lower()).exists():
            file = str(kept)
        if value and file:
            self.faults.append(f"{name} and {name}_FILE are both set: which one counts?")
        elif file:
            try:
                value = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.faults.append(f"{name}_FILE cannot be read: {type(error).__name__} ({file})")
                return ""
        if value:
            return value
        if default is None:
            self.faults.append(f"{name} is needed (or {name}_FILE); `make run` makes one under VAR_DIR")
            return ""
        return default

    def number(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        """Return NAME as a whole number within its bounds."""
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit() and lowest <= int(value) <= highest):
            self.faults.append(f"{name} takes a whole number from {lowest} to {highest}")
            return default
        return int(value)

    def checked(self, name: str, value: str, fault: Callable[[str], str | None]) -> str:
        """Return `value`, noting what `fault` says about it."""
        found = fault(value) if value else None
        if found:
            self.faults.append(f"{name} {found}")
        return value


def load(environment: Mapping[str, str]) -> Settings:
    """Return the settings `environment` holds; raise ConfigurationError with every fault at once."""
    read = _Reader(environment)
    host = read.text("HOST", "127.0.0.1")
    port = read.number("PORT", 8000, lowest=1, highest=65535)
    var_dir = _var_dir(read)
    settings = Settings(
        host=host,
        port=port,
        database_url=read.checked(
            "DATABASE_URL", read.text("DATABASE_URL", f"sqlite:///{var_dir}/clickledger.sqlite"), _database_fault
        ),
        redis_url=read.checked(
            "REDIS_URL",
            read.text("REDIS_URL", f"unix://{quote(str(var_dir))}/valkey.sock", kept_in=var_dir),
            _redis_fault,
        ),
        secret_key=read.checked("SECRET_KEY", read.text("SECRET_KEY", kept_in=var_dir), _secret_key_fault).encode(),
        key_encryption_key=read.checked(
            "KEY_ENCRYPTION_KEY", read.text("KEY_ENCRYPTION_KEY", kept_in=var_dir), _key_fault
        ),
        key_encryption_key_previous=read.checked(
            "KEY_ENCRYPTION_KEY_PREVIOUS", read.text("KEY_ENCRYPTION_KEY_PREVIOUS", ""), _key_fault
        )
        or None,
        public_url=read.checked(
            "PUBLIC_URL", read.text("PUBLIC_URL", f"http://{in_url(host)}:{port}"), _url_fault
        ).rstrip("/"),
        trusted_proxy_hops=read.number("TRUSTED_PROXY_HOPS", 0, lowest=0, highest=10),
        var_dir=var_dir,
        web_processes=read.number("WEB_PROCESSES", 2, lowest=1, highest=64),
        intake_port=read.number("INTAKE_PORT", 0, lowest=0, highest=65535),
        intake_processes=read.number("INTAKE_PROCESSES", 2, lowest=1, highest=64),
        receipt_retention_days=read.number("RECEIPT_RETENTION_DAYS", 400, lowest=90, highest=3650),
        **_company(read, var_dir),
        payee_cool_off_days=read.number("PAYEE_COOL_OFF_DAYS", 3, lowest=0, highest=90),
        **_month_end(read),
        smtp_url=read.checked("SMTP_URL", read.text("SMTP_URL", ""), _smtp_fault) or None,
        mail_from=read.checked("MAIL_FROM", read.text("MAIL_FROM", "clickledger@localhost"), _address_fault),
        webhook_url=read.checked("WEBHOOK_URL", read.text("WEBHOOK_URL", ""), _url_fault) or None,
        webhook_secret=read.checked("WEBHOOK_SECRET", read.text("WEBHOOK_SECRET", ""), _webhook_secret_fault) or None,
        base_currency=read.checked("BASE_CURRENCY", read.text("BASE_CURRENCY", "EUR"), _currency_fault),
        fx_rates=_place(read.text("FX_RATES", "")),
        oidc_issuer=read.checked("OIDC_ISSUER", read.text("OIDC_ISSUER", ""), _issuer_fault) or None,
        oidc_client_id=read.text("OIDC_CLIENT_ID", "") or None,
        oidc_client_secret=read.text("OIDC_CLIENT_SECRET", "") or None,
        oidc_name=read.text("OIDC_NAME", "single sign-on"),
    )
    if settings.intake_port == settings.port:
        read.faults.append("INTAKE_PORT is PORT: the second service needs a port of its own")
    read.faults += _company_faults(settings)
    if (settings.webhook_url is None) is not (settings.webhook_secret is None):
        read.faults.append("WEBHOOK_URL and WEBHOOK_SECRET go together: no event is sent unsigned")
    if len({bool(each) for each in (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)}) > 1:
        read.faults.append("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together")
    if read.faults:
        raise ConfigurationError(read.faults)
    return settings


def _company(read: _Reader, kept_in: Path) -> dict[str, Any]:
    return {
        "company_name": read.text("COMPANY_NAME", "", kept_in=kept_in) or None,
        "company_iban": read.checked("COMPANY_IBAN", read.text("COMPANY_IBAN", "", kept_in=kept_in), iban_fault)
        or None,
        "company_bic": read.checked("COMPANY_BIC", read.text("COMPANY_BIC", "", kept_in=kept_in), bic_fault) or None,
        "company_address": read.text("COMPANY_ADDRESS", "") or None,
        "company_vat_id": read.text("COMPANY_VAT_ID", "") or None,
        "company_routing_number": read.checked(
            "COMPANY_ROUTING_NUMBER", read.text("COMPANY_ROUTING_NUMBER", ""), routing_fault
        )
        or None,
        "company_ach_id": read.checked("COMPANY_ACH_ID", read.text("COMPANY_ACH_ID", ""), ach_id_fault) or None,
        "company_bank_name": read.text("COMPANY_BANK_NAME", "") or None,
    }


def _company_faults(settings: Settings) -> list[str]:
    ach = (settings.company_routing_number, settings.company_ach_id, settings.company_bank_name)
    faults = []
    if any(ach) and not all(ach):
        faults.append("COMPANY_ROUTING_NUMBER, COMPANY_ACH_ID and COMPANY_BANK_NAME go together: NACHA files name all")
    if bool(settings.company_name) is not bool(settings.company_iban or any(ach)):
        faults.append("COMPANY_NAME goes with COMPANY_IBAN or COMPANY_ROUTING_NUMBER: payment files name both")
    return faults


def _month_end(read: _Reader) -> dict[str, Any]:
    return {
        "bank_charge_max": read.number("BANK_CHARGE_MAX", 30, lowest=0, highest=1000),
        "remittance_grace_days": read.number("REMITTANCE_GRACE_DAYS", 5, lowest=0, highest=365),
        "rounding_minor": read.number("ROUNDING_MINOR", 1, lowest=0, highest=100),
        "fee_basis_points": read.number("FEE_BASIS_POINTS", 200, lowest=0, highest=1000),
        "stale_pending_days": read.number("STALE_PENDING_DAYS", 30, lowest=1, highest=730),
    }


def in_url(host: str) -> str:
    """Return `host` as it stands in a URL or a gunicorn address: one of IPv6 in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def var_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder for everything kept, before the other settings can be told."""
    read = _Reader(environment)
    folder = _var_dir(read)
    if read.faults:
        raise ConfigurationError(read.faults)
    return folder


def is_given(environment: Mapping[str, str], name: str) -> bool:
    """Say whether `environment` names NAME or NAME_FILE."""
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def _var_dir(read: _Reader) -> Path:
    return Path(read.text("VAR_DIR", "var")).absolute()


def _place(text: str) -> str | None:
    is_address = text.startswith(("http://", "https://"))
    return (text if is_address else str(Path(text).absolute())) if text else None


def _currency_fault(code: str) -> str | None:
    return None if code in EXPONENTS else "takes a currency of ISO 4217, such as EUR"


def _database_fault(url: str) -> str | None:
    schemes = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")
    return None if url.startswith(schemes) else f"must begin with one of {', '.join(schemes)}"


def _redis_fault(url: str) -> str | None:
    schemes = ("redis://", "rediss://", "unix://")
    return None if url.startswith(schemes) else f"must begin with one of {', '.join(schemes)}"


def _issuer_fault(value: str) -> str | None:
    # In clear it goes to this machine alone: whoever answers in the provider's place signs in as anybody.
    is_ours = value.startswith(("http://localhost:", "http://127.0.0.1:"))
    return None if value.startswith("https://") or is_ours else "takes the provider's address, https://.."


def _url_fault(url: str) -> str | None:
    return None if url.startswith(("http://", "https://")) else "must begin with http:// or https://"


def _smtp_fault(url: str) -> str | None:
    if mail.server_of(url) is not None:
        return None
    return "must be smtp://user:password@host:587, smtps://.., or smtp+plain://host without a password"


def _address_fault(text: str) -> str | None:
    is_one = re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", text)
    return None if is_one else "must be one e-mail address"


def _webhook_secret_fault(text: str) -> str | None:
    return None if webhooks.key_of(text) is not None else "must be whsec_ and base64 of 24 to 64 bytes"


def _secret_key_fault(text: str) -> str | None:
    return None if len(text) >= SECRET_KEY_LENGTH_MIN else f"needs at least {SECRET_KEY_LENGTH_MIN} characters"


def _key_fault(text: str) -> str | None:
    try:
        length = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return f"must be base64 of {KEY_BYTES} bytes"
    return None if length == KEY_BYTES else f"must be base64 of {KEY_BYTES} bytes, not {length}"
