"""Category rulesets: drafted by anyone who may, put in force by another person, never edited.

What was accrued keeps its category: the version that chose it is frozen on each accrual.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from core import versions
from core.actors import Actor
from core.errors import Invalid
from core.runtime import Runtime
from payouts import categories
from payouts.models import CategoryRuleset


def draft(runtime: Runtime, session: Session, rules: Sequence[Mapping[str, Any]], *, actor: Actor) -> CategoryRuleset:
    """Keep `rules` as the next version, not yet in force; raise Invalid with every fault."""
    found = categories.faults(rules)
    if found:
        raise Invalid.of(*found)
    content = {"rules": [dict(rule) for rule in rules]}
    return versions.draft(runtime, session, CategoryRuleset, content, actor=actor, logged=content)
