"""Reports that go out by themselves each month: schedules, and what was delivered of them."""
