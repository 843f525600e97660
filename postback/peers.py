"""Who is asking, when proxies of our own stand in front."""


def of(connected: str, forwarded_for: str | None, *, hops: int) -> str:
    """Return the sender's address: the entry that the outermost of our `hops` proxies wrote into X-Forwarded-For.

    Entries before it are the sender's own words. With fewer entries than hops the request came past our proxies, and
    the address that connected counts. A quote is a character like any other: to werkzeug's ProxyFix (3.1.9) a
    header with a sender's open quote in it holds no entry at all, and the sender then counts as our own proxy.
    """
    if not hops or not forwarded_for:
        return connected
    entries = [entry.strip() for entry in forwarded_for.split(",")]
    return entries[-hops] or connected if len(entries) >= hops else connected
