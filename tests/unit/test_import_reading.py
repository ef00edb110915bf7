"""Files are read as they come: compressed or not, with columns of other names, in any order, with their dirt."""

import bz2
import gzip
import lzma
import random
from pathlib import Path
from typing import Any

import pytest

from loyalty.currency import minor_digits, minor_units, shown
from loyalty.importing.documents import PLACE
from loyalty.importing.source import DOCUMENT_COLUMNS, Source, UnreadableFileError
from loyalty.importing.stage import PURCHASE, RETURN, Stage, Unit
from loyalty.importing.summary import Summary, default_rejects, write_rejects
from loyalty.importing.values import Rejected

HEADER = "kind,purchase_id,member_ref,occurred_at,channel,line,sku,quantity,line_amount,original_purchase_id"
ROWS = [
    "purchase,B,m1,2026-01-02T10:00:00+00:00,pos,1,X,1,2.00,",
    "purchase,A,m1,2026-01-01T10:00:00+00:00,pos,1,X,1,2.00,",
    "purchase,A,m1,2026-01-01T10:00:00+00:00,pos,2,Y,1,3.00,",
    "return,R,m1,2026-01-02T09:00:00+00:00,pos,1,X,-1,-2.00,B",
    "return,R,m1,2026-01-02T09:00:00+00:00,pos,2,X,-1,-2.00,A",
    "return,R,m1,2026-01-02T09:00:00+00:00,pos,3,Z,-1,-1.00,",
]


def staged(source: Source) -> list[Unit]:
    stage = Stage()
    stage.add(
        source.rows(DOCUMENT_COLUMNS),
        kind=None,
        key=PLACE["purchase_id"],
        kind_at=PLACE["kind"],
        at=PLACE["occurred_at"],
        original=PLACE["original_purchase_id"],
    )
    stage.gather()
    stage.put_in_order()
    return [parcel.unpack() for parcel in stage.take()]


def write(folder: Path, *lines: str, name: str = "till.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_units_come_in_time_order_and_no_return_before_its_purchase(tmp_path: Path) -> None:
    units = staged(Source(write(tmp_path, HEADER, *ROWS)))
    assert [(u.kind, u.id, u.original) for u in units] == [
        (PURCHASE, "A", ""),
        (RETURN, "R", ""),
        (RETURN, "R", "A"),
        (PURCHASE, "B", ""),
        (RETURN, "R", "B"),
    ]
    assert [u.original_here for u in units] == [False, False, True, False, True]


def test_any_order_of_lines_gives_the_same_units(tmp_path: Path) -> None:
    def shape(lines: list[str]) -> list[tuple[str, str, list[list[str]]]]:
        found = staged(Source(write(tmp_path, HEADER, *lines)))
        return [(u.id, u.original, sorted(row[:-1] for row in u.rows)) for u in found]

    expected = shape(ROWS)
    for seed in range(20):
        lines = ROWS.copy()
        random.Random(seed).shuffle(lines)
        assert shape(lines) == expected, f"seed {seed}"


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_compressed_files_are_read(tmp_path: Path, ending: str, pack: Any) -> None:
    path = tmp_path / f"till.csv{ending}"
    path.write_bytes(pack.compress("\n".join([HEADER, *ROWS]).encode()))
    assert len(staged(Source(path))) == 5


def test_ndjson_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = write(tmp_path, '{"purchase_id":"A","line_amount":0.285,"quantity":2}', name="till.ndjson")
    row = next(Source(path).rows(("purchase_id", "line_amount", "quantity", "store")))
    assert row == ["A", "0.285", "2", "", "1"]


def test_columns_of_other_names_and_constants(tmp_path: Path) -> None:
    path = write(tmp_path, "receipt;customer;channel", "7;m9;", "8;m8;pos")
    columns = {"purchase_id": "receipt", "member_ref": "customer", "channel": ""}
    source = Source(path, columns=columns, constants={"channel": "shop"})
    rows = list(source.rows(("purchase_id", "member_ref", "channel")))
    assert rows == [["7", "m9", "shop", "2"], ["8", "m8", "shop", "3"]]


def test_a_missing_column_is_named_with_the_way_out(tmp_path: Path) -> None:
    source = Source(write(tmp_path, "purchase_id,occurred_at,sku", "1,2,3"))
    with pytest.raises(UnreadableFileError, match=r"'member_ref'.*--column member_ref=NAME"):
        source.check("documents")


@pytest.mark.parametrize(
    ("data", "tells"),
    [
        (b"", "is empty"),
        ("kind,purchase_id\npurchase,\u5e97".encode("gb18030"), "--encoding gb18030"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path, data: bytes, tells: str) -> None:
    path = tmp_path / "till.csv"
    path.write_bytes(data)
    with pytest.raises(UnreadableFileError, match=tells):
        staged(Source(path))


def test_a_cut_off_gzip_says_so(tmp_path: Path) -> None:
    path = tmp_path / "till.csv.gz"
    path.write_bytes(gzip.compress(("\n".join([HEADER, *ROWS * 50])).encode())[:-20])
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        staged(Source(path))


def test_members_are_told_by_their_columns(tmp_path: Path) -> None:
    assert Source(write(tmp_path, "member_id,points", "m1,5")).holds == "members"
    assert Source(write(tmp_path, HEADER, *ROWS)).holds == "documents"


def test_rejects_have_the_source_layout_and_can_be_read_again(tmp_path: Path) -> None:
    source = Source(write(tmp_path, HEADER + ",note", *[row + ',"a, b"' for row in ROWS]))
    summary = Summary()
    summary.reject(Rejected("sku is missing", "line 3: sku is empty", [3, 4]))
    again = tmp_path / "rejects.csv"
    write_rejects(source, summary, again)
    lines = again.read_text().splitlines()
    assert lines[0] == HEADER + ",note,reject_reason"
    assert lines[1].startswith(ROWS[1])
    assert lines[1].endswith('"a, b",sku is missing: line 3: sku is empty')
    read = Source(again)
    assert read.check("documents") == ["note"]
    write_rejects(read, summary, again)
    assert again.read_text().splitlines()[0] == HEADER + ",note,reject_reason"


@pytest.mark.parametrize(
    ("name", "ndjson", "expected"),
    [
        ("a.csv.gz", False, "a.rejects.csv"),
        ("A.B.tsv", False, "a.b.rejects.csv"),
        ("x.jsonl", True, "x.rejects.ndjson"),
    ],
)
def test_rejects_are_called_after_their_file(name: str, ndjson: bool, expected: str) -> None:
    assert default_rejects(Path("/somewhere") / name, ndjson=ndjson) == Path(expected)


@pytest.mark.parametrize(
    ("text", "digits", "amount"),
    [
        ("15.3", 2, 1530), ("0.005", 2, 1), ("0.0049", 2, 0), ("-0.005", 2, -1), ("1.005", 2, 101),
        ("0.001", 2, 0), ("12.5", 0, 13), ("1.2345", 3, 1235), ("38970", 2, 3897000), ("1e2", 2, 10000),
    ],
)  # fmt: skip
def test_amounts_are_rounded_half_up_to_the_minor_unit(text: str, digits: int, amount: int) -> None:
    assert minor_units(text, digits) == amount


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        minor_units(text, 2)


def test_currencies_have_their_own_digits() -> None:
    assert [minor_digits(code) for code in ("CNY", "JPY", "KWD", "CLF")] == [2, 0, 3, 4]
    assert shown(129050, "CNY") == "1,290.50 CNY"
    assert shown(1290, "JPY") == "1,290 JPY"
