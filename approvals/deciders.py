"""The people who may decide today, and whom a step's `approvers` come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import groups, people
from access.roles import Role
from approvals.models import ApprovalLimit
from approvals.policy_checks import Roster

DECIDING_ROLES = (Role.FINANCE, Role.MANAGER, Role.ADMIN)


@dataclass(frozen=True)
class Deciders:
    """Those who may sign in and have a role that decides: their roles, groups and limits, loaded once."""

    roles: Mapping[str, frozenset[str]]  # staff id -> roles, in the order people came
    groups: Mapping[str, frozenset[str]]
    limits: Mapping[tuple[str, str], int]  # (staff id, currency) -> minor units
    _found: dict[tuple[str, str], list[str]] = field(default_factory=dict, repr=False, compare=False)

    def who(self, approvers: Mapping[str, str], facts: Mapping[str, Any]) -> Sequence[str]:
        """Return the ids of those whom `approvers` come to for a request with `facts`, in the order they came."""
        [(kind, name)] = approvers.items()
        if kind != "limit_covers":
            # The same for every request: of many that are opened together each would look through everybody.
            if (kind, name) not in self._found:
                self._found[kind, name] = self._named(kind, name)
            return self._found[kind, name]
        amount, currency = facts.get("amount_base"), facts.get("currency")
        if not isinstance(amount, int) or not isinstance(currency, str):
            return []
        return [staff_id for staff_id in self.roles if self.limits.get((staff_id, currency), -1) >= amount]

    def _named(self, kind: str, name: str) -> list[str]:
        if kind == "role":
            return [staff_id for staff_id, roles in self.roles.items() if name in roles]
        members = self.groups.get(name, frozenset())
        return [staff_id for staff_id in self.roles if staff_id in members]

    def is_admin(self, staff_id: str) -> bool:
        """Say whether the person is an admin."""
        return Role.ADMIN in self.roles.get(staff_id, frozenset())

    def roster(self, delegations: list[tuple[str, str]]) -> Roster:
        """Return them as the checks of a policy take them."""
        able = frozenset(self.roles)
        by_role = {str(role): frozenset(self.who({"role": role}, {})) for role in DECIDING_ROLES}
        return Roster(
            roles=by_role,
            groups={name: members & able for name, members in self.groups.items() if members & able},
            limited=frozenset(staff_id for staff_id, _currency in self.limits) & able,
            delegations=delegations,
        )


def load(session: Session) -> Deciders:
    """Return the deciders as they are now."""
    limits = session.execute(sa.select(ApprovalLimit.staff_id, ApprovalLimit.currency, ApprovalLimit.limit_minor))
    return Deciders(
        roles={
            staff.id: frozenset(staff.roles)
            for staff in people.enabled(session)
            if set(staff.roles) & set(DECIDING_ROLES)
        },
        groups=groups.members(session),
        limits={(row.staff_id, row.currency): row.limit_minor for row in limits},
    )
