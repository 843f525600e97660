"""Reads what a person wrote as a mapping or as rules: YAML, of which JSON is a part."""

from typing import Any

import yaml

from core.errors import Fault, Invalid

LENGTH_MAX = 20_000


class _Loader(yaml.SafeLoader):
    """Plain values only, nothing twice: no anchors, which make ten lines a gigabyte, and no key that hides another."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs leave it out
            problem = "an anchor is used: write it out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - theirs
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                problem = f"{key!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


# A column may be called 2026-10-01: texts that look like a date stay texts.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if not tag.endswith((":timestamp", ":value"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str, *, field: str = "mapping") -> dict[str, Any]:
    """Return the object that `text` says; raise Invalid, with its line, for what is none."""
    found = parsed(text, field=field)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Invalid.of(Fault(field, "takes an object that names the columns"))
    return found


def parsed(text: str, *, field: str) -> Any:
    """Return what `text` says, an object or a list; raise Invalid, with its line, for what cannot be read."""
    if len(text) > LENGTH_MAX:
        raise Invalid.of(Fault(field, f"is longer than {LENGTH_MAX:,} characters"))
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader that takes less than the safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Invalid.of(Fault(field, f"is no YAML or JSON: {_said(error)}")) from None


def written(mapping: Any) -> str:
    """Return a mapping as YAML, its keys in their order."""
    text: str = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=100)
    return text


def _said(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it is nested too deeply or holds what is no text"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
