"""Accruals, expense categories, payouts, batches and settlement."""
