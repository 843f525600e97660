"""What an example postback tells: our fields in a network's own names, and the shape of its body."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from core import money
from postback.content import FIELDS, Meaning, Reading

_MINOR_UNITS = 50
# What an example tells of a source that maps nothing of its own.
_USUAL = ("click_id", "transaction_id", "payout", "currency")


def told(
    reading: Reading, *, transaction_id: str, currency: str, now: datetime, only: Collection[str] | None = None
) -> dict[str, str]:
    """Return an example's parameters by the network's names: `only` these fields of ours, or the usual ones.

    The status is a word that means approved, and wins where the network says status and event in one parameter.
    """
    amount = str(_MINOR_UNITS) if reading.amounts_in_minor else money.to_text(_MINOR_UNITS, currency)
    values = {
        "click_id": "example-click",
        "transaction_id": transaction_id,
        "payout": amount,
        "amount": amount,
        "currency": currency,
        "occurred_at": str(int(now.timestamp())),
        **{name: "1" for name in FIELDS if name.startswith("sub")},
        "event": "sale",
        "status": next((word for word, means in reading.status_words.items() if means == Meaning.APPROVED), "approved"),
    }
    asked = _USUAL if only is None else only
    return {reading.name(ours): value for ours, value in values.items() if ours in asked}


def unread(now: datetime) -> dict[str, str]:
    """Return values for what some networks sign and nobody reads."""
    # Twelve digits, as LevelPlay writes its minutes; Pollfish's milliseconds are any text.
    return {"ip": "203.0.113.7", "timestamp": now.strftime("%Y%m%d%H%M")}


def nested(values: Mapping[str, str]) -> str:
    """Return the JSON object in which each name of `values` is a path: `click.id`, `codes.0`."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        steps = path.split(".")
        place = whole
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = value
    return json.dumps(_with_lists(whole), separators=(",", ":"))


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    is_list = list(inner) == [str(position) for position in range(len(inner))]
    return list(inner.values()) if is_list and inner else inner
