"""Double-entry postings and the periods they fall in."""
