"""Promise 9 for rewards: a server is killed with -9 while 200 tills claim the last 20 units."""

import asyncio

import msgspec

from tests.faults.harness import Ground
from tests.faults.processes import command
from tests.faults.wire import LOST, Call, Line, Reply

TILLS, UNITS, PRICE, GIVEN = 200, 20, 300, 1000


def put(method: str, path: str, **body: object) -> Call:
    return Call(method, path, msgspec.json.encode(body))


async def test_the_server_is_killed_while_the_last_units_are_claimed(ground: Ground) -> None:
    server = await ground.serve()
    line = Line(server.port, 40)
    for call in (
        put("PUT", "/v1/rewards/lamp", name="Desk lamp", kind="gift", points=PRICE),
        put("POST", "/v1/rewards/lamp/stock", stock_id="s-1", units=UNITS),
    ):
        assert (await line.ask(call)).status == 201
    for at in range(TILLS):
        await line.ask(put("POST", "/v1/members", member_id=f"m{at}"))
        granted = put(
            "POST", f"/v1/members/m{at}/adjustments", adjustment_id=f"a-{at}", points=GIVEN, reason="t"
        )
        assert (await line.ask(granted)).status == 201
    answers = asyncio.Semaphore(0)

    async def claim(at: int) -> Reply:
        """Ask until there is an answer, as a till does."""
        own = Line(server.port, 40)
        wanted = put("POST", "/v1/rewards/lamp/claims", claim_id=f"c-{at}", member=f"m{at}")
        try:
            async with asyncio.timeout(120):
                while True:
                    try:
                        reply = await own.ask(wanted)
                    except LOST:
                        reply = None
                    if reply is not None and reply.status != 503:
                        answers.release()
                        return reply
                    await asyncio.sleep(0.05)
        finally:
            own.close()

    async def kill() -> None:
        for more in (1, UNITS // 2, TILLS // 4):
            for _ in range(more):
                await answers.acquire()
            await server.kill()
            ground.faults += 1
            await server.start()

    killing = asyncio.create_task(kill())
    told = await asyncio.gather(*(claim(at) for at in range(TILLS)))
    await killing

    won = {at: msgspec.json.decode(reply.body) for at, reply in enumerate(told) if reply.status in (200, 201)}
    lost = [msgspec.json.decode(reply.body)["code"] for reply in told if reply.status not in (200, 201)]
    assert (len(won), lost) == (UNITS, ["out-of-stock"] * (TILLS - UNITS))
    assert len({one["voucher"]["code"] for one in won.values()}) == UNITS
    line = Line(server.port, 40)
    for at in range(TILLS):
        vouchers = msgspec.json.decode((await line.ask(Call("GET", f"/v1/members/m{at}/vouchers"))).body)
        balance = msgspec.json.decode((await line.ask(Call("GET", f"/v1/members/m{at}/balance"))).body)
        mine = [won[at]["voucher"]["code"]] if at in won else []
        assert [one["code"] for one in vouchers["vouchers"]] == mine
        assert balance["available"] == GIVEN - PRICE * len(mine)
    assert msgspec.json.decode((await line.ask(Call("GET", "/v1/rewards/lamp"))).body)["stock"] == 0
    line.close()
    code, printed = await command(ground.url, "audit", cwd=ground.folder)
    assert code == 0, printed
