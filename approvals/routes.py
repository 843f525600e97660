"""The HTTP door of approvals."""

from core.http.endpoints import Blueprint

blueprint = Blueprint(
    "approvals", __name__, description="Rules choose a chain, people decide, the decision is bound to what was decided."
)
