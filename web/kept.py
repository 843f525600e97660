"""What the launcher makes once under VAR_DIR, and keeps: secrets, and a sandbox account to pay from."""

import base64
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import config

SECRETS: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "KEY_ENCRYPTION_KEY": lambda: base64.b64encode(secrets.token_bytes(config.KEY_BYTES)).decode(),
}

# A well-known example account and a name nobody can overlook: a bank takes no file with it.
SANDBOX_COMPANY = {"COMPANY_NAME": "SANDBOX, set COMPANY_NAME", "COMPANY_IBAN": "DE75512108001245126199"}


def make_secrets(var_dir: Path, environment: Mapping[str, str]) -> None:
    """Keep a fresh secret under `var_dir`, mode 0600, for each the environment does not give; never replace one."""
    for name, make in SECRETS.items():
        if not config.is_given(environment, name):
            keep(var_dir / name.lower(), make())


def make_sandbox_company(var_dir: Path, environment: Mapping[str, str]) -> None:
    """Keep a sandbox account to pay from under `var_dir` when none is given: the whole story works at once."""
    if not any(config.is_given(environment, name) for name in SANDBOX_COMPANY):
        for name, value in SANDBOX_COMPANY.items():
            keep(var_dir / name.lower(), value)


def keep(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all; leave a file that is there."""
    if path.exists():
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two that do this at the same moment the second must not replace the first's.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
