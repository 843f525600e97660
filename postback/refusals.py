"""Refused attempts: a bounded sample is kept with its true reason, the rest is counted."""

from prometheus_client import Counter

from postback import receipts, redaction
from postback.known import KnownSource
from postback.rate import Buckets, Rate
from postback.receipts import Attempt
from postback.verification import Refusal

# 120 receipts of at most some 5 KiB in a source's worst minute, 60 in every one after it: an attacker cannot fill the
# disk, and somebody who sets up a network still finds each of his attempts.
SAMPLE = Rate(per_second=1, burst=60)
# Whoever invents source ids shares one sample.
UNKNOWN = "unknown source"

# No label is the request's choice: a label for every id would be a time series for every id.
REFUSED = Counter("clickledger_postbacks_refused", "Postbacks refused, by reason.", ["reason"])
UNSAMPLED = Counter("clickledger_postbacks_refused_unsampled", "Refused postbacks of which no receipt was kept.")


def is_sampled(samples: Buckets, attempt: Attempt, refusal: Refusal) -> bool:
    """Count a refused attempt, and say whether its receipt is to be kept: while the minute's sample is not full."""
    REFUSED.labels(refusal.value).inc()
    key = UNKNOWN if refusal is Refusal.UNKNOWN_SOURCE else attempt.source_id
    if samples.wait_s(key, SAMPLE, now=attempt.received_at):
        UNSAMPLED.inc()
        return False
    return True


def without_secrets(attempt: Attempt, source: KnownSource | None) -> Attempt:
    """Return a refused attempt as its receipt may keep it; `source` is None where there is none of its id."""
    if source is None:
        kept = receipts.redacted(attempt, redaction.of_unknown())
        return kept._replace(source_id=redaction.source_id(attempt.source_id))
    return receipts.redacted(attempt, redaction.of_refused(source.scheme.static, source.secrets, source.wanted))
