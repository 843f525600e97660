"""How fast, how steady and how far: what Clickledger does under load, beside what others do on the same machine."""
