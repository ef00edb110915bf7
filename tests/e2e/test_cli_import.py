"""`loyalty import`: any order of lines, twice without doubling, stopped and gone on, rejects mended and taken."""

import random
import subprocess
import time
from pathlib import Path

import asyncpg
import msgspec

from tests.e2e.shell import (
    COMMAND,
    DIRTY_COUNTS,
    DIRTY_REFUSED,
    START,
    dirty_rows,
    environment,
    imported,
    loyalty,
    many_rows,
    row,
    write,
)

BASKETS = 4_000
"""Enough for several commits, so that a kill finds the import between the first and the last."""


async def accounts(database_url: str) -> list[tuple[object, ...]]:
    """Who has what: everything that an import may change, but for when it was recorded."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            """select m.member_id like 'm-___________', case when m.member_id like 'm-___________' then '' else
                m.member_id end as member, m.enrolled_at, a.balance, a.debt, a.purchases, a.tier, a.tier_since
            from loyalty.member m join loyalty.account a using (shard, account) order by 2, 3"""
        )
    finally:
        await connection.close()
    return [tuple(found) for found in rows]


async def test_dirt_is_taken_or_refused_by_its_line_and_never_half(database_url: str, tmp_path: Path) -> None:
    found = imported(database_url, write(tmp_path / "till.csv", dirty_rows()), cwd=tmp_path, expect=1)
    assert found["created"] == DIRTY_COUNTS
    assert found["refused"] == DIRTY_REFUSED
    assert (found["anonymous"], found["enrolled"]) == (2, 4)
    assert found["lines"]["line_amount is no number"] == [18]
    by_member = {member: (balance, debt) for _, member, _, balance, debt, *_ in await accounts(database_url)}
    # m1: 10.01 + 0.89 are kept of A1 and A4, less 1.00 of unknown goods; m3 gave all back; m2 paid 8.00 - 3.00
    assert by_member["m3"] == (0, 0)
    assert by_member["m2"] == (5, 0)
    assert by_member["m1"] == (9, 0)


async def test_any_order_of_lines_gives_the_same_ledger(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    rows = dirty_rows() + many_rows(300, 20)
    imported(database_url, write(tmp_path / "a.csv", rows), cwd=tmp_path, expect=1)
    random.Random(5).shuffle(rows)
    loyalty(empty_database_url, "migrate", cwd=tmp_path)
    imported(empty_database_url, write(tmp_path / "b.csv", rows), cwd=tmp_path, expect=1)
    assert await accounts(empty_database_url) == await accounts(database_url)


async def test_twice_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    file = write(tmp_path / "till.csv", dirty_rows())
    imported(database_url, file, cwd=tmp_path, expect=1)
    before = await accounts(database_url)
    again = imported(database_url, file, cwd=tmp_path, expect=1)
    assert again["created"] == {}
    assert again["replayed"] == DIRTY_COUNTS
    assert await accounts(database_url) == before


async def test_rejects_are_mended_and_imported_again(database_url: str, tmp_path: Path) -> None:
    imported(database_url, write(tmp_path / "till.csv", dirty_rows()), cwd=tmp_path, expect=1)
    rejects = tmp_path / "till.rejects.csv"
    text = rejects.read_text()
    assert len(text.splitlines()) == 1 + 4
    mended = text.replace("ten", "10.00").replace("-9.00", "-2.00").replace(",OLD,", ",A1,")
    rejects.write_text(mended)
    found = imported(database_url, rejects, cwd=tmp_path)
    assert found["created"] == {"purchases": 1, "returns": 2}
    assert found["refused"] == {}


async def test_returns_of_unknown_purchases_can_be_taken_as_unlinked_and_only_once(
    database_url: str, tmp_path: Path
) -> None:
    rows = [
        row("purchase", "B1", "m1", START, line_amount="50.00"),
        row("return", "R1", "m1", START, quantity=-1, line_amount="-9.00", original_purchase_id="OLD",
            original_line=3),
    ]  # fmt: skip
    file = write(tmp_path / "till.csv", rows)
    option = ["--unknown-purchase", "unlinked"]
    assert (
        imported(database_url, file, *option, cwd=tmp_path)["created"]["returns without a known purchase"]
        == 1
    )
    again = imported(database_url, file, *option, cwd=tmp_path)
    assert again["replayed"] == {"purchases": 1, "returns without a known purchase": 1}
    assert [balance for _, _, _, balance, *_ in await accounts(database_url)] == [41]


async def test_a_return_waits_for_the_purchase_that_its_own_file_has_wrong(
    database_url: str, tmp_path: Path
) -> None:
    rows = [
        row("purchase", "B1", "m1", START, line_amount="?"),
        row("return", "R1", "m1", START, quantity=-1, line_amount="-9.00", original_purchase_id="B1",
            original_line=1),
    ]  # fmt: skip
    option = ["--unknown-purchase", "unlinked"]
    found = imported(database_url, write(tmp_path / "till.csv", rows), *option, cwd=tmp_path, expect=1)
    assert found["refused"] == {"line_amount is no number": 1, "unknown-purchase": 1}
    assert "mend it first" in (tmp_path / "till.rejects.csv").read_text()


async def test_killed_in_the_middle_it_goes_on(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "till.csv", many_rows(BASKETS, 300))
    process = subprocess.Popen(
        [*COMMAND, "import", str(file)],
        cwd=tmp_path,
        env=environment(database_url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    connection = await asyncpg.connect(database_url)
    until = time.monotonic() + 60
    while not (done := await connection.fetchval("select count(*) from loyalty.posting")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.kill()
    process.wait()
    await connection.close()
    assert 0 < done < BASKETS
    found = imported(database_url, file, cwd=tmp_path)
    assert found["replayed"]["purchases"] >= done
    assert found["replayed"]["purchases"] + found["created"]["purchases"] == BASKETS
    loyalty(database_url, "audit", cwd=tmp_path)
    loyalty(empty_database_url, "migrate", cwd=tmp_path)
    imported(empty_database_url, file, cwd=tmp_path)
    assert await accounts(empty_database_url) == await accounts(database_url)


async def test_members_come_with_tiers_and_points_and_only_once(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text(
        "member_id,phone,name,tier,tier_since,tier_valid_until,points,expires_at,enrolled_at\n"
        "m1,+8613800000001,Li,gold,2026-06-01T00:00:00Z,2027-12-31T00:00:00Z,500,2099-01-01T00:00:00Z,\n"
        "m1,,,,,,70,,\n"
        ",+8613800000002,Wang,,,,30,2099-01-01T00:00:00Z,2020-05-01T00:00:00+08:00\n"
        "m3,12,Zhao,,,,,,\n",
        encoding="utf-8",
    )
    found = imported(database_url, file, cwd=tmp_path, expect=1)
    assert found["created"] == {"members": 2, "tiers": 1, "opening lots": 3}
    assert found["refused"] == {"member is not valid": 1}
    again = imported(database_url, file, cwd=tmp_path, expect=1)
    assert again["replayed"] == {"members": 2, "tiers": 1, "opening lots": 3}
    said = loyalty(database_url, "report", "liability", "--json", cwd=tmp_path).stdout
    report = msgspec.json.decode(said)
    assert report["outstanding"] == 600
    assert {part["tier"]: part["points"] for part in report["by_tier"]} == {"gold": 570, "ordinary": 30}


async def test_other_names_for_columns_and_unknown_members_refused(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "pos.csv"
    file.write_text("bill;who;when;article;paid\n1;m1;2026-01-05 09:30;X;12.50\n", encoding="gb18030")
    names = ["purchase_id=bill", "member_ref=who", "occurred_at=when", "sku=article", "line_amount=paid"]
    options = [part for name in names for part in ("--column", name)]
    options += ["--set", "channel=pos", "--time-zone", "Asia/Shanghai", "--encoding", "gb18030"]
    found = imported(database_url, file, *options, "--members", "refuse", cwd=tmp_path, expect=1)
    assert found["refused"] == {"unknown-member": 1}
    assert imported(database_url, file, *options, cwd=tmp_path)["created"] == {"purchases": 1}


def test_a_wrong_call_is_told_apart_from_a_failure(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "pos.csv"
    file.write_text("bill,when\n1,2\n")
    said = loyalty(database_url, "import", file, cwd=tmp_path, expect=2)
    assert "--column purchase_id=NAME" in said.stderr
    loyalty(database_url, "import", tmp_path / "none.csv", cwd=tmp_path, expect=2)
    loyalty(database_url, "import", file, "--column", "bill", cwd=tmp_path, expect=2)


def test_the_summary_names_reasons_and_lines(database_url: str, tmp_path: Path) -> None:
    said = loyalty(database_url, "import", write(tmp_path / "t.csv", dirty_rows()), cwd=tmp_path, expect=1)
    assert "Anonymous documents skipped: 2" in said.stdout
    assert "unknown-purchase" in said.stdout
    assert "t.rejects.csv" in said.stdout


async def test_a_member_whom_purchases_enrolled_is_filled_in_by_the_file_of_members(
    database_url: str, tmp_path: Path
) -> None:
    documents = tmp_path / "till.csv"
    documents.write_text(
        "purchase_id,member_ref,occurred_at,channel,line,sku,quantity,line_amount\n"
        "p1,ada,2026-01-05T10:00:00+08:00,pos,1,A,1,10.00\n"
    )
    imported(database_url, documents, cwd=tmp_path)
    members = tmp_path / "members.csv"
    members.write_text("member_id,phone,name,points\nada,+8613800000009,Ada,70\n")
    found = imported(database_url, members, cwd=tmp_path)
    assert (found["created"], found["replayed"]) == ({"opening lots": 1}, {"members": 1})
    again = imported(database_url, members, cwd=tmp_path)
    assert again["replayed"] == {"members": 1, "opening lots": 1}
    members.write_text("member_id,phone,name,points\nada,+8613800000009,Eve,70\n")
    other = imported(database_url, members, cwd=tmp_path, expect=1)
    assert other["refused"] == {"member-exists": [2]} or "member-exists" in str(other)


async def test_a_member_with_an_unknown_tier_is_rejected_whole(database_url: str, tmp_path: Path) -> None:
    members = tmp_path / "members.csv"
    members.write_text("member_id,tier,tier_since,points\nned,platinum,2026-01-15T00:00:00+01:00,10\n")
    found = imported(database_url, members, cwd=tmp_path, expect=1)
    assert found["created"] == {}
    members.write_text("member_id,tier,tier_since,points\nned,silver,2026-01-15T00:00:00+01:00,40\n")
    mended = imported(database_url, members, cwd=tmp_path)
    assert mended["created"] == {"members": 1, "tiers": 1, "opening lots": 1}
