"""P10: a program with 10,000 rules on single SKUs against one with 10."""

from collections.abc import Callable
from pathlib import Path

from bench import data
from bench.harness import Bench, Contestant, Figure, load_options, ratio
from bench.load import Sample, drive


def _program(folder: Path, rules: int) -> Path:
    """The example program and so many rules on a SKU each; the baskets hold some of these SKUs."""
    stems = ("LAMP", "TOWEL", "PAN", "BOX", "POT", "VASE", "RUG", "SHELF", "CUP", "FRAME", "CHAIR", "HOOK")
    parts = [data.EXAMPLE.read_text()]
    for number in range(rules):
        sku = f"{stems[number % 12]}-{number // 12 + 3}"
        parts += [
            "[[rules]]", f'id = "sku-{number}"', 'kind = "units"', f"points = {number % 9 + 1}",
            f'where = {{ sku = ["{sku}"] }}',
        ]  # fmt: skip
    file = folder / f"program-{rules}.toml"
    file.write_text("\n".join(parts))
    return file


def _with_rules(rules: int) -> Callable[[Bench], Callable[[float], Sample]]:
    def prepare(bench: Bench) -> Callable[[float], Sample]:
        name = f"rules{rules}"
        server = bench.server(name, bench.bare_database(name, _program(bench.stack.folder, rules)))
        return lambda seconds: drive(server.url, "purchases", seconds, **load_options(bench))

    return prepare


MANY = Contestant("10,000 rules", "purchases judged by 10,000 SKU rules", _with_rules(10_000))
FEW = Contestant("10 rules", "purchases judged by 10 SKU rules", _with_rules(10))
FIGURE = Figure(
    "P10",
    "P1 with 10,000 SKU rules / P1 with 10",
    0.8,
    True,
    (MANY, FEW),
    ratio("10,000 rules", "10 rules"),
    2,
)
