"""Amounts of money in integer minor units of an ISO 4217 currency."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

# ISO 4217, active codes of national currencies and of supranational ones that people are paid in.
# Two decimals unless listed below with another exponent.
_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE
CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_OTHER_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: dict[str, int] = dict.fromkeys(_TWO_DECIMALS.split(), 2) | {
    code: exponent for exponent, codes in _OTHER_DECIMALS.items() for code in codes.split()
}

# A BIGINT holds 19 digits; 15 leave room for sums over millions of rows.
AMOUNT_MINOR_MAX = 10**15

_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,8})?", re.ASCII)


class MoneyError(ValueError):
    """A text or number that is no amount in its currency; its message is a sentence for the person who sent it."""


@dataclass(frozen=True, order=True)
class Money:
    """`amount_minor` integer minor units of `currency`; adding two currencies is refused."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            message = f"{self.currency} and {other.currency} cannot be added"
            raise MoneyError(message)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount_minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def __str__(self) -> str:
        return f"{to_text(self.amount_minor, self.currency)} {self.currency}"

    @property
    def amount(self) -> Decimal:
        """The amount in major units, with exactly the currency's decimals."""
        return Decimal(self.amount_minor).scaleb(-exponent(self.currency))


def exponent(currency: str) -> int:
    """Return the number of decimals of `currency` (ISO 4217); raise MoneyError when it is no currency we know."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        message = f"{currency!r} is not a currency of ISO 4217"
        raise MoneyError(message) from None


def to_text(amount_minor: int, currency: str) -> str:
    """Return the exact decimal text of an amount, such as `12.50` EUR, `1250` JPY, `-0.005` KWD."""
    decimals = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def parse(text: str, currency: str) -> Money:
    """Return the amount `text` says, such as `12.5` or `12.50`.

    Raise MoneyError when it is not plain ASCII decimal, has more decimals than `currency` (trailing zeros aside),
    or is too large to keep. Nothing is rounded.
    """
    if not _AMOUNT.fullmatch(text):
        message = f"{text!r} is not an amount: digits with at most one point, such as 12.50"
        raise MoneyError(message)
    minor = Decimal(text).scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        message = f"{text!r} has more decimals than {currency}, which has {exponent(currency)}"
        raise MoneyError(message)
    return bounded(int(minor), currency)


def rounded(amount: Decimal, currency: str) -> Money:
    """Round `amount` in major units half-even to the minor unit of `currency`: once, at the end of a calculation."""
    return bounded(int(amount.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)), currency)


def bounded(amount_minor: int, currency: str) -> Money:
    """Return the amount, or raise MoneyError beyond AMOUNT_MINOR_MAX in either direction."""
    if abs(amount_minor) > AMOUNT_MINOR_MAX:
        message = f"an amount of more than {to_text(AMOUNT_MINOR_MAX, currency)} {currency} cannot be kept"
        raise MoneyError(message)
    return Money(amount_minor, currency)
