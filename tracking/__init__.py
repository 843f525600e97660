"""Clicks: hand out click ids and remember where they came from."""
