"""Tests of reports as tables and files."""
