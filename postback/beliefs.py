"""A belief: what intake hands to the writer, and what it comes to."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.actors import Actor, system
from postback.answers import Status
from postback.content import Claim, DedupeBy, Duplicates
from postback.receipts import Attempt

_Key = tuple[str, str]

# Who acts when a postback does something to a conversion.
INTAKE = system("intake")


class Replays(NamedTuple):
    """Says that a belief is a receipt read again: no new receipt is written for it, and nothing repeated."""

    reprocessing_id: str
    receipt_id: str
    at: datetime


class Reported(NamedTuple):
    """Says that no postback came: a person makes the conversion from what the network reported, and says why.

    `reference` names that line. It stands where a conversion has its receipt; no receipt is written, nothing repeated.
    """

    reference: str
    actor: Actor
    reason: str
    at: datetime


class Belief(NamedTuple):
    """A proven and valid postback that waits to be recorded. `refuses_late`: its source wants no late ones.

    `covered_fields` are the network's names, for the receipt; `covered` are ours, as postback/covering.py writes them.
    """

    attempt: Attempt
    secret_id: str
    assurance: str
    covered_fields: Sequence[str]
    claim: Claim
    dedupe_key: str
    covered: str = ""
    is_late: bool = False
    refuses_late: bool = False
    is_test: bool = False
    dedupe_by: DedupeBy = DedupeBy.TRANSACTION_ID
    duplicates: Duplicates = Duplicates.IGNORE
    replays: Replays | None = None
    reported: Reported | None = None

    @property
    def is_postback(self) -> bool:
        """Say whether it has just come in: then it gets a receipt, and may repeat another."""
        return self.replays is None and self.reported is None

    @property
    def key(self) -> _Key:
        """What is unique for ever."""
        return self.attempt.source_id, self.dedupe_key


class Recorded(NamedTuple):
    """What became of a belief; of a repeated one the ids are the first one's."""

    status: Status
    receipt_id: str | None = None
    conversion_id: str | None = None
