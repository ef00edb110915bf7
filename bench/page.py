"""docs/PERFORMANCE.md and its charts, written from the values of a run. What people add is in performance_notes.md."""

import json
import re
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
_SHORT = {
    "P1": "purchases / without a database",
    "P2": "purchases / one commit each in pgbench",
    "P3": "redemptions / purchases",
    "P4": "upload of 1,000 / purchases",
    "P5": "import / INSERT … SELECT",
    "P6": "expiry / set-based in one go",
    "P7": "p99 beside expiry / without",
    "P8": "balance reads / constant",
    "P9": "on a grown ledger / 100,000 members",
    "P10": "10,000 SKU rules / 10",
    "P11": "p99 / p50 at half rate",
    "P12": "memory after ten times as many",
    "P13": "two servers / one, hot accounts",
    "P14": "p99 beside floods / without",
}
MOST = 2.0
"""How far the chart of ratios goes, in bars."""


def write(found: dict[str, Any]) -> None:
    """Write the page and its charts."""
    CHARTS.mkdir(parents=True, exist_ok=True)
    profile = json.loads(PROFILE.read_text()) if PROFILE.exists() else None
    (CHARTS / "ratios.svg").write_text(_ratios(found))
    (CHARTS / "rates.svg").write_text(_rates(found))
    parts = [_head(found), _table(found), _rate_table(found), _machine(found)]
    if profile is not None:
        parts.append(_profile(profile))
    parts.append(re.sub("(?m)^#", "##", NOTES.read_text()))
    PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n")


def _head(found: dict[str, Any]) -> str:
    machine, scale = found["machine"], found["scale"]
    command = " ".join(("python -m bench", *found["arguments"]))
    return f"""# Performance

Written by `{command}`
from one run on one machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB, commit
`{found["commit"]}`, {found["measured_at"][:10]}. `make bench` is the run at full size. **Only ratios hold on another
machine.** Server, Postgres and load generator share its cores. Durable throughout: `fsync` and `synchronous_commit`
are on, and an answer goes out after its commit.

Each ratio is of medians over {scale["rounds"]} rounds of {scale["seconds"]:g} s; all contestants of a group take turns
within a round, after a warm-up. To repeat it: `apt-get install wrk`, `make setup`, `make bench`. All rounds, with the
rest of the settings, are then in `bench/results/latest.json`.

![Each ratio against its bar](performance/ratios.svg)"""


def _table(found: dict[str, Any]) -> str:
    rows = []
    for name, figure in found["figures"].items():
        bar = f"{'≥' if figure['at_least'] else '≤'} {figure['bar']:g}"
        if "failed" in figure:
            rows.append(
                (name, figure["title"], bar, "not measured", "", figure["failed"].splitlines()[0][:100])
            )
            continue
        made = "; ".join(f"{part} {_number(value)}" for part, value in figure["parts"].items())
        note = f". {figure['note']}" if figure["note"] else ""
        holds = "yes" if _holds(figure) else "no"
        rows.append((name, figure["title"], bar, f"**{figure['value']:.2f}**", holds, made + note))
    return _lines(("#", "figure", "bar", "measured", "holds", "made of"), rows)


def _rate_table(found: dict[str, Any]) -> str:
    rows = []
    for group, contestants in found["rounds"].items():
        for name, samples in contestants.items():
            rates = [sample["rate"] for sample in samples]
            p50, p99 = (statistics.median(sample[key] for sample in samples) for key in ("p50_ms", "p99_ms"))
            rows.append((group, found["titles"][name], f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}",
                         f"{max(rates):,.0f}", f"{p50:.1f}", f"{p99:.1f}" if p99 else ""))  # fmt: skip
    head = ("group", "contestant", "median/s", "lowest", "highest", "p50 ms", "p99 ms")
    return "## Rates\n\n![Rates](performance/rates.svg)\n\n" + _lines(head, rows)


def _machine(found: dict[str, Any]) -> str:
    def listed(values: Iterable[tuple[str, Any]]) -> str:
        return ", ".join(f"{name} {value}" for name, value in values)

    parts = [
        f"- {name}: {listed(found[name].items())}" for name in ("machine", "versions", "postgres", "scale")
    ]
    return "## Machine, versions, settings\n\n" + "\n".join(parts)


def _profile(profile: dict[str, Any]) -> str:
    count, spent = profile["count"], profile["spent"]
    server, postgres = (spent[name] / count * 1e6 for name in ("server cpu s", "Postgres cpu s"))
    statements = []
    for row in profile["statements"][:18]:
        query = row["query"][:80].replace("|", "\\|")
        where = "" if row["toplevel"] else "&nbsp;&nbsp;inside: "
        statements.append((f"{where}`{query}`", f"{row['us'] / count:.1f}", f"{row['calls']:,}",
                           f"{row['wal_bytes'] / count:,.0f}"))  # fmt: skip
    tables = []
    for row in profile["tables"]:
        hot = f"{row['n_tup_hot_upd'] / row['n_tup_upd']:.1%}" if row["n_tup_upd"] else ""
        tables.append(
            (row["relname"], f"{row['n_tup_ins'] / count:.2f}", f"{row['n_tup_upd'] / count:.2f}", hot)
        )
    parts = [
        "## Where the time goes",
        f"`python -m bench.profile`: {profile['rate']:,.0f} purchases a second at {profile['clients']} clients. A"
        f" purchase costs {server:.0f} µs of CPU in the server and {postgres:.0f} µs in Postgres, writes"
        f" {spent['WAL bytes'] / count:,.0f} bytes of WAL, and shares its batch, and so its commit, with"
        f" {count / profile['batches']:.0f} purchases on average."
        f" {spent['WAL fsyncs'] / profile['seconds']:.0f} fsyncs of WAL a second; autovacuum ran"
        f" {spent['autovacuums']:.0f} times on its default settings.",
    ]
    if profile["python"]:
        (CHARTS / "profile.svg").write_text(_steps_chart(profile))
        parts += [
            "![CPU a purchase, by step](performance/profile.svg)",
            _lines(
                ("step in Python", "µs a purchase"), [(step, f"{us:.1f}") for step, us in _steps(profile)]
            ),
        ]
    parts += [
        _lines(
            ("statement in Postgres, waiting for the client included", "µs a purchase", "calls", "WAL bytes"),
            statements,
        ),
        _lines(("table", "inserted a purchase", "updated", "of these HOT"), tables),
    ]
    return "\n\n".join(parts)


def _steps(profile: dict[str, Any]) -> list[tuple[str, float]]:
    cpu = profile["spent"]["server cpu s"] / profile["count"] * 1e6
    total = max(profile["python_samples"], 1)
    steps = sorted(profile["python"].items(), key=lambda one: -one[1])
    return [(step, samples / total * cpu) for step, samples in steps]


def _steps_chart(profile: dict[str, Any]) -> str:
    rows = [(step, us, f"{us:.0f} µs", charts.NEUTRAL) for step, us in _steps(profile)]
    postgres = profile["spent"]["Postgres cpu s"] / profile["count"] * 1e6
    return charts.bars(
        "CPU a purchase, by step",
        [("Postgres, all of it", postgres, f"{postgres:.0f} µs", charts.INK), *rows],
    )


def _ratios(found: dict[str, Any]) -> str:
    rows = []
    for name, figure in found["figures"].items():
        if "value" not in figure:
            continue
        value, bar = figure["value"], figure["bar"]
        part = value / bar if figure["at_least"] else bar / max(value, 1e-9)
        text = f"{value:.2f} ({'at least' if figure['at_least'] else 'at most'} {bar:g})"
        colour = charts.GOOD if _holds(figure) else charts.BAD
        rows.append((f"{name}  {_SHORT[name]}", min(part, MOST), text, colour))
    return charts.bars("Each ratio against its bar", rows, mark=1.0, mark_label="the bar")


def _rates(found: dict[str, Any]) -> str:
    rows: list[tuple[str, float, str, str]] = []
    seen: set[str] = set()
    for contestants in found["rounds"].values():
        for name, samples in contestants.items():
            if name in seen or not samples:
                continue
            seen.add(name)
            rate = statistics.median(sample["rate"] for sample in samples)
            colour = charts.GOOD if name == "purchases" else charts.NEUTRAL
            rows.append((_short(found["titles"][name]), rate, f"{rate:,.0f}/s", colour))
    return charts.bars("A second, median of the rounds", rows)


def _lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(title: str) -> str:
    return title if len(title) <= 46 else title[:45].rstrip() + "…"


def _holds(figure: dict[str, Any]) -> bool:
    return bool(figure["value"] >= figure["bar"] if figure["at_least"] else figure["value"] <= figure["bar"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"
