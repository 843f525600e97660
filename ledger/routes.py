"""The HTTP door of ledger."""

from core.http.endpoints import Blueprint

blueprint = Blueprint("ledger", __name__, description="Double-entry postings and the periods they fall in.")
