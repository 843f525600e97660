"""Tests of postback."""
