"""`python -m bench`: measure, write bench/results/latest.json, and draw docs/PERFORMANCE.md anew."""

import argparse
import dataclasses
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from bench import machine, page, pgledger
from bench.figures import FIGURES
from bench.harness import FULL, QUICK, Bench, Contestant, Figure, Scale
from bench.load import BenchError, wrk
from bench.stack import ROOT, Stack

RESULTS = ROOT / "bench" / "results" / "latest.json"
RECORDED = ROOT / "bench" / "recorded.json"
FAR = 0.5
"""A quick run fails when a ratio is worse than this part of what was recorded."""


def main() -> int:
    asked = _arguments()
    scale = _scale(asked)
    chosen = [figure for figure in FIGURES if _wanted(figure, asked)]
    if not chosen:
        print("bench: there is no such figure; they are called P1 to P14", file=sys.stderr)
        return 2
    if asked.page:
        page.write(json.loads(RESULTS.read_text()))
        return 0
    try:
        wrk()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with Stack() as stack:
            peers = [pgledger.contestant(asked.pgledger)] if asked.pgledger else []
            found = measure(stack, scale, chosen, peers)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except asyncpg.DiskFullError:
        print(
            "bench: the disk is full; --members, --growth and --due-lots make a run smaller", file=sys.stderr
        )
        return 1
    print(f"\nwritten: {RESULTS.relative_to(ROOT)}")
    if asked.quick:
        return _compare(found, asked.record)
    if asked.record or not asked.only:
        page.write(found)
    return 0


def measure(stack: Stack, scale: Scale, chosen: list[Figure], peers: list[Contestant]) -> dict[str, Any]:
    """All of one run as plain values, written down after each group. Peers take part in the first group."""
    started = time.monotonic()
    about = machine.describe(stack, scale)
    bench = Bench(stack, scale, _say)
    found: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    rounds: dict[str, Any] = {}
    titles: dict[str, str] = {}
    for group in sorted({figure.group for figure in chosen}):
        together = [figure for figure in chosen if figure.group == group]
        contestants = {one.name: one for figure in together for one in figure.contestants}
        if group == 1:
            contestants |= {peer.name: peer for peer in peers}
        if contestants:
            _say(
                f"group {group}: {len(contestants)} contestants, {scale.rounds} rounds of {scale.seconds:g} s each"
            )
            bench.run(list(contestants.values()))
        for figure in together:
            figures[figure.id] = _judged(bench, figure)
        bench.stop_servers()
        titles |= {name: one.title for name, one in contestants.items()}
        rounds[str(group)] = {
            name: [dataclasses.asdict(sample) for sample in bench.samples[name]] for name in contestants
        }
        ordered = {figure.id: figures[figure.id] for figure in chosen if figure.id in figures}
        seconds = round(time.monotonic() - started)
        found = {**about, "seconds": seconds, "figures": ordered, "rounds": rounds, "titles": titles}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _judged(bench: Bench, figure: Figure) -> dict[str, Any]:
    about = {"title": figure.title, "bar": figure.bar, "at_least": figure.at_least, "group": figure.group}
    try:
        result = figure.judge(bench)
    except BenchError as error:
        _say(f"{figure.id}: not measured: {error}")
        return {**about, "failed": str(error)}
    sign = "holds" if figure.holds(result.value) else "DOES NOT HOLD"
    bar = f"{'>=' if figure.at_least else '<='} {figure.bar:g}"
    _say(f"{figure.id}: {result.value:.2f} ({bar}: {sign}) {result.note}")
    return {**about, "value": result.value, "parts": result.parts, "note": result.note}


def _compare(found: dict[str, Any], record: bool) -> int:
    measured = {name: figure["value"] for name, figure in found["figures"].items() if "value" in figure}
    if record:
        RECORDED.write_text(
            json.dumps({name: round(value, 3) for name, value in measured.items()}, indent=1) + "\n"
        )
        return 0
    failed = [f"{name} was not measured" for name, figure in found["figures"].items() if "failed" in figure]
    for name, then in json.loads(RECORDED.read_text()).items():
        if name not in measured:
            continue
        now, at_least = measured[name], found["figures"][name]["at_least"]
        if now < then * FAR if at_least else now > then / FAR:
            failed.append(f"{name} is {now:.2f}; recorded was {then:.2f}")
    for line in failed:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a short run that fails only when a ratio fell far"
    )
    parser.add_argument("--only", metavar="P1,P3", help="these figures only; the page stays as it is")
    parser.add_argument("--skip", metavar="P5,P12", default="", help="all figures but these")
    parser.add_argument(
        "--record", action="store_true", help="with --quick: these ratios are what to compare with"
    )
    parser.add_argument(
        "--page", action="store_true", help="draw the page anew from the last run, measure nothing"
    )
    parser.add_argument(
        "--pgledger", metavar="FOLDER", type=Path, help="a checkout of pgledger, as one more peer"
    )
    for name in (
        "rounds",
        "seconds",
        "members",
        "growth",
        "import-purchases",
        "due-lots",
        "memory-purchases",
    ):
        parser.add_argument(f"--{name}", type=int)
    return parser.parse_args()


def _scale(asked: argparse.Namespace) -> Scale:
    given = {
        name: getattr(asked, name)
        for name in Scale.__dataclass_fields__
        if getattr(asked, name, None) is not None
    }
    return dataclasses.replace(QUICK if asked.quick else FULL, **given)


def _wanted(figure: Figure, asked: argparse.Namespace) -> bool:
    if asked.only:
        return figure.id in asked.only.split(",")
    return figure.id not in asked.skip.split(",") and (figure.quick or not asked.quick)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
