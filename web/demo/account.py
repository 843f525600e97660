"""What the demo tells: a line a chapter while it plays, then the account of the month."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from web.demo.planted import Problem


@dataclass
class Account:
    """What happened. `faults` is all that did not go as the story says: empty, the demo has succeeded."""

    console: Console
    period: str
    faults: list[str] = field(default_factory=list)
    # Of postbacks, by kind: how many were fired, and how many of them were answered as they must be.
    fired: Counter[str] = field(default_factory=Counter)
    heard: Counter[tuple[str, str]] = field(default_factory=Counter)
    # (state, currency) -> how many, how much.
    money: dict[tuple[str, str], tuple[int, Decimal]] = field(default_factory=dict)
    planted: frozenset[Problem] = frozenset()
    found: Counter[Problem] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def chapter(self, title: str) -> Iterator[list[str]]:
        """Time a chapter and print its line; what is appended to the yielded list stands in it."""
        begun, said = time.perf_counter(), list[str]()
        yield said
        seconds = time.perf_counter() - begun
        self.console.print(f"  [bold]{title:<10}[/] {'; '.join(said)} [dim]({seconds:.1f} s)[/]", highlight=False)

    def expect(self, holds: bool, fault: str) -> None:  # noqa: FBT001 - reads as a sentence: expect(sums agree, "..")
        """Note `fault` unless it holds."""
        if not holds:
            self.faults.append(fault)

    def judge(self) -> None:
        """Compare what was found with what was planted: every one once, and nothing else."""
        for problem in sorted(self.planted - set(self.found)):
            self.faults.append(f"planted and not found: {problem.klass} {problem.about} ({problem.where})")
        for problem, count in sorted(self.found.items()):
            if problem not in self.planted:
                self.faults.append(f"found and not planted: {problem.klass} {problem.about} ({problem.where})")
            elif count > 1:
                self.faults.append(f"found {count} times: {problem.klass} {problem.about} ({problem.where})")

    def print(self) -> None:
        """Print the account."""
        out = self.console
        out.print()
        out.print(self._postbacks())
        out.print(self._money())
        out.print(self._problems())
        for note in self.notes:
            out.print(f"  {note}", highlight=False)
        seconds = time.perf_counter() - self.started
        if not self.faults:
            verdict = f"every planted problem was found, and nothing else; {self.period} is closed"
            out.print(f"\n[bold green]{verdict}[/] [dim]({seconds:.0f} s in all)[/]", highlight=False)
            return
        out.print(f"\n[bold red]not as the story says[/] [dim]({seconds:.0f} s in all)[/]", highlight=False)
        for fault in self.faults:
            out.print(f"  - {fault}", highlight=False, markup=False)

    def _postbacks(self) -> Table:
        table = _table("Postbacks", "what was fired", "fired", "what the network heard")
        for kind, count in self.fired.items():
            heard = ", ".join(
                f"{status} {number}" for (of_kind, status), number in sorted(self.heard.items()) if of_kind == kind
            )
            table.add_row(kind, f"{count}", heard)
        table.add_section()
        table.add_row("all", f"{self.fired.total()}", "")
        return table

    def _money(self) -> Table:
        table = _table("Money", "state", "how many", "currency", "amount")
        for (state, currency), (count, amount) in self.money.items():
            table.add_row(state, f"{count}", currency, f"{amount:,.2f}")
        return table

    def _problems(self) -> Table:
        table = _table("Discrepancies", "class", "planted", "found", "")
        planted = Counter(problem.klass for problem in self.planted)
        found: Counter[str] = Counter()
        for problem, count in self.found.items():
            found[problem.klass] += count
        for klass in sorted(planted.keys() | found.keys()):
            right = {each for each in self.planted if each.klass == klass} == {
                each for each in self.found if each.klass == klass
            } and planted[klass] == found[klass]
            table.add_row(klass, f"{planted[klass]}", f"{found[klass]}", "[green]ok[/]" if right else "[red]differs[/]")
        table.add_section()
        table.add_row("all", f"{planted.total()}", f"{found.total()}", "")
        return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    for column in columns:
        table.add_column(
            column, justify="right" if column in {"fired", "how many", "amount", "planted", "found"} else "left"
        )
    return table
