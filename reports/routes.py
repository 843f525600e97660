"""The HTTP door of reports."""

from core.http.endpoints import Blueprint

blueprint = Blueprint(
    "reports", __name__, description="Month end: statements, matching, discrepancies, period close, exports."
)
