"""Believe or refuse a postback, and record its conversion exactly once."""
