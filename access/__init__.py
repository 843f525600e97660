"""Who works here: staff, sessions, API tokens."""
