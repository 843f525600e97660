"""The settings: where a value may come from, and all faults at once."""

import base64
from pathlib import Path

import pytest

import config

SECRET_KEY = "a secret key for tests, forty characters"
KEY_ENCRYPTION_KEY = base64.b64encode(bytes(32)).decode()


def test_without_secrets_nothing_starts_and_every_fault_is_said_at_once(tmp_path: Path) -> None:
    environment = {"VAR_DIR": str(tmp_path), "PORT": "eighty", "PUBLIC_URL": "ftp://example.com"}

    with pytest.raises(config.ConfigurationError) as raised:
        config.load(environment)

    assert [fault.split()[0] for fault in raised.value.faults] == [
        "PORT", "SECRET_KEY", "KEY_ENCRYPTION_KEY", "PUBLIC_URL",
    ]  # fmt: skip


def test_a_secret_may_stand_in_a_file_but_not_in_two_places(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(f"{SECRET_KEY}\n")
    environment = {
        "VAR_DIR": str(tmp_path / "var"),
        "SECRET_KEY_FILE": str(tmp_path / "elsewhere"),
        "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
    }

    assert config.load(environment).secret_key == SECRET_KEY.encode()
    with pytest.raises(config.ConfigurationError, match="both set"):
        config.load(environment | {"SECRET_KEY": SECRET_KEY})


def test_what_the_launcher_keeps_in_var_is_found_and_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text(SECRET_KEY)
    (tmp_path / "key_encryption_key").write_text(KEY_ENCRYPTION_KEY)
    (tmp_path / "redis_url").write_text("unix:///tmp/short/valkey.sock")
    environment = {"VAR_DIR": str(tmp_path)}

    kept = config.load(environment)
    given = config.load(environment | {"SECRET_KEY": "x" * 32, "REDIS_URL": "redis://localhost"})

    assert kept.secret_key == SECRET_KEY.encode()
    assert kept.redis_url == "unix:///tmp/short/valkey.sock"
    assert given.secret_key == b"x" * 32
    assert given.redis_url == "redis://localhost"


def test_the_settings_show_no_secret(tmp_path: Path) -> None:
    settings = config.load(
        {"VAR_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY}
    )

    assert SECRET_KEY not in repr(settings)
    assert KEY_ENCRYPTION_KEY not in str(settings)
