"""docs/PERFORMANCE.md and its charts, written from the values of a run. What people add lies in performance_notes.md."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import charts
from bench.stack import ROOT

PAGE = ROOT / "docs" / "PERFORMANCE.md"
CHARTS = ROOT / "docs" / "performance"
NOTES = Path(__file__).with_name("performance_notes.md")
PROFILE = ROOT / "bench" / "results" / "profile.json"
MOST = 2.0
"""How far the chart of ratios goes, in bars."""


def write(found: dict[str, Any]) -> None:
    """Write the page and its charts."""
    CHARTS.mkdir(parents=True, exist_ok=True)
    profile = json.loads(PROFILE.read_text()) if PROFILE.exists() else None
    (CHARTS / "ratios.svg").write_text(_ratios(found))
    (CHARTS / "rates.svg").write_text(_rates(found))
    if profile is not None:
        (CHARTS / "profile.svg").write_text(_steps_chart(profile))
    parts = [_head(found), _table(found), _rate_table(found), _machine(found)]
    if profile is not None:
        parts.append(_profile(profile))
    if NOTES.exists():
        parts.append(NOTES.read_text())
    PAGE.write_text("\n".join(part.strip() + "\n" for part in parts))


def _head(found: dict[str, Any]) -> str:
    machine, scale = found["machine"], found["scale"]
    return f"""# Performance

Written by `make bench` from one run on one machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB,
commit `{found["commit"]}`, {found["measured_at"][:10]}. **Only ratios hold on another machine.** Server, Postgres and load generator
share its cores. Durable throughout: `fsync` and `synchronous_commit` are on, and an answer goes out after its commit.

Each ratio is of medians over {scale["rounds"]} rounds of {scale["seconds"]:g} s; all contestants of a group take turns within a round, after a
warm-up. To repeat it: `apt-get install wrk`, `make setup`, `make bench`. All rounds lie in `bench/results/latest.json`.

![ratios](performance/ratios.svg)
"""


def _table(found: dict[str, Any]) -> str:
    lines = ["| # | figure | bar | measured | holds | made of |", "|---|---|---|---|---|---|"]
    for name, figure in found["figures"].items():
        bar = f"{'>=' if figure['at_least'] else '<='} {figure['bar']:g}"
        if "failed" in figure:
            lines.append(
                f"| {name} | {figure['title']} | {bar} | not measured | | {figure['failed'].splitlines()[0][:120]} |"
            )
            continue
        made = "; ".join(f"{part} {_number(value)}" for part, value in figure["parts"].items())
        note = f". {figure['note']}" if figure["note"] else ""
        lines.append(
            f"| {name} | {figure['title']} | {bar} | **{figure['value']:.2f}** | {'yes' if _holds(figure) else 'no'} | {made}{note} |"
        )
    return "\n".join(lines)


def _rate_table(found: dict[str, Any]) -> str:
    lines = [
        "\n## Rates\n\n![rates](performance/rates.svg)\n",
        "| group | contestant | median/s | lowest | highest | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, contestants in found["rounds"].items():
        for name, samples in contestants.items():
            rates = [sample["rate"] for sample in samples]
            p50, p99 = (statistics.median(sample[key] for sample in samples) for key in ("p50_ms", "p99_ms"))
            lines.append(
                f"| {group} | {found['titles'][name]} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} "
                f"| {p50:.1f} | {f'{p99:.1f}' if p99 else ''} |"
            )
    return "\n".join(lines)


def _machine(found: dict[str, Any]) -> str:
    def listed(values: Iterable[tuple[str, Any]]) -> str:
        return ", ".join(f"{name} {value}" for name, value in values)

    return f"""
## Machine, versions, settings

- machine: {listed(found["machine"].items())}
- versions: {listed(found["versions"].items())}
- Postgres: {listed(found["postgres"].items())}
- scale: {listed(found["scale"].items())}
"""


def _profile(profile: dict[str, Any]) -> str:
    count, spent = profile["count"], profile["spent"]
    lines = [
        "\n## Where the time goes\n",
        f"`python -m bench.profile`: {profile['rate']:,.0f} purchases a second at {profile['clients']} clients. A purchase costs"
        f" {spent['server cpu s'] / count * 1e6:.0f} us of CPU in the server and {spent['Postgres cpu s'] / count * 1e6:.0f} us in Postgres,"
        f" writes {spent['WAL bytes'] / count:,.0f} bytes of WAL and shares its commit with {count / max(spent['commits'], 1):.1f} purchases.",
        "\n![profile](performance/profile.svg)\n",
        "| step in Python | us a purchase |",
        "|---|---|",
    ]
    lines += [f"| {step} | {us:.1f} |" for step, us in _steps(profile)]
    lines += [
        "\n| statement in Postgres | us a purchase | calls | WAL bytes a purchase |",
        "|---|---|---|---|",
    ]
    for row in profile["statements"][:16]:
        query = row["query"][:90].replace("|", "\\|")
        inner = "" if row["toplevel"] else "&nbsp;&nbsp;"
        lines.append(
            f"| {inner}`{query}` | {row['us'] / count:.1f} | {row['calls']:,} | {row['wal_bytes'] / count:,.0f} |"
        )
    lines += ["\n| table | inserted a purchase | updated | of these HOT |", "|---|---|---|---|"]
    for row in profile["tables"]:
        hot = f"{row['n_tup_hot_upd'] / row['n_tup_upd']:.1%}" if row["n_tup_upd"] else ""
        lines.append(
            f"| {row['relname']} | {row['n_tup_ins'] / count:.2f} | {row['n_tup_upd'] / count:.2f} | {hot} |"
        )
    return "\n".join(lines)


def _steps(profile: dict[str, Any]) -> list[tuple[str, float]]:
    cpu = profile["spent"]["server cpu s"] / profile["count"] * 1e6
    total = max(profile["python_samples"], 1)
    return [
        (step, samples / total * cpu)
        for step, samples in sorted(profile["python"].items(), key=lambda one: -one[1])
    ]


def _steps_chart(profile: dict[str, Any]) -> str:
    rows = [(step, us, f"{us:.0f} us", charts.NEUTRAL) for step, us in _steps(profile)]
    rows.append(
        ("Postgres, all of it", profile["spent"]["Postgres cpu s"] / profile["count"] * 1e6, "", charts.INK)
    )
    rows[-1] = (*rows[-1][:2], f"{rows[-1][1]:.0f} us", charts.INK)
    return charts.bars("CPU a purchase, by step", rows)


def _ratios(found: dict[str, Any]) -> str:
    rows = []
    for name, figure in found["figures"].items():
        if "value" not in figure:
            continue
        value, bar = figure["value"], figure["bar"]
        part = value / bar if figure["at_least"] else bar / value
        text = f"{value:.2f} ({'at least' if figure['at_least'] else 'at most'} {bar:g})"
        rows.append(
            (
                f"{name}  {_short(figure['title'])}",
                min(part, MOST),
                text,
                charts.GOOD if part >= 1 else charts.BAD,
            )
        )
    return charts.bars("Each ratio against its bar", rows, mark=1.0, mark_label="the bar")


def _rates(found: dict[str, Any]) -> str:
    rows, seen = [], set()
    for contestants in found["rounds"].values():
        for name, samples in contestants.items():
            if name in seen or name == "upload":  # which would make all others short
                continue
            seen.add(name)
            rate = statistics.median(sample["rate"] for sample in samples)
            colour = charts.GOOD if name == "purchases" else charts.NEUTRAL
            rows.append((_short(found["titles"][name]), rate, f"{rate:,.0f}/s", colour))
    return charts.bars("A second, median of the rounds", rows)


def _short(title: str) -> str:
    return title if len(title) <= 44 else title[:43].rstrip() + "…"


def _holds(figure: dict[str, Any]) -> bool:
    return bool(figure["value"] >= figure["bar"] if figure["at_least"] else figure["value"] <= figure["bar"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"
