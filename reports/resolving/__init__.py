"""What people say about discrepancies: notes, resolutions, adjustments under approval, claims from networks."""
