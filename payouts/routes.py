"""The HTTP door of payouts."""

from core.http.endpoints import Blueprint

blueprint = Blueprint("payouts", __name__, description="Accruals, expense categories, payouts, batches and settlement.")
