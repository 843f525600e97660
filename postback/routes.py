"""The HTTP door of postback."""

from core.http.endpoints import Blueprint

blueprint = Blueprint(
    "postback", __name__, description="Believe or refuse a postback, and record its conversion exactly once."
)
