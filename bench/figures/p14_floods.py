"""P14: honest tills at half load beside floods of bad or greedy requests, against the same without them, in turns."""

import json
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.contestants import PURCHASES
from bench.figures.p11_half_rate import half_load
from bench.harness import Bench, Figure, Result, load_options
from bench.load import Sample, drive
from bench.stack import KEY

ROUNDS = 3
FLOODS: dict[str, dict[str, Any]] = {
    "rubbish": {"script": "rubbish", "clients": 32},
    "duplicates": {"script": "duplicates", "clients": 32},
    "one account": {"script": "redemptions", "clients": 32, "hot_share": 1, "hot_members": 1},
    "uploads of 10,000": {"script": "upload", "clients": 2, "size": 10_000},
}
LEAST_SECONDS = 10


def judge(bench: Bench) -> Result:
    """The worst of the ratios: each the median p99 beside a flood over the median p99 alone."""
    server = bench.server("floods", bench.database("floods"))
    key = _key(server.url)
    rate = bench.rate("purchases")
    seconds = max(bench.scale.seconds, LEAST_SECONDS)
    found: dict[str, list[Sample]] = {name: [] for name in ("alone", *FLOODS)}
    for number in range(1, ROUNDS + 1):
        for name, samples in found.items():
            flood = FLOODS[name] | {"key": key} if name in FLOODS else None
            samples.append(_honest(bench, server.url, seconds, rate, flood))
        said = ", ".join(f"{samples[-1].p99_ms:.1f} ms {name}" for name, samples in found.items())
        bench.say(f"  round {number}: p99 {said}")
    p50 = {name: statistics.median(one.p50_ms for one in samples) for name, samples in found.items()}
    p99 = {name: statistics.median(one.p99_ms for one in samples) for name, samples in found.items()}
    parts = {f"p50 ms {name}": ms for name, ms in p50.items()} | {
        f"p99 ms {name}": ms for name, ms in p99.items()
    }
    return Result(max(p99.values()) / p99["alone"], parts)


def _key(url: str) -> str:
    """A key of the flood's own: clients take turns by their keys."""
    request = urllib.request.Request(
        f"{url}/v1/keys",
        json.dumps({"role": "eshop", "name": "flood"}).encode(),
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["key"])


def _honest(bench: Bench, url: str, seconds: float, rate: float, flood: dict[str, Any] | None) -> Sample:
    half_load(bench, url, bench.scale.warm_seconds, rate)  # what the last flood left behind is over
    if flood is None:
        return half_load(bench, url, seconds, rate)
    options = load_options(bench) | flood
    with ThreadPoolExecutor(1) as beside:
        # It begins earlier and ends later than what is measured.
        flooding = beside.submit(drive, url, options.pop("script"), seconds + 3, patient=True, **options)
        time.sleep(1)
        honest = half_load(bench, url, seconds, rate)
        flooding.result()
    return honest


FIGURE = Figure(
    "P14",
    "p99 of honest purchases at half load beside the worst flood / without",
    3,
    False,
    (PURCHASES,),
    judge,
    1,
    quick=False,
)
