"""The way of most postbacks on PostgreSQL: new, plain, and written by two statements for the whole batch.

What is not new, or takes something back, or whose source has moved on is left to `recording`, which asks more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core import bulk
from core.async_postgresql import Statements
from core.bulk import Guard
from core.database import table_of
from core.runtime import Runtime
from partners.models import Source
from postback import recording
from postback.beliefs import Belief, Recorded
from postback.event_rules import State
from postback.models import Conversion, ConversionEvent, Receipt
from postback.recording import New

_CLICKS = """
SELECT clicks.id, clicks.click_id, clicks.campaign_id, clicks.affiliate_id, clicks.clicked_at,
       campaigns.attribution_window_days
FROM clicks JOIN campaigns ON campaigns.id = clicks.campaign_id WHERE clicks.click_id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class _Click:
    """A click, as `recording.conversion_of` asks for it."""

    id: str
    click_id: str
    campaign_id: str
    affiliate_id: str
    clicked_at: datetime
    attribution_window_days: int


def may_be_quick(belief: Belief) -> bool:
    """Say whether a belief, if its key is new, needs nothing but inserting."""
    return recording.may_be_first(belief) and not belief.claim.is_reversal


async def record(
    runtime: Runtime,
    statements: Statements,
    beliefs: Sequence[Belief],
    revisions: Mapping[str, int],
    ring: Callable[[str], None],
) -> dict[int, Recorded]:
    """Record those `beliefs` whose key is new and whose source stands at its revision; return them by identity."""
    rows = await statements.rows(_CLICKS, {"ids": sorted({belief.claim.click_id for belief in beliefs})})
    clicks = {row[1]: _Click(*row) for row in rows}
    made = [(belief, recording.conversion_of(runtime, belief, clicks.get(belief.claim.click_id))) for belief in beliefs]
    statement, parameters = bulk.guarded_insert(
        table_of(Conversion),
        [new.row for _, new in made],
        key=("source_id", "dedupe_key"),
        guard=Guard(table_of(Source), "source_id", revisions),
        followers=[
            (table_of(ConversionEvent), "conversion_id", [recording.first_event(new) for _, new in made]),
            (table_of(Receipt), "conversion_id", [_receipt(belief, new) for belief, new in made]),
        ],
    )
    inserted = {row[0] for row in await statements.rows(statement, parameters)}
    done = {id(belief): new for belief, new in made if new.row["id"] in inserted}
    states = {new.row["state"] for new in done.values()}
    for state, stage in ((State.RECORDED, "accrual"), (State.UNMATCHED, "matching-clicks")):
        if state.value in states:
            ring(stage)
    return {place: _recorded(new) for place, new in done.items()}


def _recorded(new: New) -> Recorded:
    return Recorded(new.status, new.row["receipt_id"], new.row["id"])


def _receipt(belief: Belief, new: New) -> dict[str, object]:
    return recording.receipt_of(belief, new.row["receipt_id"], _recorded(new))
