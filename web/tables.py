"""Every table of every room, in one place: for migrations and for their tests."""

import access.models
import approvals.models
import core.audit
import core.http.idempotency
import core.outbox
import ledger.models
import partners.models
import payouts.models
import postback.models
import reports.models
import tracking.models
from core.database import Base

ROOMS = (
    access.models,
    approvals.models,
    core.audit,
    core.http.idempotency,
    core.outbox,
    ledger.models,
    partners.models,
    payouts.models,
    postback.models,
    reports.models,
    tracking.models,
)
METADATA = Base.metadata
