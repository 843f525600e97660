"""How fast a signed postback is believed and durably recorded before its 200: ours, peers and references, interleaved.

`python -m bench.intake --list` names the contenders; README.md beside this file says how to read the figures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results, rounds, summary
from bench.contenders import CONTENDERS, POSTGRESQL, Contender
from bench.rounds import VARIANTS, Ground, Round, Variant, ground
from bench.scene import Stage, stage

WARM_UP_S = 1.0


def main() -> int:
    """Measure what the command line asks for; return 1 when a round recorded other than it answered."""
    options = _options().parse_args()
    if options.list:
        for contender in CONTENDERS.values():
            print(f"{contender.name:<24} {contender.kind:<10} {contender.title}")
        return 0
    wanted = _taking_part(options.only)
    found: dict[str, dict[str, list[Round]]] = {}
    with stage() as place:
        for variant in options.variants:
            found[variant.name] = _variant(place, variant, wanted, options)
    page = summary.page(found, options.ours, options.ours_sqlite)
    print("\n".join(page))
    everything: dict[str, Any] = {
        "seconds": options.seconds,
        "click_known": not options.unknown_click,
        "ratios": {name: summary.ratios(each, options.ours, options.ours_sqlite) for name, each in found.items()},
        "rounds": {
            variant: {name: [each.as_json() for each in played] for name, played in contenders.items()}
            for variant, contenders in found.items()
        },
    }
    results.write(options.name, everything, page, folder=options.results)
    is_faulty = any(each.faults for named in found.values() for played in named.values() for each in played)
    return 1 if is_faulty else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.intake", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the contenders and end")
    parser.add_argument("--only", type=lambda text: text.split(","), help="NAME[,NAME]: these contenders alone")
    parser.add_argument("--seconds", type=float, default=6, help="length of a round's load")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each contender, interleaved")
    parser.add_argument(
        "--variants",
        type=lambda text: [VARIANTS[name] for name in text.split(",")],
        default=list(VARIANTS.values()),
        help=f"of {','.join(VARIANTS)}; all when left out",
    )
    parser.add_argument("--unknown-click", action="store_true", help="no postback finds its click")
    parser.add_argument("--ours", default="ours-postgresql", help="the configuration that ratios are about")
    parser.add_argument("--ours-sqlite", default="ours-sqlite", help="the same on SQLite")
    parser.add_argument("--name", default="intake", help="of the results' files")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="their folder")
    return parser


def _taking_part(only: Sequence[str] | None) -> list[Contender]:
    unknown = set(only or ()) - CONTENDERS.keys()
    if unknown:
        sys.exit(f"there is no contender {', '.join(sorted(unknown))}; --list names them")
    taking_part = []
    for contender in CONTENDERS.values():
        if only and contender.name not in only:
            continue
        reason = contender.missing()
        if reason:
            print(f"skipped {contender.name}: {reason}")
        else:
            taking_part.append(contender)
    return taking_part


def _variant(
    place: Stage, variant: Variant, wanted: Sequence[Contender], options: argparse.Namespace
) -> dict[str, list[Round]]:
    played: dict[str, list[Round]] = {contender.name: [] for contender in wanted}
    with ground(place, has_slow_disk=variant.has_slow_disk, is_click_known=not options.unknown_click) as prepared:
        for number in range(options.rounds):
            # A B C, then B C A: nobody always runs after the same neighbour.
            turn = number % max(1, len(wanted))
            for contender in [*wanted[turn:], *wanted[:turn]]:
                if contender.database == POSTGRESQL and prepared.cluster is None:
                    continue
                round_ = _played(prepared, contender, variant, options.seconds)
                if round_ is not None:
                    played[contender.name].append(round_)
    return {name: each for name, each in played.items() if each}


def _played(prepared: Ground, contender: Contender, variant: Variant, seconds: float) -> Round | None:
    try:
        played = rounds.play(prepared, contender, variant, seconds=seconds, warm_up_s=WARM_UP_S)
    except RuntimeError as error:
        print(f"{variant.name:<11} {contender.name:<24} did not run: {error}", flush=True)
        return None
    measured = played.measured
    faults = f"  FAULT: {'; '.join(played.faults)}" if played.faults else ""
    print(
        f"{variant.name:<11} {contender.name:<24} {measured.per_second:8.0f}/s  p99 {measured.p99_us / 1000:7.1f} ms"
        f"  CPU {played.server_cpu_us:6.0f} + {played.database_cpu_us:4.0f} us{faults}",
        flush=True,
    )
    return played


if __name__ == "__main__":
    sys.exit(main())
