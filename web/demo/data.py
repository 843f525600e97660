"""The sample data: who there is and what happens. Pure and seeded: every run is the same but for its dates."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import islice
from typing import Any

SEED = 20260131
# Bulk clicks, and those whose postback comes before them.
CLICKS = 1990
LATE_CLICKS = 10
LOST_CLICKS = 4
VISITS = 6
# What networks tell about a month fits into 27 days of it, and so into every month.
MONTH_DAYS = 27


class Kind(StrEnum):
    """What a postback is, and so what must become of it."""

    GENUINE = "genuine"
    UNKNOWN_CLICK = "unknown click"
    STALE = "stale"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    FORGED = "forged"
    WRONG_ADDRESS = "wrong address"
    INVALID = "invalid"


# What the network must hear.
ANSWERS: Mapping[Kind, tuple[int, str]] = {
    Kind.GENUINE: (200, "accepted"),
    Kind.UNKNOWN_CLICK: (200, "unmatched"),
    Kind.STALE: (202, "held_late"),
    Kind.DUPLICATE: (200, "duplicate"),
    Kind.CONFLICT: (200, "conflict"),
    Kind.FORGED: (401, "unauthorised"),
    Kind.WRONG_ADDRESS: (401, "unauthorised"),
    Kind.INVALID: (422, "invalid"),
}
# 600 in all.
COUNTS: Mapping[Kind, int] = {
    Kind.GENUINE: 530,
    Kind.UNKNOWN_CLICK: LATE_CLICKS + LOST_CLICKS,
    Kind.STALE: 10,
    Kind.DUPLICATE: 20,
    Kind.CONFLICT: 4,
    Kind.FORGED: 12,
    Kind.WRONG_ADDRESS: 6,
    Kind.INVALID: 4,
}
# Of the stale ones, so many are rejected by the person who looks at them; the others are approved.
STALE_REJECTED = 3


@dataclass(frozen=True)
class Network:
    """One network; `prefix` begins its transaction ids."""

    name: str
    prefix: str
    scheme: str
    payout_means: str


@dataclass(frozen=True)
class Affiliate:
    """One affiliate; `share` is how often a click is its."""

    name: str
    iban: str
    share: int
    currency: str = "EUR"
    hold_days: int = 0
    minimum_payout: str = "0"
    status: str = "trusted"


@dataclass(frozen=True)
class Campaign:
    """One campaign of one network."""

    name: str
    network: int
    terms: Mapping[str, str]
    category: tuple[str, str]
    currency: str = "EUR"


@dataclass(frozen=True)
class Click:
    """One click, known by its number here. `click_id` is set where another tracker made it."""

    number: int
    campaign: int
    affiliate: int
    clicked_at: datetime
    sub1: str
    click_id: str | None = None


@dataclass(frozen=True)
class Postback:
    """What a network fires. Without `occurred_at` it happened just now."""

    kind: Kind
    network: int
    transaction_id: str
    click: Click
    payout: Decimal
    amount: Decimal
    currency: str
    occurred_at: datetime | None
    is_to_be_rejected: bool = False


NETWORKS = (
    Network("Northwind Network", "NW", "pb1", "owed_to_affiliate"),
    Network("Brightline Ads", "BL", "sw1", "owed_to_us"),
    Network("Harbour Media", "HM", "pb1", "owed_to_affiliate"),
)
NORTHWIND, BRIGHTLINE, HARBOUR = range(3)

CAMPAIGNS = (
    Campaign("Autumn Sale", NORTHWIND, {"kind": "told"}, ("6210", "Commission: Autumn Sale")),
    Campaign("Loyalty Club", NORTHWIND, {"kind": "percent", "percent": "8"}, ("6220", "Commission: Loyalty Club")),
    Campaign("Streaming Trial", BRIGHTLINE, {"kind": "share", "percent": "70"}, ("6230", "Commission: Streaming")),
    Campaign(
        "Newsletter", HARBOUR, {"kind": "fixed", "amount": "2.50", "currency": "EUR"}, ("6240", "Commission: Leads")
    ),
    Campaign("Travel UK", HARBOUR, {"kind": "told"}, ("6250", "Commission: Travel"), "GBP"),
)
TRAVEL_UK = 4

# The accounts are those that banks and registries print as examples: valid, and nobody's.
COMPANY_NAME = "Harbour and Pine Retail"
COMPANY_IBAN = "DE75512108001245126199"
COMPANY_BIC = "SOGEDEFFXXX"
AFFILIATES = (
    Affiliate("Blog One GmbH", "DE89370400440532013000", 20),
    Affiliate("Café Deux SARL", "FR1420041010050500013M02606", 14),
    Affiliate("Drie Vergelijkt B.V.", "NL91ABNA0417164300", 12),
    Affiliate("Vier Sterne Magazin KG", "AT611904300234573201", 10),
    Affiliate("Cinco Viajes S.L.", "ES9121000418450200051332", 9),
    Affiliate("Sei Offerte S.r.l.", "IT60X0542811101000000123456", 8),
    Affiliate("Seitsemän Vinkkiä Oy", "FI2112345600000785", 7),
    Affiliate("Acht Test GmbH", "DE12500105170648489890", 6, status="new"),
    # Too little to need a person.
    Affiliate("Nine Newsletters Ltd", "IE29AIBK93115212345678", 1),
    # Nothing of theirs is payable yet: hold days, and a minimum out of reach.
    Affiliate("Ten Coupons NV", "BE68539007547034", 5, hold_days=60),
    Affiliate("Onze Idées SAS", "FR7630006000011234567890189", 4, minimum_payout="5000.00"),
    Affiliate("Twelve Travels Ltd", "GB29NWBK60161331926819", 6, currency="GBP"),
)
NINE_NEWSLETTERS, TWELVE_TRAVELS = 8, 11
NOTHING_PAYABLE = tuple(
    number for number, affiliate in enumerate(AFFILIATES) if affiliate.hold_days or affiliate.minimum_payout != "0"
)


@dataclass(frozen=True)
class Sample:
    """Everything of one run. `visits` are made today, through links; `late_clicks` arrive after their postbacks."""

    month: datetime
    clicks: Sequence[Click]
    visits: Sequence[Click]
    late_clicks: Sequence[Click]
    postbacks: Sequence[Postback]

    @property
    def period(self) -> str:
        """The month all of it happened in."""
        return f"{self.month:%Y-%m}"

    def of(self, *kinds: Kind) -> list[Postback]:
        """The postbacks of these kinds."""
        return [postback for postback in self.postbacks if postback.kind in kinds]

    @property
    def conversions(self) -> list[Postback]:
        """What is true of the month: each conversion of it once, but for those a person rejects."""
        first = self.of(Kind.GENUINE, Kind.UNKNOWN_CLICK, Kind.STALE)
        return [each for each in first if each.occurred_at is not None and not each.is_to_be_rejected]


def owed(postback: Postback) -> Decimal:
    """Return what the affiliate is owed for a conversion, by its campaign's terms, in hundredths rounded half-even.

    Counted here a second time, in another way than the engine does, so that the two can be compared.
    """
    terms = CAMPAIGNS[postback.click.campaign].terms
    match terms["kind"]:
        case "fixed":
            return Decimal(terms["amount"])
        case "percent":
            exact = postback.amount * Decimal(terms["percent"]) / 100
        case "share":
            exact = postback.payout * Decimal(terms["percent"]) / 100
        case _:
            exact = postback.payout
    return exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def last_month(now: datetime) -> datetime:
    """Return the first moment of the month before the one of `now`, UTC."""
    last_day = now.astimezone(UTC).replace(day=1) - timedelta(days=1)
    return datetime(last_day.year, last_day.month, 1, tzinfo=UTC)


def sample(month: datetime) -> Sample:
    """Return the sample data of the month that begins at `month`."""
    chance = random.Random(SEED)
    made = iter([_click(chance, month, number) for number in range(CLICKS + VISITS + LATE_CLICKS + LOST_CLICKS)])
    clicks = list(islice(made, CLICKS))
    visits = list(islice(made, VISITS))
    late = [replace(click, click_id=f"tracker-{click.number}") for click in islice(made, LATE_CLICKS)]
    lost = [replace(click, click_id=f"nobody-{click.number}") for click in made]
    fired = _Fired(chance, iter(chance.sample(clicks, 800)))
    return Sample(month, clicks, visits, late, fired.all(visits, [*late, *lost]))


def payable(sample: Sample) -> dict[int, Decimal]:
    """Return what each affiliate is to be paid for the month, where anything is payable: all that found its click."""
    total: dict[int, Decimal] = {}
    known = {click.number for click in [*sample.clicks, *sample.late_clicks]}
    for each in sample.conversions:
        if each.click.number in known and each.click.affiliate not in NOTHING_PAYABLE:
            total[each.click.affiliate] = total.get(each.click.affiliate, Decimal(0)) + owed(each)
    return total


def source_body(network: Network, allowlist: list[str]) -> dict[str, Any]:
    """Return the body that creates the source of `network`."""
    return {
        "name": network.name, "scheme": network.scheme, "payout_means": network.payout_means, "allowlist": allowlist,
        "stale": "hold", "default_currency": "EUR",
    }  # fmt: skip


def _click(chance: random.Random, month: datetime, number: int) -> Click:
    affiliate = chance.choices(range(len(AFFILIATES)), [each.share for each in AFFILIATES])[0]
    # An affiliate is paid in one currency, and so advertises what pays in it; and a newsletter brings leads.
    fitting = [place for place, each in enumerate(CAMPAIGNS) if each.currency == AFFILIATES[affiliate].currency]
    campaign = 3 if affiliate == NINE_NEWSLETTERS else chance.choice(fitting)
    clicked_at = month + timedelta(seconds=chance.randrange(MONTH_DAYS * 86_400))
    return Click(number, campaign, affiliate, clicked_at, f"page-{number % 37}")


@dataclass
class _Fired:
    """Makes the postbacks, each about a click of its own."""

    chance: random.Random
    clicks: Iterator[Click]
    number: int = 1000

    def all(self, visits: Sequence[Click], unknown: Sequence[Click]) -> list[Postback]:
        """Return every postback: what happened, then what is wrong with some, then what repeats others."""
        genuine = self._some(Kind.GENUINE, COUNTS[Kind.GENUINE] - len(visits))
        today = [replace(self._told(Kind.GENUINE, click), occurred_at=None) for click in visits]
        late = [
            replace(each, is_to_be_rejected=number < STALE_REJECTED)
            for number, each in enumerate(self._some(Kind.STALE, COUNTS[Kind.STALE]))
        ]
        # Three decimals: no currency of ours has so many.
        invalid = [replace(each, payout=Decimal("1.005")) for each in self._some(Kind.INVALID, COUNTS[Kind.INVALID])]
        of_harbour = [each for each in genuine if each.network == HARBOUR]
        repeated = self.chance.sample(genuine, COUNTS[Kind.DUPLICATE] + COUNTS[Kind.CONFLICT])
        return [
            *genuine,
            *today,
            *(self._told(Kind.UNKNOWN_CLICK, click) for click in unknown),
            *late,
            *self._some(Kind.FORGED, COUNTS[Kind.FORGED]),
            *invalid,
            *(replace(each, kind=Kind.WRONG_ADDRESS) for each in of_harbour[: COUNTS[Kind.WRONG_ADDRESS]]),
            *(replace(each, kind=Kind.DUPLICATE) for each in repeated[COUNTS[Kind.CONFLICT] :]),
            *(replace(each, kind=Kind.CONFLICT, payout=each.payout + 1) for each in repeated[: COUNTS[Kind.CONFLICT]]),
        ]

    def _some(self, kind: Kind, count: int) -> list[Postback]:
        return [self._told(kind, click) for click in islice(self.clicks, count)]

    def _told(self, kind: Kind, click: Click) -> Postback:
        campaign = CAMPAIGNS[click.campaign]
        amount = Decimal(self.chance.randrange(900, 24_000)) / 100
        payout = Decimal("2.50") if campaign.terms["kind"] == "fixed" else round(amount * Decimal("0.09"), 2)
        transaction_id = f"{NETWORKS[campaign.network].prefix}-{self.number}"
        self.number += 1
        occurred_at = click.clicked_at + timedelta(seconds=self.chance.randrange(300, 72_000))
        return Postback(kind, campaign.network, transaction_id, click, payout, amount, campaign.currency, occurred_at)
