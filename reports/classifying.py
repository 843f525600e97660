"""What a network's word for a line says beside where our conversion stands, on plain values."""

from postback.content import Meaning
from postback.event_rules import State
from reports.matching import DiscrepancyClass, Limits

# The words by which a network says that nothing is owed for a line.
TAKEN_BACK = frozenset({Meaning.REJECTED, Meaning.REFUNDED, Meaning.CHARGED_BACK})
# What is held against nothing: a test call says nothing, and an unknown word needs somebody to explain it first.
_SAYS_NOTHING = frozenset({Meaning.IGNORED, Meaning.UNKNOWN})
_COUNTS = frozenset({State.UNMATCHED, State.RECORDED, State.ACCRUED})


def class_of_status(
    meaning: Meaning, state: State, *, is_paid_out: bool, is_awaited: bool, age_days: int, limits: Limits
) -> DiscrepancyClass | None:
    """Return what is wrong between the network's word for a line and where our conversion stands, None for nothing.

    `is_awaited`: we still wait for the network's approval ourselves. `age_days` is how old the line is.
    """
    if meaning in _SAYS_NOTHING or state not in _COUNTS:
        return None
    if meaning in TAKEN_BACK:
        return DiscrepancyClass.REVERSED_AFTER_PAYMENT if is_paid_out else DiscrepancyClass.STATUS_MISMATCH
    if meaning is Meaning.PENDING:
        # A while it is no contradiction: networks approve weeks after they report.
        return DiscrepancyClass.STALE_PENDING if age_days > limits.pending_days else None
    return DiscrepancyClass.STATUS_MISMATCH if is_awaited else None
