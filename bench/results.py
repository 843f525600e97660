"""Results on disk: one JSON file with everything, and a readable page beside it."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine

FOLDER = Path(__file__).parent / "results"


def write(name: str, found: Mapping[str, Any], page: Iterable[str], *, folder: Path = FOLDER) -> None:
    """Write `found` and the lines of `page`, with what they were measured on, as YYYY-MM-DD-`name`.json and .md."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{time.strftime('%Y-%m-%d', time.gmtime())}-{name}"
    facts, versions, command = machine.description(), machine.versions(), machine.command_line()
    whole = {"command": command, "machine": facts, "versions": versions, **found}
    stem.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    lines = [*page, "", "## Measured on", "", f"`{command}`", "", *_facts(facts), *_facts(versions), ""]
    stem.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")
    print(f"written: {stem}.json and .md")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table whose columns after the first are figures."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return the value below which `part` of an ordered sequence lies, 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [f"- {name}: {value}" for name, value in facts.items() if value]
