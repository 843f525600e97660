"""How the console says money, time, accounts and states: plain functions that the templates call."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core import money
from core.money import Money

MINUS = "\u2212"
BANK_CHANGE_DAYS = 30

ASSURANCE = {
    "A": "everything signed, the amount too",
    "B": "part of it signed",
    "C": "a static secret alone",
    "D": "the address alone",
    "E": "nothing checked",
}
# State -> (shape of the pill, word). A state without an entry is said as it is.
STATES: Mapping[str, tuple[str, str]] = {
    "open": ("act", "Open"),
    "approved": ("ok", "Approved"),
    "rejected": ("bad", "Rejected"),
    "voided": ("hollow", "Ended, its subject changed"),
    "waiting": ("hollow", "Next"),
    "active": ("act", "Waiting"),
    "passed": ("ok", "Passed"),
    "skipped": ("hollow", "Not needed"),
    "recorded": ("hollow", "Recorded"),
    "accrued": ("hollow", "Owed"),
    "paid": ("ok", "Paid"),
    "draft": ("hollow", "Draft"),
    "pending": ("act", "Waits for approval"),
    "batched": ("hollow", "In a batch"),
    "building": ("act", "Waits for release"),
    "released": ("ok", "Released"),
    "sent": ("hollow", "Sent"),
    "unknown": ("warn", "Sent, no answer"),
    "settled": ("ok", "Settled"),
    "returned": ("bad", "Came back"),
    "cancelled": ("hollow", "Given up"),
    "live": ("hollow", "No answer yet"),
    "unmatched": ("warn", "No click yet"),
    "reversed": ("bad", "Taken back"),
    "test": ("hollow", "Test"),
    "closed": ("ok", "Closed"),
    "finished": ("ok", "Finished"),
    "running": ("act", "Running"),
    "failed": ("bad", "Failed"),
    "resolving": ("act", "Waits for approval"),
    "claimed": ("act", "Claimed"),
    "resolved": ("ok", "Resolved"),
    "carried": ("hollow", "Carried"),
    "gone": ("hollow", "Gone"),
    "believed": ("ok", "Believed"),
    "refused": ("bad", "Refused"),
}


@dataclass(frozen=True)
class Parts:
    """An amount as its cell shows it: `fraction` begins with the point, empty for a currency without decimals."""

    integer: str
    fraction: str
    currency: str
    is_negative: bool


@dataclass(frozen=True)
class Warning_:  # noqa: N801 - `Warning` is Python's own
    """One thing to check: `flag` in the list, `sentence` above the button; `shape` is warn or bad."""

    shape: str
    flag: str
    sentence: str


def of_wire(value: Mapping[str, str] | None) -> Money | None:
    """Return the amount whose wire form is `value`."""
    return None if value is None else money.parse(value["amount"], value["currency"])


def parts(value: Money) -> Parts:
    """Return `value` in digits grouped by three, with the exact decimals of its currency and a real minus sign."""
    whole, point, fraction = money.to_text(abs(value.amount_minor), value.currency).partition(".")
    is_negative = value.amount_minor < 0
    return Parts((MINUS if is_negative else "") + f"{int(whole):,}", point + fraction, value.currency, is_negative)


def amount(value: Money) -> str:
    """Return `value` in one line, such as `12,480.00 GBP`."""
    shown = parts(value)
    return f"{shown.integer}{shown.fraction} {shown.currency}"


def amounts(values: Sequence[Money]) -> str:
    """Return sums of several currencies one beside the other: two currencies are never added."""
    said = [amount(value) for value in values]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return `3 payouts`, `1 payout`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def moment(at: datetime) -> str:
    """Return a moment, such as `21 Nov 2026 09:12`."""
    return f"{at.day} {at:%b %Y %H:%M}"


def exact_moment(at: datetime) -> str:
    """Return a moment to the second, such as `21 Nov 2026 09:12:40`."""
    return f"{at.day} {at:%b %Y %H:%M:%S}"


def day(at: Any) -> str:
    """Return a date, such as `21 Nov 2026`."""
    return f"{at.day} {at:%b %Y}"


def month(period: str) -> str:
    """Return `October 2026` for `2026-10`; what is no month comes back as it is."""
    try:
        return f"{datetime.strptime(period, '%Y-%m'):%B %Y}"  # noqa: DTZ007 - a month has no zone
    except ValueError:
        return period


def span(between: timedelta) -> str:
    """Return a length of time in its largest unit: `40 s`, `6 min`, `31 h`, `25 d`."""
    seconds = int(between.total_seconds())
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} d"


def visible(text: object) -> str:
    """Return `text` with control and direction-changing characters shown as their codes."""
    return "".join(
        f"U+{ord(letter):04X}" if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else letter
        for letter in str(text)
    )


def short_hash(value: str) -> str:
    """Return `sha256 9f2c41d7 … 7d10c4e2` for a prefixed hash."""
    kind, _, digits = value.rpartition(":")
    return f"{kind} {digits[:8]} … {digits[-8:]}".strip()


def pill(state: str) -> tuple[str, str]:
    """Return the shape and the word of a state."""
    return STATES.get(state, ("hollow", state.replace("_", " ").capitalize()))


def words(name: str) -> str:
    """Return a machine's name as words: `amount_mismatch` is `Amount mismatch`."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def sentence(text: str) -> str:
    """Return `text` as a sentence: with a capital letter and a full stop, unless it has its own end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "…")) else ".")


def warnings_of(facts: Mapping[str, Any]) -> list[Warning_]:
    """Return what to check before approving, as far as the facts of a request tell, the worst first."""
    found = []
    status = facts.get("affiliate.status")
    if status == "suspended":
        found.append(Warning_("bad", "Suspended", "This affiliate is suspended."))
    if status == "new":
        found.append(Warning_("bad", "New affiliate", "This affiliate is new: nobody has called them trusted yet."))
    changed = facts.get("affiliate.bank_changed_days")
    if isinstance(changed, int) and changed < BANK_CHANGE_DAYS:
        when = "today" if changed == 0 else f"{plural(changed, 'day')} ago"
        found.append(Warning_("warn", "Bank changed", f"The bank account was set or changed {when}."))
    assurance = facts.get("assurance")
    if assurance is not None and assurance != "A":
        means = ASSURANCE.get(assurance, "unknown")
        found.append(
            Warning_("warn", f"Assurance {assurance}", f"Some postbacks in it have assurance {assurance}: {means}.")
        )
    if facts.get("amount_is_covered") is False:
        says = "Nobody signed the amount of some postbacks in it: compare it with the network's own report."
        found.append(Warning_("warn", "Amount not signed", says))
    if "uncategorised" in (facts.get("category") or []):
        found.append(Warning_("warn", "Uncategorised", "Part of it has no expense category: no rule matched."))
    return found
