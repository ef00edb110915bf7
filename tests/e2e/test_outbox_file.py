"""The outbox's file: shared by processes, read-only, damaged, full of long items. What cannot be kept is said."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest

from loyalty.api.reading import MAX_BATCH_BODY
from loyalty.client import Client, Outbox, OutboxUnusable
from loyalty.client.outbox import ITEM_BYTES, UPLOAD_BYTES
from loyalty.client.upload import Kind, Uploaded
from loyalty.errors import Overloaded, TooLarge, UnknownMember
from loyalty.types import Purchase, PurchaseLine
from tests.e2e.face import ADMIN_KEY
from tests.e2e.test_outbox import NOW, bought, offline, on_a_till

TILL = """
import sys
from loyalty.client import Client, Outbox
from tests.e2e.test_outbox import bought
url, key, path, till = sys.argv[1:]
outbox, client = Outbox(path), Client(url, key)
for number in range(30):
    outbox.put(bought(f"{till}/{number:02}"))
    if number % 3 == 0:
        outbox.forward(client, batch=7)
outbox.forward(client)
"""


async def test_processes_on_one_file_upload_everything_once_and_in_order(
    database_url: str, tmp_path: Path
) -> None:
    def act(url: str) -> None:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", TILL, url, ADMIN_KEY, str(tmp_path / "shop.db"), f"till-{number}"],
                cwd=Path(__file__).parents[2],
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(4)
        ]
        said = [process.communicate(timeout=100)[1] for process in started]
        assert [process.returncode for process in started] == [0, 0, 0, 0], said
        outbox = Outbox(tmp_path / "shop.db")
        assert (outbox.waiting(), outbox.refusals()) == (0, [])
        recorded = [str(entry.purchase_id) for entry in Client(url, ADMIN_KEY).entries("li")]
        assert len(set(recorded)) == len(recorded) == 120
        for number in range(4):
            of_till = [id for id in recorded if id.startswith(f"till-{number}/")]
            assert of_till == sorted(of_till, reverse=True), "newest first"

    await on_a_till(database_url, act)


class Neighbour(Client):
    """While this uploads, another process on the same file uploads too, and is done first."""

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(url, ADMIN_KEY)
        self._path, self._there = path, Client(url, ADMIN_KEY)

    def upload_lines(self, names: list[tuple[Kind, str]], lines: list[bytes]) -> list[Uploaded]:
        Outbox(self._path).forward(self._there)
        return [Uploaded(*name, refusal=Overloaded("busy", retry_after=1)) for name in names]


async def test_who_posts_gets_the_answer_although_another_process_uploaded_it(
    database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "till.db"

    def act(url: str) -> None:
        outbox = Outbox(path)
        client = Neighbour(url, path)
        client.upload = Client(url, ADMIN_KEY).upload  # type: ignore[method-assign]  # alone it gets through
        receipt = outbox.post(client, bought("P1"))
        assert receipt is not None
        assert receipt.balance.balance == 100
        with pytest.raises(UnknownMember):
            outbox.post(client, bought("P2", member="nobody"))
        (refused,) = outbox.refusals()
        outbox.dismiss(refused)
        assert outbox.waiting() == 0

    await on_a_till(database_url, act)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """An outbox that we may read and not write, also when the tests run as root."""
    with TemporaryDirectory() as name:
        folder, root = Path(name), os.geteuid() == 0
        Outbox(folder / "till.db").close()
        (folder / "till.db").chmod(0o444)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        try:
            yield folder / "till.db"
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_file_that_cannot_be_written_is_said_at_once_with_what_to_do(read_only: Path) -> None:
    with pytest.raises(OutboxUnusable, match=rf"{read_only} cannot be used: .* this user may write"):
        Outbox(read_only)
    with pytest.raises(OutboxUnusable, match="See that the folder is there"):
        Outbox(read_only.with_name("missing") / "till.db")


def test_a_damaged_file_is_refused_kept_and_said_what_to_do_with(tmp_path: Path) -> None:
    file = tmp_path / "till.db"
    outbox = Outbox(file)
    for number in range(200):
        outbox.put(bought(f"P{number}"))
    outbox.close()
    whole = file.read_bytes()
    for damaged in (
        b"not an outbox" * 500,
        whole[: len(whole) // 2],
        whole[:8192] + bytes(4096) + whole[12288:],
    ):
        file.write_bytes(damaged)
        with pytest.raises(OutboxUnusable, match=r"Move it away and keep it: .*\.recover"):
            Outbox(file).forward(offline())
        assert file.read_bytes() == damaged
    file.write_bytes(whole)
    assert Outbox(file).waiting() == 200


def test_a_disk_that_is_full_is_said_and_what_was_kept_stays(tmp_path: Path) -> None:
    file = tmp_path / "till.db"
    outbox = Outbox(file)
    outbox.put(bought("P1"))
    outbox._file.execute("pragma max_page_count = 1")  # as a full disk
    kept = 1
    with pytest.raises(OutboxUnusable, match="Make room on the disk"):  # noqa: PT012 -- at whichever it is
        for number in range(2, 50):
            outbox.put(bought(f"P{number}"))
            kept = number
    assert outbox.waiting() == Outbox(file).waiting() == kept


class Scales(Client):
    """Weighs what is uploaded, and refuses it."""

    weighed: ClassVar[list[int]] = []

    def upload_lines(self, names: list[tuple[Kind, str]], lines: list[bytes]) -> list[Uploaded]:
        self.weighed.append(sum(map(len, lines)))
        return [Uploaded(*name, refusal=UnknownMember("no")) for name in names]


def test_long_items_are_uploaded_a_few_at_a_time(tmp_path: Path) -> None:
    """500 of these would be more than the server takes at once: it would refuse them for ever."""
    outbox = Outbox(tmp_path / "till.db")
    lines = tuple(PurchaseLine(f"SKU-{number:060}", 100) for number in range(1_000))
    for number in range(120):
        outbox.put(Purchase(f"P{number}", "li", NOW, "pos", lines))
    assert len(outbox.forward(Scales("http://127.0.0.1:9", ADMIN_KEY))) == 120
    assert outbox.waiting() == 0
    assert len(Scales.weighed) > 1
    assert max(Scales.weighed) <= UPLOAD_BYTES + ITEM_BYTES < MAX_BATCH_BODY


def test_an_item_that_no_server_takes_is_not_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    with pytest.raises(TooLarge, match="Split it"):
        outbox.put(Purchase("P1", "li", NOW, "pos", tuple(PurchaseLine("A" * 64, 1) for _ in range(20_000))))
    assert outbox.waiting() == 0
