"""Three candidates to try on a shop's history: python -m bench.candidates PROGRAM.toml TILL.csv.gz FOLDER.

plain.toml: the first rule alone. skus.toml: 2,000 more rules, one for each of the SKUs that the file has most lines of.
generous.toml: points live twice as long, every Saturday and each member's first purchase count more, tiers are nearer.
All are made from the program that is in force, so that tiers and currency stay.
"""

import argparse
import csv
import gzip
import re
from collections import Counter
from pathlib import Path

SKU_RULES = 2_000


def plain(source: str) -> str:
    """The program without all rules but the first."""
    return _named("[[rules]]".join(source.split("[[rules]]")[:2]), "plain")


def with_sku_rules(source: str, skus: list[str]) -> str:
    """The program with a rule for each SKU: points for each unit, or half as many points again."""
    rules = []
    for number, sku in enumerate(skus):
        name = f'[[rules]]\nid = "sku-{number:04}"\n'
        gives = (
            f'kind = "units"\npoints = {number % 5 + 1}\n'
            if number % 2
            else 'kind = "multiplier"\nfactor = 1.5\n'
        )
        rules.append(f"{name}{gives}where = {{ sku = [{_quoted(sku)}] }}\n")
    return _named(source.rstrip() + "\n\n" + "\n".join(rules), "2,000 SKU rules")


def generous(source: str) -> str:
    """The program that gives more to everybody."""
    longer = re.sub(
        r"(kind = \"after\", months = )(\d+)", lambda found: found[1] + str(2 * int(found[2])), source
    )
    nearer = re.sub(r"(spend_amount = )(\d+)", lambda found: found[1] + str(int(found[2]) * 3 // 4), longer)
    return _named(
        nearer.rstrip()
        + '\n\n[[rules]]\nid = "saturday-x2"\nkind = "multiplier"\nfactor = 2\nwhen = { weekday = ["sat"] }\n'
        + '\n[[rules]]\nid = "hello"\nkind = "flat"\npoints = 300\nwhen = { first_purchase = true }\n',
        "generous",
    )


def _named(source: str, how: str) -> str:
    return re.sub(
        r'^name = "(.*)"', lambda found: f'name = "{found[1]}, {how}"', source, count=1, flags=re.MULTILINE
    )


def _quoted(sku: str) -> str:
    return '"' + sku.replace("\\", "\\\\").replace('"', '\\"') + '"'


def most_sold(file: Path, count: int = SKU_RULES) -> list[str]:
    """The SKUs with most lines in a till's file."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
        lines = Counter(row["sku"] for row in csv.DictReader(rows))
    return [sku for sku, _ in lines.most_common(count)]


def main() -> None:
    """Write the three files."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("program", type=Path)
    arguments.add_argument("till", type=Path)
    arguments.add_argument("folder", type=Path)
    given = arguments.parse_args()
    source = given.program.read_text(encoding="utf-8")
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("plain", plain(source)),
        ("skus", with_sku_rules(source, most_sold(given.till))),
        ("generous", generous(source)),
    ):
        (given.folder / f"{name}.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
