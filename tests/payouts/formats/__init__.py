"""Tests of the formats of payment files."""
