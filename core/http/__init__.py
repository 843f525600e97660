"""How every room speaks HTTP: declared doors, wire formats, cursor lists, idempotency keys."""
