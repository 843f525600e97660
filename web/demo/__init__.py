"""The whole story on sample data, played by a client of its own through the real doors of a running server."""
