"""Month end: statements, matching, discrepancies, period close, exports."""
