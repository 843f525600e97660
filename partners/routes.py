"""The HTTP door of partners."""

from core.http.endpoints import Blueprint

blueprint = Blueprint(
    "partners",
    __name__,
    description="Who we deal with: sources and their secrets, affiliates, campaigns and their terms.",
)
