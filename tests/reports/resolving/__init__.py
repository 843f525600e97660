"""Resolutions of discrepancies."""
