"""Work that tills go before: how much of it goes at once, and when it rests."""

import asyncio

from loyalty.engine.stretches import REST, Stretches


class Tills:
    """Tills that are there or not; notes how long the work would rest at most."""

    def __init__(self, there: bool) -> None:
        self.there = there
        self.rests: list[float] = []
        self.idle = asyncio.Event()

    async def until_idle(self, seconds: float) -> None:
        self.rests.append(seconds)
        await self.idle.wait()

    def stretches(self) -> Stretches:
        return Stretches(100, 10, 2, lambda: self.there, self.until_idle)


async def _work(stretches: Stretches, log: list[str], name: str, end: asyncio.Event) -> None:
    async with stretches.next() as most:
        log.append(f"{name} {most}")
        await end.wait()


async def _soon() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_tills_stretches_are_long_and_two_go_at_once() -> None:
    tills, log, end = Tills(there=False), list[str](), asyncio.Event()
    stretches = tills.stretches()
    tasks = [asyncio.create_task(_work(stretches, log, name, end)) for name in "abc"]
    await _soon()
    assert log == ["a 100", "b 100"]
    end.set()
    await asyncio.gather(*tasks)
    assert log == ["a 100", "b 100", "c 100"]
    assert tills.rests == []


async def test_beside_tills_stretches_are_short_and_go_one_at_a_time_with_rests() -> None:
    tills, log, end = Tills(there=True), list[str](), asyncio.Event()
    stretches = tills.stretches()
    tasks = [asyncio.create_task(_work(stretches, log, name, end)) for name in "ab"]
    await _soon()
    assert log == ["a 10"]
    await asyncio.sleep(0.01)
    end.set()
    await _soon()
    assert log == ["a 10"], "the rest is for all of them"
    assert tills.rests[0] >= 0.01 * REST
    tills.idle.set()
    await asyncio.gather(*tasks)
    assert log == ["a 10", "b 10"]


async def test_uploads_that_go_on_take_turns() -> None:
    tills, log = Tills(there=True), list[str]()
    tills.idle.set()
    stretches = tills.stretches()

    async def upload(name: str) -> None:
        for _ in range(3):
            async with stretches.next():
                log.append(name)
                await asyncio.sleep(0)

    await asyncio.gather(*(upload(name) for name in "abc"))
    assert log == list("abcabcabc")


async def test_a_stretch_that_fails_leaves_its_turn_to_the_next() -> None:
    tills = Tills(there=True)
    tills.idle.set()
    stretches = tills.stretches()
    for _ in range(3):
        try:
            async with stretches.next():
                raise ValueError
        except ValueError:
            pass
    async with asyncio.timeout(1), stretches.next() as most:
        assert most == 10
