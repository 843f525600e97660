"""Tests of reports.bank_formats."""
