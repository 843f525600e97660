"""Builds a process's runtime from its settings."""

from datetime import timedelta

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import Settings
from core.clock import system_clock
from core.database import connect, reading_sessions, sessions
from core.encryption import Keyring
from core.ids import id_maker
from core.mail import Folder, server_of
from core.runtime import AchAccount, Company, Delivery, Runtime, SignOnProvider
from core.webhooks import Webhook, key_of
from partners import presets
from postback import schemes_of_sources

# A postback is answered in well under a second, Redis or no Redis, and a lost ring loses nothing: redis-py's own ten
# retries with growing pauses took 4 s. The one retry is for a pooled connection that a restarted server has closed.
REDIS_TIMEOUT_S = 0.5
REDIS_RETRY = Retry(NoBackoff(), 1)


def build(settings: Settings) -> Runtime:
    """Return the runtime of `settings`. Nothing is connected yet: workers fork first."""
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    presets.install(schemes_of_sources.defaults())
    engine = connect(settings.database_url)
    redis = Redis.from_url(
        settings.redis_url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S, retry=REDIS_RETRY
    )
    return Runtime(
        engine=engine,
        sessions=sessions(engine),
        reading_sessions=reading_sessions(engine),
        redis=redis,
        clock=system_clock,
        new_id=id_maker(system_clock),
        keyring=Keyring.from_text(settings.key_encryption_key, settings.key_encryption_key_previous),
        secret_key=settings.secret_key,
        public_url=settings.public_url,
        company=_company(settings),
        receipt_retention=timedelta(days=settings.receipt_retention_days),
        payee_cool_off=timedelta(days=settings.payee_cool_off_days),
        bank_charge_max=settings.bank_charge_max,
        remittance_grace=timedelta(days=settings.remittance_grace_days),
        rounding_minor=settings.rounding_minor,
        fee_parts=settings.fee_basis_points,
        stale_pending=timedelta(days=settings.stale_pending_days),
        delivery=_delivery(settings),
        audit_heads=settings.var_dir / "audit-heads",
        base_currency=settings.base_currency,
        fx_rates=settings.fx_rates,
        deliveries=settings.var_dir / "deliveries",
        exports=settings.var_dir / "exports",
        imports=settings.var_dir / "imports",
        sign_on=_sign_on(settings),
    )


def _sign_on(settings: Settings) -> SignOnProvider | None:
    if not (settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret):
        return None
    return SignOnProvider(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_name
    )


def _company(settings: Settings) -> Company | None:
    if settings.company_name is None:
        return None
    ach = None
    if settings.company_routing_number and settings.company_ach_id and settings.company_bank_name:
        ach = AchAccount(settings.company_routing_number, settings.company_ach_id, settings.company_bank_name)
    return Company(
        settings.company_name,
        settings.company_iban.replace(" ", "") if settings.company_iban else None,
        settings.company_bic,
        settings.company_address,
        settings.company_vat_id,
        ach,
    )


def _delivery(settings: Settings) -> Delivery:
    server = server_of(settings.smtp_url) if settings.smtp_url else None
    key = key_of(settings.webhook_secret) if settings.webhook_secret else None
    return Delivery(
        mail=server or Folder(settings.var_dir / "outbox"),
        sender=settings.mail_from,
        webhook=Webhook(settings.webhook_url, key) if settings.webhook_url and key else None,
    )
