"""The HTTP door of tracking."""

from core.http.endpoints import Blueprint

blueprint = Blueprint("tracking", __name__, description="Clicks: hand out click ids and remember where they came from.")
