"""Rules choose a chain, people decide, the decision is bound to what was decided."""
