"""Tills that ask until they are answered, and remember what they were told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from tests.faults.shop import Result, Sent, Shop, results
from tests.faults.wire import LOST, Call, Line, Reply

TILLS = 12
ANSWER_SECONDS = 40.0
"""How long a till waits for one answer before it hangs up and asks again."""
PATIENCE_SECONDS = 120.0  # without acknowledgement, after which the scenario fails
UPLOAD_ITEMS = 20
UPLOADS = 4
"""At once, by all tills together: they have one key, and a server takes no more of one."""


class Load:
    """The tills of one scenario. `ports`: the servers, of which each attempt takes one.

    twins: each request goes to two servers at the same time. rude: the share of requests whose client
    hangs up first. crowd: members to begin with.
    """

    def __init__(
        self, shop: Shop, ports: Sequence[int], *, twins: bool = False, rude: float = 0.0, crowd: int = 24
    ) -> None:
        self.shop = shop
        self.ports = ports
        self.twins = twins
        self.rude = rude
        self.crowd = crowd
        self.sent: list[Sent] = []
        self.acknowledged = 0
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.longest_outage = 0.0
        self.enough = False
        self.told: Callable[[int], None] = lambda _: None
        self._last = time.monotonic()
        self._one_more = asyncio.Event()
        self._draw = random.Random(shop.seed)
        self._uploads = asyncio.Semaphore(UPLOADS)

    async def run(self, requests: int, faults: Callable[["Load"], Coroutine[Any, Any, None]]) -> None:
        """Send until `requests` are acknowledged and the faults are over."""
        async with asyncio.TaskGroup() as group:
            await self._enrol(self.crowd)
            self._last = time.monotonic()
            harm = group.create_task(faults(self))
            tills = [group.create_task(self._till()) for _ in range(TILLS)]
            await harm
            await self.reached(requests)
            self.enough = True
            await asyncio.gather(*tills)

    async def reached(self, requests: int) -> None:
        """Wait until so many are acknowledged."""
        while self.acknowledged < requests:
            await self._one_more.wait()
            self._one_more.clear()

    async def more(self, requests: int) -> None:
        """Wait until so many more are acknowledged."""
        await self.reached(self.acknowledged + requests)

    async def _enrol(self, count: int) -> None:
        """Members to begin with, each with one purchase."""
        new = [self.shop.enrol() for _ in range(count)]
        self.sent += new
        queue = list(new)
        line = Line(self.ports[0], ANSWER_SECONDS)

        async def enrol_some() -> None:
            own = Line(self.ports[0], ANSWER_SECONDS)
            while queue:
                member = queue.pop()
                reply = await own.ask(member.call)
                assert reply.status == 201, reply
                member.body = reply.body
            own.close()

        await asyncio.gather(*(enrol_some() for _ in range(TILLS)))
        self.shop.members += [member.member for member in new]
        await self._upload({line.port: line}, [self.shop.purchase(member=one.member) for one in new])
        line.close()
        self.longest_outage = 0.0

    async def _till(self) -> None:
        lines = {port: Line(port, ANSWER_SECONDS) for port in self.ports}
        try:
            while not self.enough:
                await self._serve_one(lines)
        finally:
            for line in lines.values():
                line.close()

    async def _serve_one(self, lines: dict[int, Line]) -> None:
        shop, chance = self.shop, self._draw.random()
        if chance < 0.52:
            await self._post(lines, shop.purchase(redeem=chance < 0.08))
        elif chance < 0.64:
            await self._post(lines, shop.redemption())
        elif chance < 0.74:
            hold = shop.redemption(hold=True)
            if await self._post(lines, hold):
                await self._post(lines, shop.ending(hold))
        elif chance < 0.83:
            if back := shop.goods_back():
                await self._post(lines, back)
        elif chance < 0.85:
            items = [self.shop.purchase() for _ in range(UPLOAD_ITEMS - 2)]
            items += [back for _ in range(2) if (back := self.shop.goods_back())]
            await self._upload(lines, items)
        elif chance < 0.90:
            await self._post(lines, shop.adjustment())
        elif chance < 0.93:
            member = shop.enrol()
            if await self._post(lines, member):
                shop.members.append(member.member)
        else:
            await self._read(lines)

    async def _post(self, lines: dict[int, Line], sent: Sent) -> bool:
        """Until it is acknowledged or refused; whether it was acknowledged."""
        self.sent.append(sent)
        if self._draw.random() < self.rude and await self._be_rude(lines, sent):
            return False
        async for reply in self._attempts(lines, sent.call, [sent]):
            self._took(sent, reply)
            break
        if sent.body is not None and sent.key[0] == "purchase" and self._draw.random() < 0.5:
            self.shop.returnable.append(sent)
        return sent.body is not None

    async def _be_rude(self, lines: dict[int, Line], sent: Sent) -> bool:
        """Hang up in the middle of the request or before its answer; whether the till leaves it at that."""
        share = self._draw.choice((1.0, 1.0, self._draw.random()))
        try:
            await self._one(lines).hang_up(sent.call, share)
        except LOST:
            self.seen["connection lost"] += 1
        sent.attempts += 1
        self.seen["hung up"] += 1
        return self._draw.random() < 0.3

    async def _upload(self, lines: dict[int, Line], items: list[Sent]) -> None:
        self.sent += items
        async with self._uploads:
            async for reply in self._attempts(lines, self.shop.upload(items), items):
                if reply.status != 200:
                    self._wrong("batch", reply)
                    return
                for sent, result in zip(items, results(reply.body), strict=True):
                    self._took_item(sent, result)
                if all(item.body is not None or item.refused for item in items):
                    return

    def _took_item(self, sent: Sent, result: Result) -> None:
        if bytes(result.receipt):
            replayed = {"idempotent-replayed": "true"} if result.status == "replayed" else {}
            self._took(sent, Reply(200, replayed, bytes(result.receipt)))
        elif (result.problem or {}).get("status") == 503:
            self.seen["503 in a batch"] += 1
        else:
            self.wrong.append(f"batch item {sent.key}: {result.problem}")
            sent.refused = True

    async def _read(self, lines: dict[int, Line]) -> None:
        call = Call("GET", f"/v1/members/{self._draw.choice(self.shop.members)}/balance")
        async for reply in self._attempts(lines, call, []):
            told = msgspec.json.decode(reply.body)
            if reply.status != 200 or told["balance"] != (
                told["available"] + told["held"] + told["pending"] - told["debt"]
            ):
                self._wrong("balance", reply)
            return

    async def _attempts(self, lines: dict[int, Line], call: Call, sents: list[Sent]) -> AsyncIterator[Reply]:
        """The answers that are not "come again", attempt after attempt, until the caller has what it wants."""
        begun = time.monotonic()
        while True:
            for sent in sents:
                sent.attempts += 1
            reply = None
            try:
                reply = await self._ask(lines, call, sents)
            except LOST as error:
                self.seen["silence" if isinstance(error, TimeoutError) else "connection lost"] += 1
            if reply is not None and reply.status in (429, 503):
                self.seen[str(reply.status)] += 1
                if not reply.headers.get("retry-after", "").isdigit():
                    self._wrong("no Retry-After", reply)
            elif reply is not None:
                yield reply
            if time.monotonic() - begun > PATIENCE_SECONDS:
                self.wrong.append(f"{call.path}: not acknowledged in {PATIENCE_SECONDS:.0f} s")
                return
            await asyncio.sleep(self._draw.uniform(0.02, 0.3))

    async def _ask(self, lines: dict[int, Line], call: Call, sents: list[Sent]) -> Reply:
        if not self.twins or len(sents) != 1 or len(lines) == 1:
            return await self._one(lines).ask(call)
        (sent,) = sents
        pair = self._draw.sample(sorted(lines), 2)
        both = await asyncio.gather(*(lines[port].ask(call) for port in pair), return_exceptions=True)
        answers = [one for one in both if isinstance(one, Reply) and one.status in (200, 201)]
        if len(answers) == 2:
            new = [one for one in answers if one.status == 201]
            if answers[0].body != answers[1].body and sent.key[0] != "member":
                self.wrong.append(f"{sent.key}: two answers: {answers[0].body!r} and {answers[1].body!r}")
            if len(new) > 1:
                self.wrong.append(f"{sent.key}: created twice")
            return new[0] if new else answers[0]
        for one in (*answers, *both):
            if isinstance(one, Reply):
                return one
        assert isinstance(both[0], BaseException)
        raise both[0]

    def _took(self, sent: Sent, reply: Reply) -> None:
        """Note what a request was told for good."""
        if reply.status in (200, 201):
            if sent.body is not None and reply.body != sent.body and sent.key[0] != "member":
                self.wrong.append(f"{sent.key}: now {reply.body!r}, before {sent.body!r}")
            if sent.body is None:
                if reply.replayed:  # it was done before: its answer did not arrive
                    self.seen["answer lost"] += 1
                sent.body = reply.body
                self._count()
            return
        told = msgspec.json.decode(reply.body)
        if reply.status >= 500 or told.get("code") not in sent.refusals:
            self._wrong(str(sent.key), reply)
        self.seen[f"{reply.status}"] += 1
        sent.refused = True

    def _count(self) -> None:
        self.acknowledged += 1
        now = time.monotonic()
        self.longest_outage = max(self.longest_outage, now - self._last)
        self._last = now
        self._one_more.set()
        self.told(self.acknowledged)

    def _one(self, lines: dict[int, Line]) -> Line:
        return lines[self._draw.choice(sorted(lines))]

    def _wrong(self, what: str, reply: Reply) -> None:
        self.wrong.append(f"{what}: {reply.status} {reply.body[:500]!r}")
