"""What a receipt that is read again, under its source's mapping of today, would change: decided without doing it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.money import Money
from postback import event_rules
from postback.content import Claim, Meaning
from postback.event_rules import Act, NotAllowed, State


class Finding(StrEnum):
    """What replaying one receipt comes to. RECORD and ADJUST are done when a person applies them, the others shown."""

    RECORD = "record"  # it was invalid, and reads today: it becomes a conversion
    ADJUST = "adjust"  # its conversion gets another payout or amount
    DIFFERS = "differs"  # status word or click id read otherwise today: no amount is in it
    SAME = "same"
    STILL_INVALID = "still_invalid"
    NO_LONGER_VALID = "no_longer_valid"  # its conversion was recorded, and today it would not read
    IGNORED = "ignored"  # its word means today that nothing happened
    TAKES_BACK = "takes_back"  # a reversal: what it takes back is a person's to decide
    KNOWN = "known"  # another postback has recorded its key
    OTHER_KEY = "other_key"
    OTHER_CURRENCY = "other_currency"
    ENDED = "ended"  # its conversion was rejected, reversed or came in test mode
    CHANGED_SINCE = "changed_since"  # a person or the network has changed the amounts after it


@dataclass(frozen=True)
class Facts:
    """What of a conversion a mapping decides."""

    payout: Money | None
    amount: Money | None
    status: str | None
    click_id: str

    @property
    def as_json(self) -> dict[str, str | None]:
        """The facts as plain JSON."""
        return {
            "payout": None if self.payout is None else str(self.payout),
            "amount": None if self.amount is None else str(self.amount),
            "status": self.status,
            "click_id": self.click_id,
        }


@dataclass(frozen=True)
class Standing:
    """The conversion whose receipt of record is replayed. `is_changed_since`: its amounts are not that receipt's."""

    conversion_id: str
    version: int
    state: State
    dedupe_key: str
    currency: str
    facts: Facts
    is_changed_since: bool


@dataclass(frozen=True)
class Replay:
    """A believed receipt as it reads today: a claim or, when it is invalid, None. `is_key_taken` by another one."""

    receipt_id: str
    claim: Claim | None
    dedupe_key: str
    standing: Standing | None
    is_key_taken: bool


@dataclass(frozen=True)
class Difference:
    """What a replay comes to; `changed` names the facts that are other ones."""

    receipt_id: str
    finding: Finding
    standing: Standing | None
    after: Facts | None
    changed: tuple[str, ...] = ()
    claim_sha256: str | None = None

    @property
    def before(self) -> Facts | None:
        """The facts as they stand."""
        return None if self.standing is None else self.standing.facts


def decide(replay: Replay) -> Difference:
    """Say what `replay` comes to."""
    claim, standing = replay.claim, replay.standing
    if claim is None:
        finding = Finding.STILL_INVALID if standing is None else Finding.NO_LONGER_VALID
        return Difference(replay.receipt_id, finding, standing, None)
    sha256 = claim.sha256
    told = Facts(claim.payout, claim.amount, claim.status_word, claim.click_id)
    if claim.meaning is Meaning.IGNORED:
        return Difference(replay.receipt_id, Finding.IGNORED, standing, told, claim_sha256=sha256)
    if claim.is_reversal:
        return Difference(replay.receipt_id, Finding.TAKES_BACK, standing, told, claim_sha256=sha256)
    if standing is None:
        finding = Finding.KNOWN if replay.is_key_taken else Finding.RECORD
        return Difference(replay.receipt_id, finding, None, told, claim_sha256=sha256)
    # What a postback leaves out stays as it was, as when one is repeated.
    after = Facts(
        told.payout or standing.facts.payout, told.amount or standing.facts.amount, told.status, told.click_id
    )
    changed = tuple(name for name in _NAMES if getattr(after, name) != getattr(standing.facts, name))
    finding = _compared(replay, standing, claim, changed)
    return Difference(replay.receipt_id, finding, standing, after, changed, sha256)


_NAMES = ("payout", "amount", "status", "click_id")
_MONEY = {"payout", "amount"}


def _compared(replay: Replay, standing: Standing, claim: Claim, changed: Sequence[str]) -> Finding:
    checks = (
        (Finding.OTHER_KEY, replay.dedupe_key != standing.dedupe_key),
        (Finding.OTHER_CURRENCY, claim.currency != standing.currency),
        (Finding.SAME, not changed),
        (Finding.DIFFERS, not _MONEY & set(changed)),
        (Finding.ENDED, isinstance(event_rules.after(standing.state, Act.ADJUST, is_held=False), NotAllowed)),
        (Finding.CHANGED_SINCE, standing.is_changed_since),
    )
    return next((finding for finding, holds in checks if holds), Finding.ADJUST)


@dataclass(frozen=True)
class Payouts:
    """What the payouts of one currency come to, in minor units, before and after."""

    before_minor: int
    after_minor: int


def payouts(differences: Iterable[Difference]) -> dict[str, Payouts]:
    """Return the sums of payouts by currency: of the conversions that are there, and with what would be done."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for difference in differences:
        now = difference.before.payout if difference.before else None
        is_done = difference.finding in {Finding.RECORD, Finding.ADJUST}
        then = difference.after.payout if is_done and difference.after else now
        for sums, payout in ((before, now), (after, then)):
            if payout is not None:
                sums[payout.currency] += payout.amount_minor
    return {currency: Payouts(before[currency], after[currency]) for currency in sorted({*before, *after})}


def changes(differences: Iterable[Difference]) -> dict[str, int]:
    """Return of how many conversions each fact reads otherwise today; of amounts, those that can be adjusted."""
    counts: Counter[str] = Counter()
    for difference in differences:
        if difference.finding in {Finding.ADJUST, Finding.DIFFERS}:
            counts.update(difference.changed)
    return {name: counts[name] for name in _NAMES}


def content_sha256(revision: int, differences: Iterable[Difference]) -> str:
    """Return the hash of everything that was decided and of what it rests on: another one when any of it moves on."""
    digest = hashlib.sha256(f"{revision}\n".encode())
    for each in differences:
        content: Mapping[str, object] = {
            "receipt": each.receipt_id,
            "finding": each.finding.value,
            "claim": each.claim_sha256,
            "conversion": None if each.standing is None else [each.standing.conversion_id, each.standing.version],
            "before": None if each.before is None else each.before.as_json,
            "after": None if each.after is None else each.after.as_json,
        }
        digest.update(json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()
