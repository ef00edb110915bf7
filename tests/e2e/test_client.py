"""The client against a real server: every call, refusals as errors, and calls whose answers are lost on the way."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from loyalty.client import Client, Outbox, Unreachable
from loyalty.errors import (
    IdConflict,
    InsufficientPoints,
    InvalidRequest,
    OutOfStock,
    Unauthenticated,
    UnknownMember,
    VoucherCancelled,
)
from loyalty.types import (
    Adjustment,
    Claim,
    Engagement,
    Enrolment,
    MemberChange,
    Purchase,
    PurchaseLine,
    Redemption,
    Return,
    ReturnLine,
    UnlinkedReturn,
)
from tests.e2e.face import ADMIN_KEY, face

T = TypeVar("T")
NOW = datetime.now(UTC)


def bought(purchase_id: str, amount: int = 20_000, member: str = "li") -> Purchase:
    return Purchase(purchase_id, member, NOW - timedelta(hours=1), "pos", (PurchaseLine("LAMP-1", amount),))


async def on_a_till(database_url: str, act: Callable[[str], T]) -> T:
    """Run blocking code with the URL of a server."""
    async with face(database_url) as server:
        return await asyncio.to_thread(act, server.url)


async def test_rewards_are_claimed_and_used(database_url: str) -> None:
    def act(url: str) -> None:
        client = Client(url, ADMIN_KEY)
        client.enrol(Enrolment(member_id="li"))
        client.purchase(bought("P1", 100_000))
        terms = {"name": "Desk lamp", "kind": "gift", "points": 300, "unlimited": True}
        client.call("PUT", "/v1/rewards/lamp", terms)
        (lamp,) = client.rewards("li")
        assert (lamp.reward_id, lamp.affordable) == ("lamp", True)
        claimed, kept = (client.claim(Claim(claim_id, "lamp", "li")) for claim_id in ("C/1", "C/2"))
        assert client.claim(Claim("C/1", "lamp", "li")) == claimed
        used = client.use_voucher(claimed.voucher.code, "U/1", "P2")
        assert client.use_voucher(claimed.voucher.code, "U/1", "P2") == used
        assert client.voucher(claimed.voucher.code).status == "used"
        assert client.cancel_claim("C/2").points == 300
        assert {one.code: one.status for one in client.vouchers("li")} == {
            claimed.voucher.code: "used",
            kept.voucher.code: "cancelled",
        }
        with pytest.raises(VoucherCancelled):
            client.use_voucher(kept.voucher.code, "U/2")
        client.call("PUT", "/v1/rewards/lamp", {**terms, "unlimited": False})
        with pytest.raises(OutOfStock):
            client.claim(Claim("C/3", "lamp", "li"))
        assert client.balance("li").available == 700
        client.close()

    await on_a_till(database_url, act)


async def test_every_call(database_url: str) -> None:
    def act(url: str) -> None:
        client = Client(url, ADMIN_KEY)
        assert client.enrol(Enrolment(member_id="li", phone="+8613800000001")).member_id == "li"
        assert client.change_member("li", MemberChange(name="Li Lei")).name == "Li Lei"
        assert client.member("phone:+8613800000001").name == "Li Lei"

        assert client.quote(bought("P1")).points_earned == 200
        receipt = client.purchase(bought("P1"))
        assert receipt.points_earned == 200
        assert client.purchase(bought("P1")) == receipt

        held = client.redeem(Redemption("R1", "li", points=100, hold=True))
        assert held.status == "held"
        assert client.balance("li").held == 100
        assert client.capture("R1").status == "captured"
        assert client.redemption("R1").points == 100
        assert client.reverse("R1", points=40, reversal_id="V1").points == 40
        client.redeem(Redemption("R2", "li", points=100, hold=True))
        assert client.release("R2").status == "released"

        client.adjust(Adjustment("A1", "li", 11, "sorry"))
        part = client.return_goods(Return("B1", "P1", NOW, (ReturnLine(1, amount=5_000),)))
        assert part.points_clawed_back == 50
        goods = (PurchaseLine("OLD", 1_000),)
        assert client.return_goods(UnlinkedReturn("B2", "li", NOW, goods)).points_clawed_back == 10

        balance = client.balance("li")
        assert balance.available == 200 - 100 + 40 + 11 - 50 - 10
        assert client.balance("li", as_of=NOW - timedelta(days=1)).balance == 0
        entries = list(client.entries("li"))
        assert [entry.kind for entry in entries] == [
            "clawback", "clawback", "adjust", "restore", "redeem", "earn"
        ]  # fmt: skip
        assert sum(entry.points for entry in entries) == balance.balance
        assert client.tier("li").tier == "ordinary"
        assert client.event(Engagement("E1", "li", "survey", NOW)).points_earned == 0
        own = Client(url, client.member_token("li", seconds=60).token)
        assert own.balance("li").available == balance.available

        results = client.upload([bought("P1"), bought("P2"), bought("P3", member="nobody")])
        assert [result.replayed for result in results] == [True, False, False]
        assert isinstance(results[2].refusal, UnknownMember)
        client.close()

    await on_a_till(database_url, act)


async def test_a_refusal_is_an_error_with_its_facts(database_url: str) -> None:
    def act(url: str) -> None:
        client = Client(url, ADMIN_KEY)
        client.enrol(Enrolment(member_id="li"))
        client.purchase(bought("P1"))
        with pytest.raises(InsufficientPoints) as refused:
            client.redeem(Redemption("R1", "li", points=500))
        assert refused.value.facts == {"available": 200, "missing": 300}
        with pytest.raises(IdConflict):
            client.purchase(bought("P1", 1))
        with pytest.raises(InvalidRequest) as faulty:
            client.call("POST", "/v1/purchases", {"purchase_id": "P9"})
        assert faulty.value.errors[0].path
        with pytest.raises(UnknownMember):
            client.balance("nobody")
        with pytest.raises(Unauthenticated):
            Client(url, "wrong").member("li")

    await on_a_till(database_url, act)


async def test_an_enrolment_whose_answer_was_lost_makes_one_member(database_url: str) -> None:
    def act(url: str) -> None:
        with losing_answers(url, 2) as (flaky, sent):
            made = Client(flaky, ADMIN_KEY).enrol(Enrolment(name="Han Meimei"))
        assert sent() == 3
        found = Client(url, ADMIN_KEY).call("GET", "/v1/members?name=Han%20Meimei")
        assert found.count(b"Han Meimei") == 1
        assert made.member_id.encode() in found

    await on_a_till(database_url, act)


async def test_a_purchase_whose_answer_was_lost_earns_once(database_url: str) -> None:
    def act(url: str) -> None:
        client = Client(url, ADMIN_KEY)
        client.enrol(Enrolment(member_id="li"))
        with losing_answers(url, 3) as (flaky, sent):
            assert Client(flaky, ADMIN_KEY).purchase(bought("P1")).points_earned == 200
        assert sent() == 4
        assert client.balance("li").balance == 200

    await on_a_till(database_url, act)


async def test_it_gives_up_after_its_tries_and_says_that_the_outcome_is_unknown(database_url: str) -> None:
    def act(url: str) -> None:
        client = Client(url, ADMIN_KEY)
        client.enrol(Enrolment(member_id="li"))
        with losing_answers(url, 100) as (flaky, sent):
            with pytest.raises(Unreachable):
                Client(flaky, ADMIN_KEY, tries=2).purchase(bought("P1"))
            assert sent() == 2
        assert client.balance("li").balance == 200

    await on_a_till(database_url, act)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="does not answer"):
        Client(f"http://127.0.0.1:{port}", "key", tries=2).member("li")


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told_and_tries_again(status: int) -> None:
    busy = f"HTTP/1.1 {status} Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".encode()
    fine = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    with answering([busy, fine]) as (url, at):
        assert Client(url, "key").call("GET", "/v1/anything") == b"[]"
    assert at[1] - at[0] >= timedelta(seconds=1)


STRANGERS = {
    "407 Proxy": b"<h1>pay me</h1>",
    "200 OK": b"<h1>log in</h1>",
    "302 Found": b"",
    "403 Forbidden": b'{"message": "not on our network"}',
    "404 Not Found": b'{"code": 5, "errors": null}',
}


@pytest.mark.parametrize("status", STRANGERS)
def test_a_stranger_s_page_is_no_answer(status: str, tmp_path: Path) -> None:
    body = STRANGERS[status]
    page = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with answering([page] * 3) as (url, _):
        client, outbox = Client(url, "key"), Outbox(tmp_path / "till.db")
        with pytest.raises(Unreachable, match="Something before the server"):
            client.member("li")
        with pytest.raises(Unreachable, match="Something before the server"):
            client.purchase(bought("P1"))
        assert outbox.post(client, bought("P1")) is None
        assert outbox.waiting() == 1


@contextmanager
def losing_answers(url: str, times: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """A way to the server that loses the first answers, after the server gave them; and how often it was taken."""
    target = urlsplit(url)
    taken = 0

    def carry(link: socket.socket) -> None:
        nonlocal taken
        taken += 1
        with link, socket.create_connection((str(target.hostname), int(target.port or 0))) as server:
            server.sendall(_whole_request(link))
            answer = b"".join(iter(lambda: server.recv(1 << 16), b""))
            if taken > times:
                link.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    with _listening(carry) as port:
        yield f"http://127.0.0.1:{port}", lambda: taken


@contextmanager
def answering(answers: list[bytes]) -> Iterator[tuple[str, list[datetime]]]:
    """A server that gives these answers, one a connection; and when it was asked."""
    left, at = list(answers), list[datetime]()

    def answer(link: socket.socket) -> None:
        with link:
            _whole_request(link)
            at.append(datetime.now(UTC))
            link.sendall(left.pop(0).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    with _listening(answer) as port:
        yield f"http://127.0.0.1:{port}", at


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            serve(link)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _whole_request(link: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += link.recv(1 << 16)
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += link.recv(1 << 16)
    return head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + b"\r\n\r\n" + body
