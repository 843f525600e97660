"""Tiers: which step of a campaign's terms a conversion is paid by, from what its affiliate brought in that month."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COUNT = "count"


@dataclass(frozen=True)
class Volume:
    """What came before in a month: conversions, and the sum of their sales in minor units by currency."""

    count: int
    sums: Mapping[str, int]

    def with_sale(self, sale_minor: int | None, currency: str) -> "Volume":
        """Return the volume with one more conversion in it."""
        if sale_minor is None:
            return Volume(self.count + 1, self.sums)
        return Volume(self.count + 1, {**self.sums, currency: self.sums.get(currency, 0) + sale_minor})


def chosen(facts: Mapping[str, Any], before: Volume) -> dict[str, Any]:
    """Return terms, as plain JSON, as they are frozen for the conversion after `before`.

    The step in force is the last one whose `from` the volume has reached without the conversion: with one from 100 on,
    the 101st is the first that is paid by it, and none before it is paid anew. Below the first step the terms' own
    figure counts. A sum counts sales in the currency of the tiers alone.
    """
    own = {name: value for name, value in facts.items() if name != "tiers"}
    tiers = facts.get("tiers")
    if tiers is None:
        return own
    reached = before.count if tiers["by"] == COUNT else before.sums.get(tiers["currency"], 0)
    own["tier"] = {"by": tiers["by"], "from": 0, "reached": reached}
    for step in tiers["steps"]:
        if step["from"] <= reached:
            own["tier"]["from"] = step["from"]
            own.update({name: step[name] for name in ("percent", "amount_minor") if name in step})
    return own
