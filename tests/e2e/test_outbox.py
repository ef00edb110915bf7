"""Tills that are offline: what they kept is uploaded once and in order, wherever they were killed."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from loyalty.client import Client, Outbox
from loyalty.client.upload import Kind, Uploaded, read_results
from loyalty.errors import IdConflict, InvalidRequest, Unauthenticated, UnknownMember
from loyalty.types import Purchase, PurchaseLine, Return, UnlinkedReturn
from tests.e2e.face import ADMIN_KEY, face

T = TypeVar("T")
NOW = datetime.now(UTC)


def bought(purchase_id: str, amount: int = 10_000, member: str = "li") -> Purchase:
    return Purchase(purchase_id, member, NOW - timedelta(hours=1), "pos", (PurchaseLine("LAMP-1", amount),))


def offline() -> Client:
    return Client("http://127.0.0.1:9", "key", timeout=0.5, tries=1)


async def on_a_till(database_url: str, act: Callable[[str], T]) -> T:
    """Run blocking code with the URL of a server that knows the member li."""
    async with face(database_url) as server:
        await server.member(member_id="li")
        return await asyncio.to_thread(act, server.url)


async def test_what_was_kept_offline_is_uploaded_in_order_once(database_url: str, tmp_path: Path) -> None:
    def act(url: str) -> None:
        outbox = Outbox(tmp_path / "till.db")
        assert outbox.post(offline(), bought("P1")) is None
        assert outbox.post(offline(), bought("P2")) is None
        assert outbox.post(offline(), Return("B1", "P1", NOW)) is None
        assert outbox.post(offline(), UnlinkedReturn("B2", "li", NOW, (PurchaseLine("OLD", 500),))) is None
        assert outbox.waiting() == 4
        outbox.close()

        restarted, client = Outbox(tmp_path / "till.db"), Client(url, ADMIN_KEY)
        done = restarted.forward(client, batch=2)
        assert [(one.kind, one.id) for one in done] == [
            ("purchase", "P1"), ("purchase", "P2"), ("return", "B1"), ("return", "B2")
        ]  # fmt: skip
        assert not any(one.replayed or one.refusal for one in done)
        assert restarted.waiting() == 0
        assert restarted.forward(client) == []
        assert client.balance("li").balance == 100 - 5

        receipt = restarted.post(client, bought("P3"))
        assert receipt is not None
        assert receipt.balance.balance == 195

    await on_a_till(database_url, act)


async def test_a_refused_item_is_kept_to_be_looked_at_and_holds_up_no_other(
    database_url: str, tmp_path: Path
) -> None:
    def act(url: str) -> None:
        outbox, client = Outbox(tmp_path / "till.db"), Client(url, ADMIN_KEY)
        outbox.put(bought("P1", member="nobody"))
        outbox.put(bought("P2"))
        assert [one.refusal is None for one in outbox.forward(client)] == [False, True]
        (kept,) = outbox.refusals()
        assert (kept.kind, kept.id, kept.why.code) == ("purchase", "P1", "unknown-member")
        assert b"nobody" in kept.body
        outbox.dismiss(kept)
        assert outbox.refusals() == []
        with pytest.raises(UnknownMember):
            outbox.post(client, bought("P3", member="nobody"))
        assert client.balance("li").balance == 100

    await on_a_till(database_url, act)


async def test_a_key_that_may_not_upload_loses_nothing(database_url: str, tmp_path: Path) -> None:
    def act(url: str) -> None:
        outbox = Outbox(tmp_path / "till.db")
        with pytest.raises(Unauthenticated):
            outbox.post(Client(url, "revoked"), bought("P1"))
        assert outbox.waiting() == 1
        assert [one.id for one in outbox.forward(Client(url, ADMIN_KEY))] == ["P1"]

    await on_a_till(database_url, act)


def test_an_id_is_kept_once_with_one_content(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox.put(bought("P1"))
    outbox.put(bought("P1"))
    assert outbox.waiting() == 1
    with pytest.raises(IdConflict):
        outbox.put(bought("P1", 1))
    outbox.put(Return("P1", "P1", NOW))  # another kind, another id
    assert outbox.waiting() == 2


class Interrupted(InvalidRequest):
    """A refusal while which is written down somebody presses Ctrl-C."""

    @property
    def facts(self) -> dict[str, object]:
        raise KeyboardInterrupt

    @facts.setter
    def facts(self, facts: dict[str, object]) -> None: ...


class InterruptedServer(Client):
    def upload_lines(self, names: list[tuple[Kind, str]], lines: list[bytes]) -> list[Uploaded]:
        return [Uploaded(*name, refusal=Interrupted("no")) for name in names]


def test_what_is_put_after_an_interruption_is_on_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox.put(bought("P1"))
    with pytest.raises(KeyboardInterrupt):
        outbox.forward(InterruptedServer("http://127.0.0.1:9", "key"))
    outbox.put(bought("P2"))
    assert Outbox(tmp_path / "till.db").waiting() == 2


BUSY = b'{"status":"refused","problem":{"code":"overloaded","detail":"","retry_after":1}}'
UNKNOWN = b'{"status":"refused","problem":{"code":"unknown-purchase","detail":""}}'


class BusyServer(Client):
    """Too busy for the first item, and so does not know the purchase of the second."""

    def upload_lines(self, names: list[tuple[Kind, str]], lines: list[bytes]) -> list[Uploaded]:
        return read_results(names, b'{"results":[' + BUSY + b"," + UNKNOWN + b"]}")


def test_refusals_behind_an_item_that_must_be_tried_again_are_not_final(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox.put(bought("P1"))
    outbox.put(Return("B1", "P1", NOW))
    assert outbox.forward(BusyServer("http://127.0.0.1:9", "key")) == []
    assert outbox.waiting() == 2
    assert outbox.refusals() == []


async def test_killed_at_every_line_nothing_is_lost_or_doubled(database_url: str, tmp_path: Path) -> None:
    """tests/e2e/outbox_kills.py kills a till at each line it runs, from the first put to the last answer."""
    script = Path(__file__).with_name("outbox_kills.py")

    def act(url: str) -> None:
        done = subprocess.run(
            [sys.executable, script, url, ADMIN_KEY, tmp_path],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        tills = int(done.stdout)
        assert tills > 60
        client = Client(url, ADMIN_KEY)
        entries = [entry for entry in client.entries("li") if entry.kind == "earn"]
        assert len({entry.purchase_id for entry in entries}) == len(entries) == 2 * tills
        assert client.balance("li").balance == 2 * 100 * tills - 50 * tills

    await on_a_till(database_url, act)
