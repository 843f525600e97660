"""The first chapters: partners, clicks, and the networks' postbacks, good and bad."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.clock import system_clock
from web.demo.cast import Partners, Story
from web.demo.client import Client, Sender, at_once, until
from web.demo.data import (
    AFFILIATES,
    ANSWERS,
    CAMPAIGNS,
    HARBOUR,
    LOST_CLICKS,
    NETWORKS,
    Affiliate,
    Click,
    Kind,
    Network,
    Postback,
    source_body,
)

CLICKS_AT_ONCE = 1000
HERE = ["127.0.0.1/32", "::1/128"]
# Where Harbour Media once fired from (RFC 5737: nobody's address).
ELSEWHERE = ["203.0.113.0/24"]
# Networks try again hours later, with the URL they signed then: twice the half hour a signature is good for.
STALE_S = 3600


def set_up(story: Story) -> None:
    """Make sources, affiliates and campaigns."""
    partners, machine = story.partners, story.cast.machine
    with story.account.chapter("partners") as said:
        for number, network in enumerate(NETWORKS):
            partners.senders.append(_source(machine, network, ELSEWHERE if number == HARBOUR else HERE))
        partners.affiliates = [
            machine.post("/api/v1/affiliates", _affiliate_body(affiliate))["id"] for affiliate in AFFILIATES
        ]
        for campaign in CAMPAIGNS:
            body = {
                "name": campaign.name,
                "destination_url": "https://shop.example/?cid={click_id}",
                "terms": {**campaign.terms, "starts_at": story.sample.month.isoformat()},
                "attribution_window_days": 30,
            }
            partners.campaigns.append(machine.post("/api/v1/campaigns", body)["id"])
        terms = ", ".join(sorted({campaign.terms["kind"] for campaign in CAMPAIGNS}))
        said.append(
            f"{len(NETWORKS)} networks, {len(AFFILIATES)} affiliates, {len(CAMPAIGNS)} campaigns (terms: {terms})"
        )


def click(story: Story) -> None:
    """Record the month's clicks in bulk, and a few of today by following the affiliates' links."""
    partners, sample = story.partners, story.sample
    with story.account.chapter("clicks") as said:
        _record(story.cast.machine, partners, sample.clicks)
        for visit in sample.visits:
            campaign, affiliate = partners.campaigns[visit.campaign], partners.affiliates[visit.affiliate]
            destination = story.cast.visitor.visit(f"/c/{campaign}/{affiliate}?sub1={visit.sub1}")
            partners.click_ids[visit.number] = destination.partition("cid=")[2]
        said.append(f"{len(sample.clicks):,} of {sample.period} in bulk, {len(sample.visits)} of today through links")


def fire(story: Story) -> None:
    """Fire every postback: first those from the wrong address, then all that is new, then what repeats it."""
    account = story.account
    with account.chapter("postbacks") as said:
        _fire(story, Kind.WRONG_ADDRESS)
        _correct_allowlist(story.cast.machine, story.partners.senders[HARBOUR].source_id)
        _fire(story, Kind.GENUINE, Kind.UNKNOWN_CLICK, Kind.STALE, Kind.FORGED, Kind.INVALID)
        _fire(story, Kind.DUPLICATE, Kind.CONFLICT)
        outcomes: Counter[str] = Counter()
        for (_, status), count in account.heard.items():
            outcomes[status] += count
        said.append(
            f"{account.fired.total()} fired: {', '.join(f'{n} {status}' for status, n in outcomes.most_common())}"
        )


def arrive_late(story: Story) -> None:
    """Bring the clicks that some postbacks came before, and wait until the stages have done all they can."""
    machine, late = story.cast.machine, story.sample.late_clicks
    with story.account.chapter("stages") as said:
        _record(machine, story.partners, late)
        until(
            lambda: True if len(machine.items("/api/v1/conversions", state="unmatched")) == LOST_CLICKS else None,
            f"all but {LOST_CLICKS} conversions have found their click",
        )
        wait_until_accrued(machine)
        accrued = len(machine.items("/api/v1/conversions", state="accrued"))
        said.append(f"{len(late)} late clicks matched, {accrued} conversions accrued")


def wait_until_accrued(machine: Client) -> None:
    """Wait until nothing that can be accrued waits for it."""
    until(
        lambda: None if machine.items("/api/v1/conversions", state="recorded", held="false") else True,
        "every conversion that nothing holds is accrued",
    )


def _source(machine: Client, network: Network, allowlist: list[str]) -> Sender:
    made = machine.post("/api/v1/sources", source_body(network, allowlist))
    return Sender(machine.url, made["id"], network.scheme, made["secret"]["value"])


def _affiliate_body(affiliate: Affiliate) -> dict[str, Any]:
    return {
        "name": affiliate.name,
        "currency": affiliate.currency,
        "payee": {"name": affiliate.name, "iban": affiliate.iban},
        "hold_days": affiliate.hold_days,
        "minimum_payout": affiliate.minimum_payout,
        "status": affiliate.status,
    }


def _record(machine: Client, partners: Partners, clicks: Sequence[Click]) -> None:
    for start in range(0, len(clicks), CLICKS_AT_ONCE):
        chunk = clicks[start : start + CLICKS_AT_ONCE]
        bodies = [
            {
                "campaign_id": partners.campaigns[each.campaign],
                "affiliate_id": partners.affiliates[each.affiliate],
                "clicked_at": _moment(each.clicked_at),
                "sub1": each.sub1,
                **({"click_id": each.click_id} if each.click_id else {}),
            }
            for each in chunk
        ]
        made = machine.post("/api/v1/clicks", bodies)["items"]
        partners.click_ids |= {each.number: one["click_id"] for each, one in zip(chunk, made, strict=True)}


def _correct_allowlist(machine: Client, source_id: str) -> None:
    source = machine.get(f"/api/v1/sources/{source_id}")
    machine.patch(f"/api/v1/sources/{source_id}", {"allowlist": HERE, "version": source["version"]})


def _fire(story: Story, *kinds: Kind) -> None:
    account, postbacks = story.account, story.sample.of(*kinds)
    answers = at_once(lambda postback: _answer(postback, story.partners), postbacks)
    for postback, (code, status) in zip(postbacks, answers, strict=True):
        account.fired[postback.kind.value] += 1
        account.heard[postback.kind.value, status] += 1
        account.expect(
            (code, status) == ANSWERS[postback.kind],
            f"{postback.kind.value} {postback.transaction_id} was answered {code} {status}",
        )


def _answer(postback: Postback, partners: Partners) -> tuple[int, str]:
    told = {
        "click_id": partners.click_ids.get(postback.click.number) or postback.click.click_id or "",
        "transaction_id": postback.transaction_id,
        "payout": str(postback.payout),
        "amount": str(postback.amount),
        "currency": postback.currency,
        "sub1": postback.click.sub1,
    }
    if postback.occurred_at is not None:
        told["occurred_at"] = _moment(postback.occurred_at)
    sent_at = int(system_clock().timestamp()) - STALE_S if postback.kind is Kind.STALE else None
    # A forger has seen a signed postback and asks for more than it says.
    tamper = {"payout": str(postback.payout + 100)} if postback.kind is Kind.FORGED else None
    return partners.senders[postback.network].fire(told, sent_at=sent_at, tamper=tamper)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
