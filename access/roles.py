"""The roles people have and the scopes tokens may have. No scope approves, releases or reveals."""

from enum import StrEnum


class Role(StrEnum):
    """What a person may be here; one person may be several."""

    ADMIN = "admin"
    AFFILIATE_MANAGER = "affiliate_manager"
    FINANCE = "finance"
    MANAGER = "manager"
    AUDITOR = "auditor"


EVERYONE = tuple(Role)

SCOPES = frozenset(
    {
        "sources:read",
        "sources:write",
        "affiliates:read",
        "affiliates:write",
        "campaigns:read",
        "campaigns:write",
        "clicks:read",
        "clicks:write",
        "receipts:read",
        "conversions:read",
        "rules:read",
        "rules:write",
        "payouts:read",
        "approvals:read",
        "statements:write",
        "reconciliations:write",
        "reports:read",
        "stages:run",
    }
)

# What `--scope all-machine` stands for.
ALL_MACHINE = "all-machine"
