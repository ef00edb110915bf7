"""A file as rows: CSV or NDJSON, plain or compressed, its columns named as ours. Nothing is judged here."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import msgspec

DOCUMENT_COLUMNS = (
    "kind", "purchase_id", "member_ref", "occurred_at", "channel", "store", "terminal", "line", "sku",
    "category", "quantity", "unit_price", "line_amount", "discount", "coupon",
    "original_purchase_id", "original_line",
)  # fmt: skip
MEMBER_COLUMNS = (
    "member_id", "phone", "card", "email", "ext", "name", "birthday", "channel", "enrolled_at",
    "tier", "tier_since", "tier_valid_until", "points", "expires_at",
)  # fmt: skip
NEEDED = {
    "documents": ("purchase_id", "member_ref", "occurred_at", "sku"),
    "members": (),
}
REASON = "reject_reason"
"""The column that a rejects file has more than its source. Read back, it is ignored."""
MISSHAPEN = "!"
"""Before the line number of a row that has more values than the header has names."""

Row = list[str]
"""The values of the wanted columns in their order ('' where there is none), then the line number as text."""


_OPENERS: dict[str, Callable[[Path], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class UnreadableFileError(Exception):
    """The file as a whole cannot be read; the message tells why and what to do."""


class Source:
    """One input file. `rows()` may be called again for a second pass.

    columns: our name -> the file's name, where they differ; '': the file's column of our name is not read.
    constants: our name -> a value for every row, for columns that the file lacks.
    """

    def __init__(
        self,
        path: Path,
        *,
        columns: Mapping[str, str] | None = None,
        constants: Mapping[str, str] | None = None,
        encoding: str = "utf-8-sig",
        delimiter: str | None = None,
    ) -> None:
        self.path = path
        self._columns = dict(columns or {})
        self._constants = dict(constants or {})
        self._encoding = encoding
        self.delimiter = delimiter or ","
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise UnreadableFileError(
                f"--encoding {encoding}: no such encoding. Try utf-8, gb18030 or latin-1."
            ) from None
        name = bare_name(path)
        self.ndjson = name.endswith((".ndjson", ".jsonl"))
        with self._reading(), self._open() as text:
            first = text.readline(1 << 20)
        if not name.endswith((".csv", ".tsv", ".txt")):
            self.ndjson = self.ndjson or first.lstrip().startswith("{")
        if not first.strip():
            raise UnreadableFileError(
                f"{path} is empty. A CSV file needs a line with the names of its columns."
            )
        if self.ndjson:
            self.header: list[str] = _json_keys(first)
        else:
            self.delimiter = delimiter or max(",;\t|", key=first.count)
            self.header = next(csv.reader([first], delimiter=self.delimiter))
        self.holds = self._guess_what()

    def _guess_what(self) -> str:
        named = {ours for ours in DOCUMENT_COLUMNS + MEMBER_COLUMNS if self._place(ours) is not None}
        return "members" if "purchase_id" not in named and named & set(MEMBER_COLUMNS[:5]) else "documents"

    def _place(self, ours: str) -> int | None:
        theirs = self._columns.get(ours, ours)
        return self.header.index(theirs) if theirs and theirs in self.header else None

    def check(self, holds: str) -> list[str]:
        """Raise UnreadableFileError when needed columns are missing; return the names of those not read."""
        wanted = MEMBER_COLUMNS if holds == "members" else DOCUMENT_COLUMNS
        for ours, theirs in self._columns.items():
            if ours not in wanted:
                raise UnreadableFileError(
                    f"--column {ours}={theirs}: there is no column {ours!r}. There are: {', '.join(wanted)}."
                )
            if theirs and theirs not in self.header and not self.ndjson:
                raise UnreadableFileError(
                    f"--column {ours}={theirs}: {self.path} has no column {theirs!r}. "
                    f"It has: {', '.join(self.header)}."
                )
        for ours in self._constants:
            if ours not in wanted:
                raise UnreadableFileError(
                    f"--set {ours}=…: there is no column {ours!r}. There are: {', '.join(wanted)}."
                )
        missing = [n for n in NEEDED[holds] if self._place(n) is None and n not in self._constants]
        if missing and not self.ndjson:
            raise UnreadableFileError(
                f"{self.path} has no column {' and no column '.join(map(repr, missing))}. It has: "
                f"{', '.join(self.header)}. Say which one it is: --column {missing[0]}=NAME."
            )
        used = {self._columns.get(ours, ours) for ours in wanted}
        return [name for name in self.header if name not in used and name != REASON]

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Each row as the values of `wanted` and its line number, all text; as cheap as Python can."""
        with self._reading():
            yield from self._json_rows(wanted) if self.ndjson else self._csv_rows(wanted)

    def _csv_rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        width = len(self.header)
        places = []
        tail = [""]
        for ours in wanted:
            place = self._place(ours)
            if place is None:
                if constant := self._constants.get(ours, ""):
                    tail.append(constant)
                    place = width + len(tail) - 1
                else:
                    place = width
            places.append(place)
        with self._open() as text:
            reader = csv.reader(text, delimiter=self.delimiter)
            next(reader)
            for raw in reader:
                if not raw:
                    continue
                number = str(reader.line_num)
                if len(raw) < width:
                    raw += [""] * (width - len(raw))
                elif len(raw) > width:
                    if any(raw[width:]):
                        number = MISSHAPEN + number
                    del raw[width:]
                raw += tail
                row = [raw[place] for place in places]
                row.append(number)
                yield row

    def _json_rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        names = [(self._columns.get(ours, ours), self._constants.get(ours, "")) for ours in wanted]
        with self._open() as text:
            for number, record in _records(text):
                row = [_text(record.get(theirs)) or constant for theirs, constant in names]
                row.append(str(number))
                yield row

    def original_rows(self, lines: Mapping[int, str]) -> Iterator[tuple[str, list[str]]]:
        """A CSV file's own records that end at these line numbers, each with what `lines` says of it."""
        with self._reading(), self._open() as text:
            reader = csv.reader(text, delimiter=self.delimiter)
            next(reader)
            for raw in reader:
                if reader.line_num in lines:
                    yield lines[reader.line_num], raw

    def original_objects(self, lines: Mapping[int, str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """An NDJSON file's own records at these line numbers, each with what `lines` says of it."""
        with self._reading(), self._open() as text:
            for number, record in _records(text):
                if number in lines:
                    yield lines[number], record

    def _open(self) -> IO[str]:
        opener = _OPENERS.get(self.path.suffix.lower())
        if self.path.suffix.lower() in (".zst", ".zip", ".7z"):
            raise UnreadableFileError(
                f"{self.path}: unpack it first; read are plain files and .gz, .bz2 and .xz."
            )
        raw = cast("IO[bytes]", opener(self.path) if opener else self.path.open("rb"))
        return io.TextIOWrapper(raw, encoding=self._encoding, newline="")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as e:
            raise UnreadableFileError(
                f"{self.path} is not {e.encoding} text. Say what it is, for example --encoding gb18030."
            ) from None
        except csv.Error as e:
            raise UnreadableFileError(f"{self.path} is not the CSV that it should be: {e}.") from None
        except (OSError, EOFError, lzma.LZMAError) as e:
            raise UnreadableFileError(
                f"{self.path} cannot be read: {getattr(e, 'strerror', None) or e}."
            ) from None


def bare_name(path: Path) -> str:
    """The file's name in lower case without the ending that tells its compression."""
    name = path.name.lower()
    return name.removesuffix(path.suffix.lower()) if path.suffix.lower() in (".gz", ".bz2", ".xz") else name


def _records(text: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    decode = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode
    for number, line in enumerate(text, 1):
        if not line.isspace():
            try:
                yield number, decode(line)
            except msgspec.DecodeError as e:
                raise UnreadableFileError(f"Line {number} is not a JSON object: {e}.") from None


def _json_keys(line: str) -> list[str]:
    try:
        return list(msgspec.json.decode(line, type=dict[str, Any]))
    except msgspec.DecodeError as e:
        raise UnreadableFileError(f"Line 1 is not a JSON object: {e}.") from None


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
