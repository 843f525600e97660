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
import reports.advertiser_models
import reports.delivery.models
import reports.exports.models
import reports.importing.models
import reports.match_models
import reports.models
import reports.period_models
import reports.remittance_models
import reports.resolving.models
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
    reports.advertiser_models,
    reports.match_models,
    reports.exports.models,
    reports.importing.models,
    reports.models,
    reports.remittance_models,
    reports.resolving.models,
    reports.delivery.models,
    reports.period_models,
    tracking.models,
)
METADATA = Base.metadata
