"""What an import did, counted while it runs, and the file of what it did not take."""

import csv
import os
from collections import Counter
from pathlib import Path

import msgspec

from loyalty.errors import LoyaltyError
from loyalty.importing.source import REASON, Source, bare_name
from loyalty.importing.values import Rejected

EXAMPLES = 5
"""Line numbers shown for each reason."""


class Summary:
    """Counts of one import. `refused`: units by reason; `examples`: the lines where some of them begin."""

    def __init__(self) -> None:
        self.rows = 0
        self.documents = 0
        self.anonymous_purchases = 0
        self.anonymous_returns: set[str] = set()
        self.enrolled = 0
        self.created: Counter[str] = Counter()
        self.replayed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.examples: dict[str, list[int]] = {}
        self.rejected_lines: dict[int, str] = {}

    @property
    def anonymous(self) -> int:
        """Documents of nobody. A return may be several units, and counts once."""
        return self.anonymous_purchases + len(self.anonymous_returns)

    def add(self, part: "Summary") -> None:
        """What became of other units of the same file."""
        self.anonymous_purchases += part.anonymous_purchases
        self.anonymous_returns |= part.anonymous_returns
        self.enrolled += part.enrolled
        self.created += part.created
        self.replayed += part.replayed
        self.refused += part.refused
        for reason, lines in part.examples.items():
            self.examples[reason] = sorted([*self.examples.get(reason, ()), *lines])[:EXAMPLES]
        self.rejected_lines |= part.rejected_lines

    def took(self, what: str, *, replayed: bool) -> None:
        """Something was posted, or had been before."""
        (self.replayed if replayed else self.created)[what] += 1

    def reject(self, rejected: Rejected) -> None:
        """Rows were not taken."""
        self.refused[rejected.reason] += 1
        examples = self.examples.setdefault(rejected.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(min(rejected.lines))
        text = f"{rejected.reason}: {rejected.detail}"
        for line in rejected.lines:
            self.rejected_lines[line] = text


def refusal(error: LoyaltyError, lines: list[int]) -> Rejected:
    """The engine's refusal of a request as one of its rows."""
    return Rejected(error.code, error.detail, lines)


def default_rejects(path: Path, *, ndjson: bool) -> Path:
    """Where rejects go when nothing is said: the current folder, as the file's own may not be writable."""
    stem = bare_name(path)
    for ending in (".csv", ".tsv", ".txt", ".ndjson", ".jsonl"):
        stem = stem.removesuffix(ending)
    return Path(f"{stem}.rejects.{'ndjson' if ndjson else 'csv'}")


def write_rejects(source: Source, summary: Summary, path: Path) -> None:
    """Write the rejected records as they stood in `source`, each with its reason; whole or not at all.

    The layout is the source's, so that the file can be mended and imported with the same options.
    """
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8", newline="") as out:
        if source.ndjson:
            for reason, record in source.original_objects(summary.rejected_lines):
                out.write(msgspec.json.encode({**record, REASON: reason}).decode() + "\n")
        else:
            keep = [place for place, name in enumerate(source.header) if name != REASON]
            writer = csv.writer(out, delimiter=source.delimiter, lineterminator="\n")
            writer.writerow([source.header[place] for place in keep] + [REASON])
            for reason, raw in source.original_rows(summary.rejected_lines):
                raw += [""] * (len(source.header) - len(raw))
                extra = raw[len(source.header) :]
                writer.writerow([raw[place] for place in keep] + [reason] + extra)
    os.replace(beside, path)  # noqa: PTH105 (atomic, also onto the file that was read)
