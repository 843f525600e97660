"""GET /sources/<id>/example: what it shows is believed by the door, whatever the scheme."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import flask
import pytest

from core.runtime import Runtime
from partners import presets, secrets, sources
from partners.models import Source
from partners.sources import NewSource
from postback import example, schemes_of_sources
from postback.presets.catalogue import CATALOGUE
from postback.presets.shown import needs as preset_needs
from tests.conftest import Answer, Caller, answer_of
from tests.postback.conftest import TESTS, Network, Stored

# What a preset leaves to whoever sets up the source.
OPEN = {name: {"click_id": "click.id"} for name in ("partnero", "refersion")}
PUBLIC = "http://localhost/postback"
PEER = "203.0.113.7"
ALLOWED = ["203.0.113.0/24"]
GIVEN = "k3y of the netwo"
# ClickBank encrypts, which covers nothing: docs/networks.md.
SIGNED = sorted(name for name, preset in CATALOGUE.items() if preset.assurance in "AB" and name != "clickbank")
PROOFS = {"hash", "verifier", "sig", "signature", "sha_sign"}
GENERIC: dict[str, dict[str, Any]] = {
    "pb1": {"scheme": "pb1"},
    "pb1 with other names": {"scheme": "pb1", "parameters": {"click_id": "aff_sub", "ts": "t"}},
    "sw1": {"scheme": "sw1"},
    "stripe1": {"scheme": "stripe1", "options": {"header": "X-Pay"}},
    "body1 hex": {"scheme": "body1", "options": {"header": "X-Hub-Signature-256", "prefix": "sha256="}},
    "body1 base64": {"scheme": "body1", "options": {"header": "X-Hmac", "encoding": "base64"}, "secret": GIVEN},
    "body1 form": {"scheme": "body1", "options": {"header": "X-Hmac", "body": "form"}},
    "token in the query": {"scheme": "token", "allowlist": ALLOWED, "options": {"parameter": "t"}},
    "token in the path": {"scheme": "token", "allowlist": ALLOWED, "options": {"in": "path"}},
}


def asked(**values: Any) -> NewSource:
    """Return what POST /sources would make of `values`."""
    presets.install(schemes_of_sources.defaults())
    return sources.asked_for({"name": "Example", "default_currency": "EUR", **values})


def shown(runtime: Runtime, new: NewSource) -> tuple[example.Example, str]:
    """Create a source; return its example, and the secret's value that was shown once."""
    with runtime.transaction() as session:
        source, secret = sources.create(runtime, session, new, actor=TESTS)
        return example.build(runtime, source), secret.value


def preset_shown(runtime: Runtime, name: str) -> tuple[example.Example, str]:
    """Create a source of a network, with the network's own secret where it brings one."""
    secret = {} if CATALOGUE[name].is_secret_ours else {"secret": GIVEN}
    new = asked(scheme=f"preset:{name}", allowlist=ALLOWED, parameters=OPEN.get(name, {}), **secret)
    return shown(runtime, new)


@dataclass(frozen=True)
class Command:
    """What a curl command sends."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    def run(self, app: flask.Flask) -> Answer:
        """Send it."""
        return answer_of(
            app.test_client().open(
                self.path, method=self.method, query_string=self.query, data=self.body.encode() or None,
                headers=self.headers, environ_overrides={"REMOTE_ADDR": PEER},
            )
        )  # fmt: skip


def command(curl: str) -> Command:
    """Read a curl command as a shell would."""
    words = shlex.split(curl)
    url = next(word for word in words if word.startswith("http"))
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    body = words[words.index("--data-raw") + 1] if "--data-raw" in words else ""
    path, _, query = url.removeprefix("http://localhost").partition("?")
    return Command("POST" if "POST" in words else "GET", path, query, headers, body)


def run(app: flask.Flask, curl: str) -> Answer:
    """Send what the command would send."""
    return command(curl).run(app)


def other(character: str) -> str:
    """Return another character of the same kind."""
    digits = "0123456789"
    return digits[(digits.index(character) + 1) % 10] if character in digits else ("b" if character == "a" else "a")


def with_a_byte_changed(sent: Command, covered: tuple[str, ...] | None) -> list[Command]:
    """Return the command with the last byte of each covered value changed; of a JSON body with one of every few."""
    if sent.body.startswith("{"):
        step = max(1, len(sent.body) // 30)
        places = [place for place in range(0, len(sent.body), step) if sent.body[place].isalnum()]
        return [
            replace(sent, body=sent.body[:place] + other(sent.body[place]) + sent.body[place + 1 :]) for place in places
        ]
    pairs = [pair.split("=", 1) for pair in (sent.body or sent.query).split("&")]
    changed = []
    for place, (name, value) in enumerate(pairs):
        # What is signed as a number is signed by its whole part.
        last = (value.partition(".")[0] or value)[-1]
        if name in PROOFS or (covered is not None and name not in covered):
            continue
        at = len(value.partition(".")[0]) - 1
        new = [*pairs[:place], [name, value[:at] + other(last) + value[at + 1 :]], *pairs[place + 1 :]]
        told = "&".join("=".join(pair) for pair in new)
        changed.append(replace(sent, body=told) if sent.body else replace(sent, query=told))
    return changed


@pytest.mark.parametrize("name", sorted(GENERIC))
def test_the_example_of_a_scheme_is_believed(app: flask.Flask, runtime: Runtime, stored: Stored, name: str) -> None:
    made, token = shown(runtime, asked(**GENERIC[name]))

    answer = run(app, made.curl.replace("{token}", token))

    assert (answer.status_code, answer.json["status"]) == (200, "unmatched")
    assert [(each.payout_minor, each.currency) for each in stored.conversions()] == [(50, "EUR")]
    assert ("{token}" in made.curl) == (made.note is not None) == name.startswith("token")
    assert token not in made.curl


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_example_of_a_preset_is_believed_and_answered_in_its_networks_style(
    app: flask.Flask, runtime: Runtime, stored: Stored, name: str
) -> None:
    preset = CATALOGUE[name]
    made, value = preset_shown(runtime, name)

    answer = run(app, made.curl.replace("{token}", value))

    assert answer.status_code == 200, answer.text
    [receipt] = stored.receipts()
    assert (receipt.outcome, receipt.assurance) == ("unmatched", preset.assurance), (receipt.faults, receipt.reason)
    body = {"ok": b"OK", "empty": b""}.get(preset.answer_style, answer.data)
    assert answer.data == body
    if preset.answer_style in {"json", "always_200"}:
        assert answer.json["status"] == "unmatched"
    [conversion] = stored.conversions()
    assert conversion.claimed_click_id == "example-click"
    assert (conversion.state, conversion.hold_reason) == ("unmatched", None)
    if "payout" in preset.parameters:
        assert conversion.payout_minor == 50


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_an_example_made_with_a_secret_that_was_rotated_away_is_refused(
    app: flask.Flask, runtime: Runtime, stored: Stored, name: str
) -> None:
    preset = CATALOGUE[name]
    made, value = preset_shown(runtime, name)
    with runtime.transaction() as session:
        [source] = session.query(Source).all()
        value_now = None if preset.is_secret_ours else GIVEN + "x"
        secrets.rotate(runtime, session, source.id, overlap_days=0, actor=TESTS, value=value_now)

    answer = run(app, made.curl.replace("{token}", value))

    assert (answer.status_code, stored.conversions()) == (401, [])


@pytest.mark.parametrize("name", SIGNED)
def test_one_byte_changed_in_what_a_network_covers_is_refused(
    app: flask.Flask, runtime: Runtime, stored: Stored, name: str
) -> None:
    preset = CATALOGUE[name]
    made, _ = shown(
        runtime,
        asked(scheme=f"preset:{name}", allowlist=ALLOWED, parameters=OPEN.get(name, {}), secret=GIVEN),
    )
    changed = with_a_byte_changed(command(made.curl), preset.covered)

    assert len(changed) >= len(preset.covered or ("every field",))
    assert {each.run(app).status_code for each in changed} == {401}
    assert stored.conversions() == []
    assert run(app, made.curl).status_code == 200


def test_a_template_says_where_the_token_goes(runtime: Runtime) -> None:
    in_query, _ = shown(runtime, asked(name="1", **GENERIC["token in the query"]))
    in_path, _ = shown(runtime, asked(name="2", **GENERIC["token in the path"]))

    assert re.search(r"\?click_id=\{click_id\}.*&t=\{token\}$", in_query.url_template)
    assert re.search(r"/postback/src_[^/]+/\{token\}\?click_id=", in_path.url_template)


def test_a_preset_whose_network_names_no_currency_has_no_example_until_the_source_does(
    machine: Caller, runtime: Runtime
) -> None:
    created = machine.post(
        "/api/v1/sources", {"name": "T", "scheme": "preset:tapjoy", "secret": GIVEN, "allowlist": ALLOWED}
    )
    path = f"/api/v1/sources/{created.json['id']}"

    answer = machine.get(f"{path}/example")

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/no-example")
    assert "default_currency" in answer.json["detail"]
    machine.patch(path, {"version": 1, "default_currency": "EUR"})
    assert machine.get(f"{path}/example").status_code == 200


def test_an_example_is_never_printed(new_network: Callable[..., Network], runtime: Runtime) -> None:
    made, _ = shown(runtime, asked(scheme="pb1"))

    assert repr(made) == "Example()"


# What a source of each is refused without, in the words of `needs`.
GIVEN_FOR = {
    "secret": GIVEN, "allowlist": ALLOWED, "default_currency": "EUR", "parameters.click_id": {"click_id": "click.id"},
}  # fmt: skip
SETTINGS = {"PUBLIC_URL", "url_template"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_gives_what_a_preset_needs_gets_a_source_that_believes_its_example_and_its_template(
    app: flask.Flask, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    admin = sign_in("admin")
    for name, preset in CATALOGUE.items():
        shown_preset = machine.get(f"/api/v1/presets/{name}").json
        needs = {need["setting"] for need in shown_preset["needs"]} - SETTINGS
        body = {need.partition(".")[0]: GIVEN_FOR[need] for need in needs}
        # The published addresses are not this test's own.
        published = {"allowlist": [*shown_preset["addresses"], *ALLOWED]} if shown_preset["addresses"] else {}
        created = machine.post("/api/v1/sources", {"name": name, "scheme": shown_preset["scheme"], **published, **body})
        assert created.status_code == 201, (name, created.text)
        made = machine.get(f"/api/v1/sources/{created.json['id']}/example").json
        curl = made["curl"].replace("{token}", created.json["secret"]["value"])

        sent = command(curl)
        judged = admin.post(
            f"/api/v1/sources/{created.json['id']}/validate",
            {"method": sent.method, "url": f"{sent.path}?{sent.query}", "body": sent.body, "headers": sent.headers,
             "peer": PEER},
        ).json  # fmt: skip

        assert (name, judged["verdict"], judged["answer"]["status"]) == (name, "believed", "unmatched")
        assert run(app, curl).status_code == 200, name
        address = made["url_template"].partition("?")[0]
        assert shown_preset["url_template"] == made["url_template"].replace(address, f"{PUBLIC}/{{source_id}}")
        if preset.macros:
            told = {pair.partition("=")[0] for pair in sent.query.split("&")} - PROOFS
            asked_for = {pair.partition("=")[0] for pair in made["url_template"].partition("?")[2].split("&")}
            # LevelPlay adds the time by itself.
            assert told - {"timestamp"} <= asked_for, name


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("cpx", ["secret", "default_currency"]),
        ("affise", ["allowlist"]),
        ("wannads", ["default_currency"]),
        ("monlix", ["secret", "allowlist", "default_currency"]),
        ("hotmart", ["secret", "allowlist"]),
        ("adgem", ["secret", "default_currency", "PUBLIC_URL"]),
        ("partnero", ["secret", "default_currency", "parameters.click_id"]),
        ("buygoods", ["allowlist", "default_currency", "url_template"]),
    ],
)
def test_a_preset_says_what_it_needs(name: str, needs: list[str]) -> None:
    assert [setting for setting, _ in preset_needs(CATALOGUE[name])] == needs
