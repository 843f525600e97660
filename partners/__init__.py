"""Who we deal with: sources and their secrets, affiliates, campaigns and their terms."""
