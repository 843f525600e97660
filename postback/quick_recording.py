"""The way of most postbacks on PostgreSQL: new, plain, and written by two statements for the whole batch.

What is not new, or takes something back, or whose source has moved on is left to `recording`, which asks more.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from core import bulk
from core.async_postgresql import Statements
from core.bulk import Guard, Part
from core.database import table_of
from core.runtime import Runtime
from partners.models import Source
from postback import receipts, recording, repeating
from postback.beliefs import INTAKE, Belief, Recorded
from postback.event_rules import EventKind, State
from postback.models import Conversion, ConversionEvent, Receipt
from postback.recording import New

# In the order of a Click; which of them is each database's own question.
CLICKS = """
SELECT clicks.id, clicks.click_id, clicks.campaign_id, clicks.affiliate_id, clicks.clicked_at,
       campaigns.attribution_window_days
FROM clicks JOIN campaigns ON campaigns.id = clicks.campaign_id WHERE clicks.click_id
"""
CLICKS_BY_ID = f"{CLICKS} = ANY(%(ids)s)"
_TAKEN_BACK = """
SELECT DISTINCT source_id, transaction_id FROM conversions
JOIN unnest(%(sources)s::text[], %(transactions)s::text[]) AS told(source, transaction)
ON source_id = told.source AND transaction_id = told.transaction
WHERE state = 'reversed'
"""


# What a first event and a believed receipt say of every new and plain postback.
_SAME = {
    "seq": 1,
    "kind": EventKind.RECORDED.value,
    "actor_kind": INTAKE.kind.value,
    "actor_id": INTAKE.id,
    "verdict": receipts.BELIEVED,
    "faults": [],
    "nothing": None,
}
_RECEIPT_ALONE = (
    "peer", "method", "raw_query", "raw_body", "signature_headers", "latency_us", "secret_id", "covered_fields",
    "outcome",
)  # fmt: skip
_CONVERSION = Part(table_of(Conversion), tuple((name, name) for name in recording.COLUMNS))
_EVENT = Part(
    table_of(ConversionEvent),
    (
        ("conversion_id", "id"), ("seq", "seq"), ("kind", "kind"), ("at", "recorded_at"), ("actor_kind", "actor_kind"),
        ("actor_id", "actor_id"), ("receipt_id", "receipt_id"), ("reason", "nothing"), ("details", "event_details"),
    ),
)  # fmt: skip
_RECEIPT = Part(
    table_of(Receipt),
    (
        ("id", "receipt_id"), ("received_at", "recorded_at"), ("source_id", "source_id"), ("assurance", "assurance"),
        ("dedupe_key", "dedupe_key"), ("conversion_id", "id"), ("verdict", "verdict"), ("faults", "faults"),
        ("reason", "nothing"), *((name, f"receipt_{name}") for name in _RECEIPT_ALONE),
    ),
)  # fmt: skip


class Click(NamedTuple):
    """A click, as `recording.conversion_of` asks for it."""

    id: str
    click_id: str
    campaign_id: str
    affiliate_id: str
    clicked_at: datetime
    attribution_window_days: int

    @classmethod
    def of_sqlite(cls, row: Sequence[Any]) -> "Click":
        """Return the click in a row as SQLite's driver has it: its moment is text, in UTC."""
        moment = datetime.fromisoformat(row[4]).replace(tzinfo=UTC)
        return cls(row[0], row[1], row[2], row[3], moment, row[5])


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
    beliefs = await _not_taken_back(statements, beliefs)
    if not beliefs:
        return {}
    rows = await statements.rows(CLICKS_BY_ID, {"ids": sorted({belief.claim.click_id for belief in beliefs})})
    clicks = {row[1]: Click(*row) for row in rows}
    made = made_of(runtime, beliefs, clicks)
    statement, parameters = bulk.guarded_insert(
        _CONVERSION,
        (_EVENT, _RECEIPT),
        [_row(belief, new) for belief, new in made],
        key=("source_id", "dedupe_key"),
        guard=Guard(table_of(Source), "source_id", revisions),
        same=_SAME,
    )
    inserted = {row[0] for row in await statements.rows(statement, parameters)}
    return told([(belief, new) for belief, new in made if new.row["id"] in inserted], ring)


def made_of(runtime: Runtime, beliefs: Sequence[Belief], clicks: Mapping[str, Click]) -> list[tuple[Belief, New]]:
    """Return the conversion that each belief makes if its key is new, in an order in which nobody waits in a circle."""
    ordered = sorted(beliefs, key=lambda belief: belief.key)
    return [(belief, recording.conversion_of(runtime, belief, clicks.get(belief.claim.click_id))) for belief in ordered]


def told(done: Sequence[tuple[Belief, New]], ring: Callable[[str], None]) -> dict[int, Recorded]:
    """Ring for what was committed, and return what became of each belief by its identity."""
    states = {new.row["state"] for _, new in done}
    for state, stage in ((State.RECORDED, "accrual"), (State.UNMATCHED, "matching-clicks")):
        if state.value in states:
            ring(stage)
    return {id(belief): _recorded(new) for belief, new in done}


def receipt(belief: Belief, new: New) -> dict[str, Any]:
    """Return the receipt of a belief that made a conversion, as a row."""
    return recording.receipt_of(belief, new.row["receipt_id"], _recorded(new))


async def _not_taken_back(statements: Statements, beliefs: Sequence[Belief]) -> Sequence[Belief]:
    """Return `beliefs` without those whose refund came first: what is held for it, `recording` says."""
    pairs = repeating.may_be_taken_back(beliefs)
    if not pairs:
        return beliefs
    sources, transactions = zip(*pairs, strict=True)
    rows = await statements.rows(_TAKEN_BACK, {"sources": list(sources), "transactions": list(transactions)})
    taken_back = {(row[0], row[1]) for row in rows}
    return [belief for belief in beliefs if repeating.transaction_of(belief) not in taken_back]


def _recorded(new: New) -> Recorded:
    return Recorded(new.status, new.row["receipt_id"], new.row["id"])


def _row(belief: Belief, new: New) -> dict[str, object]:
    """Return what the three tables keep of a postback, each value once."""
    event = recording.first_event(new)
    kept = receipt(belief, new)
    return {
        **new.row,
        "event_details": event["details"],
        **{f"receipt_{name}": kept[name] for name in _RECEIPT_ALONE},
    }
