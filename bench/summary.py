"""What the rounds of a comparison come to: medians, ratios beside their targets, and the page that shows both."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.contenders import CONTENDERS, PEER, SQLITE
from bench.results import table
from bench.rounds import VARIANTS, Round

Played = Mapping[str, Sequence[Round]]

TO_FLASK_HELLO_MIN = 1.2
TO_FASTEST_PEER_MIN = 1.5
TO_TEXTBOOK_MIN = 5.0
SQLITE_TO_POSTGRESQL_MIN = 0.8
P99_MS_MAX = {"postgresql": 50.0, "sqlite": 100.0}

_HEAD = (
    "contender", "requests/s", "p50 ms", "p99 ms", "max ms", "CPU us, server", "CPU us, PostgreSQL",
    "lowest .. highest",
)  # fmt: skip


def per_second(played: Sequence[Round]) -> float:
    """Return the median rate of rounds."""
    return median(each.measured.per_second for each in played)


def p99_ms(played: Sequence[Round]) -> float:
    """Return the median of the rounds' p99."""
    return median(each.measured.p99_us for each in played) / 1000


def ratios(played: Played, ours: str, ours_sqlite: str) -> list[dict[str, Any]]:
    """Return what the targets are about, each beside its target; what was not measured is left out."""
    rates = {name: per_second(each) for name, each in played.items()}
    peers = {name: rate for name, rate in rates.items() if CONTENDERS[name].kind == PEER}
    fastest = max(peers, key=lambda name: peers[name], default="")
    wanted = (
        (ours, "flask-hello", TO_FLASK_HELLO_MIN, ""),
        (ours, fastest, TO_FASTEST_PEER_MIN, ", the fastest peer"),
        (ours, "textbook", TO_TEXTBOOK_MIN, ""),
        (ours_sqlite, ours, SQLITE_TO_POSTGRESQL_MIN, ""),
    )
    found: list[dict[str, Any]] = [
        {
            "what": f"{mine} / {other}{remark}",
            "value": round(rates[mine] / rates[other], 2),
            "target": f">= {target}",
            "is_met": rates[mine] / rates[other] >= target,
        }
        for mine, other, target, remark in wanted
        if mine in rates and other in rates
    ]
    return found + [_latency(name, played[name]) for name in (ours, ours_sqlite) if name in played]


def _latency(name: str, played: Sequence[Round]) -> dict[str, Any]:
    target = P99_MS_MAX[CONTENDERS[name].database or SQLITE]
    value = round(p99_ms(played), 1)
    return {"what": f"p99 ms of {name}", "value": value, "target": f"< {target:g}", "is_met": value < target}


def page(found: Mapping[str, Played], ours: str, ours_sqlite: str) -> list[str]:
    """Return the readable account of a whole run."""
    lines = [
        "# Intake",
        "",
        "A signed pb1 postback by GET, durably recorded before its 200; medians of interleaved rounds. CPU is the",
        "processor time of all processes of the server, and of PostgreSQL, for each answer.",
    ]
    for variant, played in found.items():
        lines += ["", f"## {variant}: {VARIANTS[variant].title}", ""]
        lines += table(_HEAD, [_row(name, each) for name, each in sorted(played.items(), key=_by_rate, reverse=True)])
        judged = ratios(played, ours, ours_sqlite)
        if judged:
            lines += ["", *table(("ratio", "measured", "target", "met"), [_judged(each) for each in judged])]
        faults = [f"- {name}: {fault}" for name, each in played.items() for one in each for fault in one.faults]
        lines += ["", *(["Faults:", "", *faults] if faults else ["Every answer is one new conversion; none failed."])]
    names = {name for played in found.values() for name in played}
    lines += [
        "",
        "## Contenders",
        "",
        *(f"- `{name}`: {each.title}" for name, each in CONTENDERS.items() if name in names),
    ]
    return lines


def _by_rate(item: tuple[str, Sequence[Round]]) -> float:
    return per_second(item[1])


def _row(name: str, played: Sequence[Round]) -> list[str]:
    rates = [each.measured.per_second for each in played]
    return [
        name,
        f"{per_second(played):.0f}",
        f"{median(each.measured.p50_us for each in played) / 1000:.1f}",
        f"{p99_ms(played):.1f}",
        f"{median(each.measured.max_us for each in played) / 1000:.0f}",
        f"{median(each.server_cpu_us for each in played):.0f}",
        f"{median(each.database_cpu_us for each in played):.0f}",
        f"{min(rates):.0f} .. {max(rates):.0f}",
    ]


def _judged(ratio: Mapping[str, Any]) -> list[str]:
    return [ratio["what"], str(ratio["value"]), ratio["target"], "yes" if ratio["is_met"] else "**no**"]
