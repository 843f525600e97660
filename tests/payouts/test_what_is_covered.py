"""What a network's proof covers decides category and approvers: from a signed postback to its chain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import flask
import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from partners import secrets
from partners.models import Source
from payouts import jobs, pricing
from payouts.models import Accrual
from payouts.pricing import Terms, TermsKind
from postback import covering, schemes_of_sources
from postback.content import FIELDS
from postback.schemes.base import Request
from tests.conftest import Caller

PEER = {"REMOTE_ADDR": "203.0.113.7"}
ACCOUNT = "expense:commission"
ALLOWED = {"allowlist": ["203.0.113.0/24"], "default_currency": "EUR"}
CLAIMS = [{"covered_fields": {"eq": "click_id"}}, {"covered_fields": {"eq": "status"}}]
RULES = [
    ("static", {"assurance": {"in": ["C", "D", "E"]}}),
    ("unsigned", {"amount_is_covered": {"eq": False}}),
    ("whole", {"all": CLAIMS}),
    ("part", {"not": {"covered_fields": {"is_null": True}}}),
]
STEP = {"approvers": {"role": "finance"}, "need": 1}
CHAINS = [
    {
        "id": "static",
        "when": {"assurance": {"in": ["C", "D", "E"]}},
        "steps": [{"id": "manager", "approvers": {"role": "manager"}, "need": 1}, {"id": "finance", **STEP}],
    },
    {"id": "unsigned", "when": {"amount_is_covered": {"eq": False}}, "steps": [{"id": "finance", **STEP}]},
    {"id": "whole", "when": {"all": [*CLAIMS, {"assurance": {"in": ["A"]}}]}, "steps": []},
    {"id": "default", "when": {}, "steps": [{"id": "finance", **STEP}]},
]


@dataclass
class Network:
    """A source of any scheme whose requests this test signs."""

    app: flask.Flask
    runtime: Runtime
    source_id: str
    token: str

    def fire(self, **told: str) -> None:
        """Sign and send a GET postback."""
        with self.runtime.reading() as session:
            source = session.get_one(Source, self.source_id)
            scheme = schemes_of_sources.of(source)
            [secret] = secrets.live(self.runtime, source, self.runtime.clock())
            is_token = source.secrets[0].key_format == "token"
        unsigned = Request(
            "GET", self.source_id, f"http://localhost/postback/{self.source_id}", urlencode(told).encode()
        )
        signed = scheme.sign(unsigned, self.token.encode() if is_token else secret.key)
        path = f"/postback/{self.source_id}"
        answer = self.app.test_client().get(path, query_string=signed.query.decode(), environ_overrides=PEER)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def sale(
    app: flask.Flask, runtime: Runtime, machine: Caller, sign_in: Callable[..., Caller]
) -> Callable[..., dict[str, Any]]:
    """Put the rules in force; then sell once for a new affiliate, and answer its accrual, payout and request."""
    rules = [
        {"id": name, "when": when, "category": {"code": name, "name": name, "account": f"{ACCOUNT}:{name}"}}
        for name, when in RULES
    ]
    admin = sign_in("admin")
    for role in ("manager", "finance"):  # a policy that nobody could follow is refused
        sign_in(role)
    for path, body in (("category-rulesets", {"rules": rules}), ("approval-policies", {"chains": CHAINS})):
        assert machine.post(f"/api/v1/{path}", body).status_code == 201
        assert admin.post(f"/api/v1/{path}/1/activate").status_code == 200
    terms = {"kind": "told"}
    campaign = machine.post("/api/v1/campaigns", {"name": "C", "destination_url": "https://x.example/", "terms": terms})

    def sold(asked: dict[str, Any], paid_in: str = "EUR", **told: str) -> dict[str, Any]:
        source = machine.post("/api/v1/sources", {"name": "N", **ALLOWED, **asked}).json
        payee = {"name": "One", "iban": "DE89370400440532013000"}
        affiliate = machine.post("/api/v1/affiliates", {"name": "One", "currency": paid_in, "payee": payee}).json
        click = {"campaign_id": campaign.json["id"], "affiliate_id": affiliate["id"]}
        click_id = machine.post("/api/v1/clicks", click).json["click_id"]
        network = Network(app, runtime, source["id"], source["secret"]["value"])
        network.fire(**{name: click_id if value == "CLICK" else value for name, value in told.items()})
        jobs.accrue()
        jobs.bundle()
        [payout] = machine.get(f"/api/v1/payouts?affiliate_id={affiliate['id']}").json["items"]
        accruals = machine.get(f"/api/v1/accruals?affiliate_id={affiliate['id']}").json["items"]
        request = admin.get(f"/api/v1/approvals/{payout['approval_id']}").json
        return {"accrual": accruals[0], "payout": payout, "request": request}

    return sold


def outcome(sale: dict[str, Any]) -> tuple[str, str, str]:
    return sale["accrual"]["category"]["code"], sale["request"]["chain"], sale["request"]["state"]


def test_a_request_signed_whole_is_approved_by_policy(sale: Callable[..., dict[str, Any]], runtime: Runtime) -> None:
    told = {"click_id": "CLICK", "transaction_id": "T", "payout": "5.00", "currency": "EUR"}

    sold = sale({"scheme": "pb1"}, **told, ts=str(int(runtime.clock().timestamp())))

    assert outcome(sold) == ("whole", "whole", "approved")
    assert sold["accrual"]["covered_fields"] == sorted(FIELDS)
    assert sold["accrual"]["amount_is_covered"] is True


def test_a_part_that_holds_the_amount_is_a_part_and_asks_one_person(sale: Callable[..., dict[str, Any]]) -> None:
    told = {"request_uuid": "CLICK", "tx_id": "T", "cpa": "500", "timestamp": "1"}

    sold = sale({"scheme": "preset:pollfish", "secret": "pollfish secret"}, **told)

    assert outcome(sold) == ("part", "default", "open")
    assert sold["accrual"]["covered_fields"] == ["click_id", "payout", "transaction_id"]
    assert sold["accrual"]["amount_is_covered"] is True


def test_a_signed_figure_in_a_currency_that_anybody_may_add_is_no_signed_amount(
    sale: Callable[..., dict[str, Any]],
) -> None:
    told = {"request_uuid": "CLICK", "tx_id": "T", "cpa": "500", "timestamp": "1", "currency": "GBP"}

    sold = sale({"scheme": "preset:pollfish", "secret": "pollfish secret"}, paid_in="GBP", **told)

    assert sold["payout"]["money"] == {"amount": "5.00", "currency": "GBP"}
    assert outcome(sold) == ("unsigned", "unsigned", "open")


@pytest.mark.parametrize(
    ("preset", "told"),
    [
        ("cpx", {"user_id": "CLICK", "trans_id": "T", "amount_usd": "5.00", "status": "1", "type": "complete"}),
        # Hashed with nothing between: a digit moves from the reward to the payout.
        ("lootably", {"user_id": "CLICK", "transaction_id": "T", "payout": "5.00", "reward": "1", "ip": "1.2.3.4",
                      "status": "1"}),
    ],
)  # fmt: skip
def test_a_signature_that_leaves_the_amount_open_asks_for_a_comparison(
    sale: Callable[..., dict[str, Any]], preset: str, told: dict[str, str]
) -> None:
    sold = sale({"scheme": f"preset:{preset}", "secret": "their secret"}, **told)

    assert (sold["accrual"]["assurance"], outcome(sold)) == ("B", ("unsigned", "unsigned", "open"))


def test_a_static_secret_asks_two(sale: Callable[..., dict[str, Any]]) -> None:
    told = {"sub1": "CLICK", "transactionid": "T", "sum": "5.00", "currency": "EUR", "status": "1"}

    sold = sale({"scheme": "preset:affise"}, **told)

    assert outcome(sold) == ("static", "static", "open")
    assert [step["id"] for step in sold["request"]["steps"]] == ["manager", "finance"]
    assert sold["accrual"]["covered_fields"] == []


def test_what_was_covered_is_frozen_on_the_accrual_and_repeated_by_what_takes_it_back(
    sale: Callable[..., dict[str, Any]], machine: Caller, sign_in: Callable[..., Caller], runtime: Runtime
) -> None:
    told = {"request_uuid": "CLICK", "tx_id": "T", "cpa": "500", "timestamp": "1"}
    sold = sale({"scheme": "preset:pollfish", "secret": "pollfish secret"}, **told)
    [conversion] = machine.get("/api/v1/conversions").json["items"]
    refund = {"kind": "refund", "reason": "returned", "version": conversion["version"]}
    machine.patch(f"/api/v1/sources/{conversion['source_id']}", {"version": 1, "parameters": {"payout": "sub5"}})

    sign_in("finance").post(f"/api/v1/conversions/{conversion['id']}/events", refund)
    jobs.accrue()

    with runtime.reading() as session:
        accruals = session.scalars(sa.select(Accrual).order_by(Accrual.amount_minor)).all()
    assert [(each.amount_minor, each.covered_fields, each.is_amount_covered) for each in accruals] == [
        (-500, "click_id transaction_id payout", True),
        (500, "click_id transaction_id payout", True),
    ]
    assert conversion["covered_fields"] == sold["accrual"]["covered_fields"]


def test_an_unknown_value_of_the_new_fields_is_refused_when_it_is_written(
    machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    sign_in("finance")
    rule = {
        "id": "r",
        "when": {"amount_is_covered": {"eq": "no"}},
        "category": {"code": "1", "name": "n", "account": ACCOUNT},
    }
    chain = {"id": "c", "when": {"covered_fields": {"gt": 1}}, "steps": []}

    ruleset = machine.post("/api/v1/category-rulesets", {"rules": [rule]})
    policy = machine.post("/api/v1/approval-policies", {"chains": [chain, CHAINS[-1]]})

    assert [fault["field"] for fault in ruleset.json["errors"]] == ["rules.0.when.amount_is_covered.eq"]
    assert [fault["field"] for fault in policy.json["errors"]] == ["chains.0.when.covered_fields.gt"]


@pytest.mark.parametrize(
    ("kind", "covered", "is_usual", "is_covered"),
    [
        (TermsKind.FIXED, (), False, True),
        (TermsKind.TOLD, ("payout", "currency"), False, True),
        (TermsKind.TOLD, ("payout",), False, False),
        (TermsKind.SHARE, ("payout",), True, True),
        (TermsKind.SHARE, ("amount", "currency"), True, False),
        (TermsKind.PERCENT, ("amount",), True, True),
        (TermsKind.PERCENT, ("payout",), True, False),
    ],
)
def test_an_amount_is_covered_when_everything_it_follows_from_is(
    *, kind: TermsKind, covered: tuple[str, ...], is_usual: bool, is_covered: bool
) -> None:
    assert pricing.is_covered(Terms(kind), covered, is_usual_currency=is_usual) is is_covered


def test_the_fields_that_a_conversion_keeps_are_read_as_they_were_written() -> None:
    names = {"click_id": "sub", "payout": "sum", "status": "s"}

    assert covering.fields(covering.written(None, names, has_seams=True)) == frozenset(FIELDS)
    assert covering.fields(covering.written(["sum", "sub", "x"], names, has_seams=True)) == {"click_id", "payout"}
    assert covering.written(["sum"], names, has_seams=False) == covering.written([], names, has_seams=True) == ""
    assert covering.fields("") == frozenset()
    assert len(" ".join(FIELDS)) <= 120
