"""The secret is exchanged while two servers serve: nobody is unknown meanwhile, nobody is enrolled twice."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from loyalty.db.connect import open_pool
from loyalty.members.enrol import enrol_many
from loyalty.members.rotate import rotate
from loyalty.members.vault import Vault
from loyalty.types import Enrolment
from tests.e2e.face import Face, face, purchase, serving
from tests.vault import SECRET, VAULT

NEW_SECRET = bytes(reversed(range(32)))
MEMBERS = 1_500


def phone(number: int) -> str:
    return f"+86138{number:08}"


async def test_people_are_found_and_enrolled_once_through_two_servers(database_url: str) -> None:
    async with await open_pool(database_url, size=2) as pool:
        people = [Enrolment(member_id=f"m-{n}", phone=phone(n), name="W") for n in range(MEMBERS)]
        await enrol_many(pool, VAULT, people, datetime.now(UTC))
    async with (
        face(database_url, secret_keys=(NEW_SECRET, SECRET)) as one,
        serving(database_url, secret_keys=(SECRET, NEW_SECRET)) as url,
        Face(url) as other,
    ):
        token = (await one.post(f"/v1/members/phone:{phone(7)}/tokens")).json()["token"]
        done = asyncio.Event()
        seen: Counter[tuple[str, int]] = Counter()

        def note(what: str, answer: Any) -> None:
            seen[what, answer.status_code] += 1

        async def till(server: Face, first: int) -> None:
            number = first
            while not done.is_set():
                number = (number + 211) % MEMBERS
                name = f"phone:{phone(number)}"
                note(
                    "buy", await server.post("/v1/purchases", json=purchase(name, f"{first}/{seen.total()}"))
                )
                note("balance", await server.get(f"/v1/members/{name}/balance"))
                note("read", await server.get(f"/v1/members/{name}"))
                note("change", await server.patch(f"/v1/members/{name}", json={"name": f"W {number}"}))
                note("again", await server.post("/v1/members", json={"phone": phone(number)}))
                note("join", await server.post("/v1/members", json={"card": f"{first}-{seen.total()}"}))

        tills = [asyncio.create_task(till((one, other)[n % 2], n)) for n in range(6)]
        await asyncio.sleep(0.3)
        sealed, _ = await rotate(database_url, Vault([NEW_SECRET, SECRET]))
        await asyncio.sleep(0.3)
        done.set()
        await asyncio.gather(*tills)
        assert sealed > MEMBERS
        assert set(seen) == {
            ("buy", 201), ("balance", 200), ("read", 200), ("change", 200), ("again", 409), ("join", 201)
        }  # fmt: skip
        async with Face(url, token) as page:
            assert (await page.get("/v1/members/m-7/balance")).status_code == 200
    async with face(database_url, secret_keys=(NEW_SECRET,)) as later:
        found = [await later.get(f"/v1/members/phone:{phone(n)}") for n in range(0, MEMBERS, 100)]
        assert [answer.json()["member_id"] for answer in found] == [f"m-{n}" for n in range(0, MEMBERS, 100)]
