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


def test_a_secret_with_a_fault_is_named_and_never_quoted(tmp_path: Path) -> None:
    environment = {
        "VAR_DIR": str(tmp_path),
        "SECRET_KEY": "hunter2-too-short",
        "KEY_ENCRYPTION_KEY": "hunter2-no-base64",
        "DATABASE_URL": "mysql://root:hunter2@localhost/x",
        "REDIS_URL": "http://:hunter2@localhost",
        "WEB_PROCESSES": "0",
        "TRUSTED_PROXY_HOPS": "-1",
    }

    with pytest.raises(config.ConfigurationError) as raised:
        config.load(environment)

    assert {fault.split()[0] for fault in raised.value.faults} == {
        "SECRET_KEY", "KEY_ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "WEB_PROCESSES", "TRUSTED_PROXY_HOPS",
    }  # fmt: skip
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("length", [31, 33])
def test_a_key_encryption_key_has_exactly_32_bytes(tmp_path: Path, length: int) -> None:
    key = base64.b64encode(bytes(length)).decode()

    with pytest.raises(config.ConfigurationError) as raised:
        config.load({"VAR_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": key})

    assert raised.value.faults == [f"KEY_ENCRYPTION_KEY must be base64 of 32 bytes, not {length}"]


def test_every_setting_may_stand_in_a_file_and_one_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9000\n")
    (tmp_path / "key").write_text(KEY_ENCRYPTION_KEY)
    environment = {
        "VAR_DIR": str(tmp_path / "var"),
        "PORT_FILE": str(tmp_path / "port"),
        "SECRET_KEY": SECRET_KEY,
        "KEY_ENCRYPTION_KEY_FILE": str(tmp_path / "key"),
    }

    assert config.load(environment).port == 9000
    with pytest.raises(config.ConfigurationError) as raised:
        config.load(environment | {"PORT_FILE": str(tmp_path / "nowhere")})
    assert any(fault.startswith("PORT_FILE cannot be read") for fault in raised.value.faults)


def test_the_company_that_pays_is_named_with_its_account_or_not_at_all(tmp_path: Path) -> None:
    needed = {"SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY, "VAR_DIR": str(tmp_path)}

    whole = config.load({**needed, "COMPANY_NAME": "Example GmbH", "COMPANY_IBAN": "DE02120300000000202051"})
    with pytest.raises(config.ConfigurationError) as half:
        config.load({**needed, "COMPANY_IBAN": "DE02120300000000202052", "COMPANY_BIC": "X"})

    assert (whole.company_name, whole.company_iban, whole.company_bic) == (
        "Example GmbH",
        "DE02120300000000202051",
        None,
    )
    assert config.load(needed).company_name is None
    assert half.value.faults == [
        "COMPANY_IBAN is no IBAN (InvalidChecksumDigits)",
        "COMPANY_BIC is no BIC (InvalidLength)",
        "COMPANY_NAME goes with COMPANY_IBAN or COMPANY_ROUTING_NUMBER: payment files name both",
    ]


def test_an_account_in_the_united_states_is_named_whole_and_pays_without_an_iban(tmp_path: Path) -> None:
    needed = {"SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY, "VAR_DIR": str(tmp_path)}
    ours = {"COMPANY_ROUTING_NUMBER": "091000019", "COMPANY_ACH_ID": "1234567890", "COMPANY_BANK_NAME": "First Bank"}

    whole = config.load({**needed, **ours, "COMPANY_NAME": "Example Inc"})
    with pytest.raises(config.ConfigurationError) as half:
        config.load({**needed, "COMPANY_ROUTING_NUMBER": "091000018", "COMPANY_ACH_ID": "12345678901"})

    assert (whole.company_iban, whole.company_routing_number, whole.company_ach_id, whole.company_bank_name) == (
        None, "091000019", "1234567890", "First Bank",
    )  # fmt: skip
    assert half.value.faults == [
        "COMPANY_ROUTING_NUMBER has a wrong check digit",
        "COMPANY_ACH_ID takes 1 to 10 letters and digits",
        "COMPANY_ROUTING_NUMBER, COMPANY_ACH_ID and COMPANY_BANK_NAME go together: NACHA files name all",
        "COMPANY_NAME goes with COMPANY_IBAN or COMPANY_ROUTING_NUMBER: payment files name both",
    ]


def test_an_address_of_ipv6_stands_in_brackets_in_the_public_url(tmp_path: Path) -> None:
    settings = config.load(
        {"VAR_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY, "HOST": "::1"}
    )

    assert settings.public_url == "http://[::1]:8000"


def test_where_letters_and_events_go_is_checked_whole_and_no_event_goes_unsigned(tmp_path: Path) -> None:
    secrets = {"VAR_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY}
    secret = f"whsec_{base64.b64encode(bytes(24)).decode()}"
    wrong = {"SMTP_URL": "smtp+plain://u:hunter2@mail", "MAIL_FROM": "us", "WEBHOOK_URL": "x", "WEBHOOK_SECRET": "s"}

    with pytest.raises(config.ConfigurationError) as raised:
        config.load(secrets | wrong)
    with pytest.raises(config.ConfigurationError, match="go together"):
        config.load(secrets | {"WEBHOOK_URL": "https://hooks.example"})
    settings = config.load(secrets | {"WEBHOOK_URL": "https://hooks.example", "WEBHOOK_SECRET": secret})

    assert [fault.split()[0] for fault in raised.value.faults] == [
        "SMTP_URL", "MAIL_FROM", "WEBHOOK_URL", "WEBHOOK_SECRET",
    ]  # fmt: skip
    assert "hunter2" not in str(raised.value)
    assert (settings.smtp_url, settings.mail_from, settings.webhook_secret) == (None, "clickledger@localhost", secret)
