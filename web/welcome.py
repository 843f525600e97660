"""What `make run` says when the server answers: the address, and the next step that is still missing."""

import json
import sys
import time
import urllib.error
import urllib.request

import sqlalchemy as sa

import config
from access.models import ApiToken, Staff
from core.errors import Conflict
from core.runtime import Runtime
from partners.models import Source
from postback import example
from web import assembly

START_S_MAX = 60
FLASK = ".venv/bin/flask --app wsgi"


def say_when_ready(settings: config.Settings) -> None:
    """Print the welcome once the server is ready; say nothing when it never is, for its own log then speaks."""
    if is_ready(settings, within_s=START_S_MAX):
        print(f"\n{text(settings)}\n", file=sys.stdout, flush=True)


def is_ready(settings: config.Settings, *, within_s: float) -> bool:
    """Wait until /readyz finds everything fit, Valkey too, and say whether it did in time."""
    address = f"{local_url(settings)}/readyz"
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - our own http address
                if json.load(answer)["redis"] == "ok":
                    return True
        except (urllib.error.URLError, OSError, ValueError):
            pass
        time.sleep(0.1)
    return False


def local_url(settings: config.Settings) -> str:
    """Return where this machine itself reaches the server, whatever the world calls it."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - recognised, not bound
    return f"http://{config.in_url(host)}:{settings.port}"


def text(settings: config.Settings) -> str:
    """Return where the server is and how to go on from what the database holds."""
    runtime = assembly.build(settings)
    with runtime.reading() as session:
        staff = session.scalar(sa.select(sa.func.count()).select_from(Staff)) or 0
        tokens = session.scalar(sa.select(sa.func.count()).select_from(ApiToken)) or 0
        source = session.scalar(sa.select(Source).where(Source.state == "active").order_by(Source.id).limit(1))
        postback = _postback(runtime, source)
    runtime.engine.dispose()
    url = settings.public_url
    parts = [f"Clickledger is at {url}   (API: {url}/api/docs, sign in: {url}/sign-in)"]
    if not staff:
        parts.append(f"Nobody can sign in yet. The first person:\n  {FLASK} staff create you@example.com --role admin")
    if (settings.company_name or "").startswith("SANDBOX"):
        parts.append("Payment files name a sandbox account until COMPANY_NAME and COMPANY_IBAN are set.")
    if not tokens:
        parts.append(f"No machine has a token yet. The first:\n  {FLASK} token create setup --scope all-machine")
    if source is None:
        parts.append(
            "No source yet, so nothing can be signed. With the token:\n"
            f"  curl {url}/api/v1/sources -H 'Authorization: Bearer '$TOKEN -H 'Content-Type: application/json' \\\n"
            """    -d '{"name": "First network", "scheme": "pb1", "default_currency": "EUR"}'"""
        )
    elif postback:
        parts.append(f"A postback of {source.name}, signed and good for half an hour:\n  {postback}")
    return "\n\n".join(parts)


def _postback(runtime: Runtime, source: Source | None) -> str | None:
    if source is None:
        return None
    try:
        return example.build(runtime, source).curl
    except Conflict:  # every secret of it was revoked
        return None
