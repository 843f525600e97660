"""An amount of money as it is written out on a cheque, in English."""

from core import money
from core.money import Money

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion")
_THOUSAND, _HUNDRED, _TEENS_END = 1000, 100, 20
MOST = _THOUSAND ** len(_SCALES)


def in_words(value: Money) -> str:
    """Return `twelve thousand four hundred and eighty 05/100 GBP`; from 10^15 on the digits themselves.

    The part of a unit is a fraction by the currency's decimals: none of yen, thousandths of a dinar.
    """
    whole, _, fraction = money.to_text(abs(value.amount_minor), value.currency).partition(".")
    said = _number(int(whole)) if int(whole) < MOST else f"{int(whole):,}"
    parts = ["minus"] if value.amount_minor < 0 else []
    parts.append(said)
    if fraction:
        parts.append(f"{fraction}/1{'0' * len(fraction)}")
    return " ".join([*parts, value.currency])


def _number(number: int) -> str:
    if number < _THOUSAND:
        return _below_thousand(number)
    groups = []
    for scale in _SCALES:
        number, rest = divmod(number, _THOUSAND)
        if rest:
            groups.append((rest, scale))
    said = [f"{_below_thousand(rest)} {scale}".strip() for rest, scale in reversed(groups)]
    # A last group without hundreds is joined with "and": one thousand and five.
    last, scale = groups[0]
    if not scale and last < _HUNDRED and len(said) > 1:
        said[-1] = f"and {said[-1]}"
    return " ".join(said)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, _HUNDRED)
    said = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest or not hundreds:
        said.append(_below_hundred(rest))
    return " and ".join(said)


def _below_hundred(number: int) -> str:
    if number < _TEENS_END:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]
