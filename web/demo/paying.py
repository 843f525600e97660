"""The middle chapters: rules by two people, payouts, decisions, one batch in a payment file."""

from decimal import Decimal
from typing import Any

from web.demo import files, intake
from web.demo.cast import Story
from web.demo.client import Client, StoryBrokenError, until
from web.demo.data import CAMPAIGNS, COMPANY_BIC, COMPANY_IBAN, COMPANY_NAME, STALE_REJECTED, Kind, payable
from web.demo.files import PaymentFile

# Who has no good answer to the manager's question is not paid this month.
REJECTED_AFFILIATE = 6
# Minor units: up to here a trusted, fully signed payout needs nobody; from there on it needs two.
SMALL_MAX, LARGE_MIN = 2_500, 20_000
DEBTOR = {"name": COMPANY_NAME, "iban": COMPANY_IBAN, "bic": COMPANY_BIC}

POLICY = {
    "chains": [
        {
            "id": "small",
            "when": {"all": [
                {"amount_base": {"lte": SMALL_MAX}},
                {"affiliate.status": {"eq": "trusted"}},
                {"assurance": {"in": ["A"]}},
            ]},
            "steps": [],
        },
        {
            "id": "large",
            "when": {"all": [{"amount_base": {"gte": LARGE_MIN}}]},
            "steps": [
                {"id": "manager", "approvers": {"role": "manager"}, "need": 1},
                {"id": "finance", "approvers": {"role": "finance"}, "need": 1},
            ],
        },
        {"id": "default", "when": {}, "steps": [{"id": "finance", "approvers": {"role": "finance"}, "need": 1}]},
    ]
}  # fmt: skip


def make_rules(story: Story) -> None:
    """Categories and approval policy: written by one admin, put in force by another."""
    rules = [
        {
            "id": f"rule-{code}",
            "when": {"all": [{"campaign_id": {"eq": story.partners.campaigns[number]}}]},
            "category": {"code": code, "name": name, "account": f"expense:commission:{code}"},
        }
        for number, (code, name) in enumerate(campaign.category for campaign in CAMPAIGNS)
    ]
    with story.account.chapter("rules") as said:
        for kind, body in (("category-rulesets", {"rules": rules}), ("approval-policies", POLICY)):
            version = story.cast.admin.post(f"/api/v1/{kind}", body)["version"]
            path = f"/api/v1/{kind}/{version}/activate"
            reason = story.cast.admin.refusal(path, {})
            story.account.notes.append(f"{story.cast.admin.name} may not activate the {kind} of her own: “{reason}”")
            story.cast.second_admin.post(path)
        said.append(f"{len(rules)} category rules and {len(POLICY['chains'])} approval chains, by two admins")


def release_held(story: Story) -> None:
    """A person looks at what is held: late postbacks and conflicts."""
    rejected = {each.transaction_id for each in story.sample.of(Kind.STALE) if each.is_to_be_rejected}
    with story.account.chapter("held") as said:
        held = story.cast.finance.items("/api/v1/conversions", held="true")
        story.account.expect(
            len(held) == len(story.sample.of(Kind.STALE, Kind.CONFLICT)), f"{len(held)} conversions are held"
        )
        for each in held:
            is_rejected = each["transaction_id"] in rejected
            body = {
                "kind": "reject" if is_rejected else "approve",
                "reason": "The network cannot explain it." if is_rejected else "The network confirmed what came first.",
                "version": each["version"],
            }
            story.cast.finance.post(f"/api/v1/conversions/{each['id']}/events", body)
        intake.wait_until_accrued(story.cast.machine)
        said.append(f"{story.cast.finance.name} approves {len(held) - STALE_REJECTED} and rejects {STALE_REJECTED}")


def bundle(story: Story) -> None:
    """Bundle the month: a payout for each affiliate with something payable."""
    expected = {story.partners.affiliates[number]: amount for number, amount in payable(story.sample).items()}
    with story.account.chapter("payouts") as said:
        story.cast.finance.post("/api/v1/stages/bundling/runs", {"period": story.sample.period})
        payouts = until(
            lambda: found if len(found := _payouts(story)) >= len(expected) else None,
            f"{len(expected)} payouts are made",
        )
        made = {each["affiliate_id"]: Decimal(each["money"]["amount"]) for each in payouts}
        story.account.expect(made == expected, f"payouts were made of {made}, not {expected}")
        by_policy = [each for each in payouts if each["state"] != "pending"]
        said.append(f"{story.cast.finance.name} asks for {story.sample.period}: {len(payouts)} payouts")
        if by_policy:
            said.append(f"{len(by_policy)} approved by policy already")


def decide(story: Story) -> None:
    """The manager and the second finance person decide; the first may not, for she asked for the payouts."""
    with story.account.chapter("approvals") as said:
        waiting = story.cast.finance.items("/api/v1/approvals", state="open")
        refused = _decision(waiting[0], "approve", "")
        reason = story.cast.finance.refusal(f"/api/v1/approvals/{waiting[0]['id']}/decisions", refused)
        story.account.notes.append(f"{story.cast.finance.name} may not approve the payouts she asked for: “{reason}”")
        rejected = story.partners.affiliates[REJECTED_AFFILIATE]
        counts = [
            f"{person.name} {_decided(person, rejected)}" for person in (story.cast.manager, story.cast.second_finance)
        ]
        left = story.cast.finance.items("/api/v1/approvals", state="open")
        story.account.expect(not left, f"{len(left)} approval requests are still open")
        until(
            lambda: None if any(each["state"] == "pending" for each in _payouts(story)) else True,
            "what was decided is done to the payouts",
        )
        said.append(", ".join(counts))


def pay(story: Story) -> PaymentFile:
    """Gather what is approved in euro, release it by a second person, and read the file as a bank does."""
    with story.account.chapter("batch") as said:
        gatherer, releaser = story.cast.second_finance, story.cast.finance
        batch = gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR", "debtor": DEBTOR})
        body = {"version": batch["version"]}
        reason = gatherer.refusal(f"/api/v1/batches/{batch['id']}/release", body)
        story.account.notes.append(f"{gatherer.name} may not release the batch he made: “{reason}”")
        # Nor could whoever decided one of its payouts: she who asked for them decided none.
        releaser.post(f"/api/v1/batches/{batch['id']}/release", body)
        content = releaser.download(f"/api/v1/batches/{batch['id']}/file")
        (story.papers / "payments.pain.001.xml").write_bytes(content)
        payment = files.payment_file(content)
        story.account.expect(
            payment.adds_up and payment.control_sum == Decimal(batch["sum"]["amount"]),
            f"the payment file says {payment.control_sum}, the batch {batch['sum']['amount']}",
        )
        said.append(f"{payment.count} payments, control sum {payment.control_sum:,.2f} EUR, in a pain.001 file")
    return payment


def count_money(story: Story) -> None:
    """Note where the money stands: what was bundled by its state, and what is owed and not yet bundled."""
    paths = (("/api/v1/payouts", "payouts, "), ("/api/v1/accruals", "accruals, not bundled"))
    for path, name in paths:
        for each in story.cast.finance.items(path):
            if each.get("payout_id") is None:
                state = f"{name}{each.get('state', '')}"
                _add(story, state, each["money"])


def _add(story: Story, state: str, money: dict[str, str]) -> None:
    count, amount = story.account.money.get((state, money["currency"]), (0, Decimal(0)))
    story.account.money[state, money["currency"]] = count + 1, amount + Decimal(money["amount"])


def _payouts(story: Story) -> list[dict[str, Any]]:
    return story.cast.finance.items("/api/v1/payouts", period=story.sample.period)


def _decision(request: dict[str, Any], verdict: str, comment: str) -> dict[str, Any]:
    return {"verdict": verdict, "comment": comment, "version": request["version"]}


def _decided(person: Client, rejected_affiliate: str) -> str:
    approved = rejected = 0
    for request in person.items("/api/v1/approvals", waiting_for="me"):
        is_rejected = request["facts"]["affiliate_id"] == rejected_affiliate
        if is_rejected:
            body = _decision(request, "reject", "We first want to know where this traffic comes from.")
        else:
            body = _decision(request, "approve", "")
        person.post(f"/api/v1/approvals/{request['id']}/decisions", body)
        approved, rejected = approved + (not is_rejected), rejected + is_rejected
    if not approved + rejected:
        message = f"{person.name} found nothing to decide"
        raise StoryBrokenError(message)
    return f"approves {approved}" + (f" and rejects {rejected}" if rejected else "")
