"""Approvals: routing and deciding on plain values; requests, policies and races on both databases."""
