"""Personal data are sealed, people are found by keyed hashes, and secrets can be exchanged under load."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import asyncpg
import pytest

from loyalty.db.connect import open_pool
from loyalty.engine.answers import Answer
from loyalty.errors import MemberExists, Overloaded, UnknownMember
from loyalty.members import directory
from loyalty.members.enrol import enrol
from loyalty.members.identity import Name
from loyalty.members.rotate import rotate
from loyalty.members.secret import check_secret, secrets_of
from loyalty.members.vault import Vault
from loyalty.settings import Settings, SettingsError, write_secrets
from loyalty.types import Enrolment, MemberChange
from tests.builders import START, adjust, hold, open_ledger, program
from tests.builders import purchase as bought
from tests.e2e.face import face, purchase
from tests.vault import SECRET, VAULT

NOW = datetime(2026, 11, 11, 12, tzinfo=UTC)
NEW_SECRET = bytes(reversed(range(32)))
BOTH = Vault([NEW_SECRET, SECRET])
NEW = Vault([NEW_SECRET])
LI = Enrolment(
    member_id="li", phone="+8613800000001", email="li@b.cn", card="8800123456", name="Li Lei",
    birthday=date(1990, 5, 1),
)  # fmt: skip


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with await open_pool(database_url, size=8) as opened:
        yield opened


async def test_a_thief_of_the_tables_finds_nobody(pool: asyncpg.Pool) -> None:
    await enrol(pool, VAULT, LI, NOW)
    rows = ""
    for table in ("member", "identifier", "person"):
        # Sealed values as the bytes that they are.
        found = await pool.fetch(f"select t.*, t::text as told from {table} t")
        rows += str([[bytes(v) if isinstance(v, bytes) else v for v in row.values()] for row in found])
    for marked in ("13800000001", "li@b.cn", "8800123456", "Li Lei", "1990"):
        assert marked not in rows
        assert marked.encode().hex() not in rows


async def test_what_was_sealed_is_opened_by_its_secret_alone_and_not_when_changed() -> None:
    key = VAULT.keys[0]
    sealed = key.seal("Li Lei")
    assert key.seal("Li Lei") != sealed
    assert VAULT.open(sealed) == BOTH.open(sealed) == "Li Lei"
    for stranger in (NEW, Vault()):
        with pytest.raises(Overloaded):
            stranger.open(sealed)
    with pytest.raises(ValueError, match="changed"):
        VAULT.open(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    phone = Name("phone", "+8613800000001")
    assert VAULT.stored(phone) != NEW.stored(phone)
    assert VAULT.stored(phone) != VAULT.stored(Name("ext", phone.value))
    assert set(BOTH.stored(phone)) == {*VAULT.stored(phone), *NEW.stored(phone)}


async def test_a_secret_is_exchanged_while_members_enrol_and_change(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await enrol(pool, VAULT, LI, NOW)
    for number in range(1200):
        await enrol(
            pool, VAULT, Enrolment(member_id=f"m-{number}", phone=f"+44138{number:08}", name="W"), NOW
        )
    done = asyncio.Event()
    doubled = 0

    async def traffic() -> None:
        nonlocal doubled
        number = 0
        while not done.is_set():
            number += 1
            for vault in (BOTH, Vault([SECRET, NEW_SECRET])):  # servers that list them in another order
                await directory.change(
                    pool, vault, f"m-{number % 1200}", MemberChange(email=f"{number}@b.cn"), NOW
                )
            with contextlib.suppress(MemberExists):
                await enrol(pool, BOTH, Enrolment(phone=f"+44138{number % 1200:08}", name="other"), NOW)
                doubled += 1

    busy = asyncio.create_task(traffic())
    await asyncio.sleep(0.1)
    sealed, key = await rotate(database_url, BOTH)
    done.set()
    await busy
    assert sealed > 3 * 1200
    assert doubled == 0
    assert key.id == NEW.newest
    # The old secret is needed no more.
    li = await directory.read(pool, NEW, "phone:+8613800000001")
    assert (li.name, li.birthday, li.identifiers) == (
        "Li Lei", date(1990, 5, 1), ["phone:+8613800000001", "card:8800123456", "email:li@b.cn"],
    )  # fmt: skip
    assert not (await enrol(pool, NEW, LI, NOW)).created  # its fingerprint was sealed anew
    assert (await directory.read(pool, NEW, "phone:+4413800000007")).member_id == "m-7"
    assert (await rotate(database_url, NEW))[0] == 0
    with pytest.raises(Overloaded):
        await enrol(pool, VAULT, Enrolment(member_id="late"), NOW)
    named = await pool.fetchval("select count(*) from identifier where scheme = 'phone'")
    assert named == 1201


async def test_a_rotation_that_was_stopped_goes_on(pool: asyncpg.Pool, database_url: str) -> None:
    for number in range(1100):
        await enrol(pool, VAULT, Enrolment(member_id=f"m-{number}", card=f"{number}"), NOW)

    def stop(done: int, _of: int) -> None:
        if done >= 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rotate(database_url, BOTH, stop)
    assert (await directory.read(pool, BOTH, "card:3")).member_id == "m-3"
    assert (await directory.read(pool, BOTH, "card:1099")).member_id == "m-1099"
    with pytest.raises(Overloaded):
        await rotate(database_url, NEW)
    with pytest.raises(SettingsError, match="not through"):
        await check_secret(pool, NEW)  # it would call those unknown whom the rotation has not come to
    await check_secret(pool, BOTH)
    for known in (NEW, VAULT):  # one that runs already
        with pytest.raises(Overloaded):
            await directory.read(pool, known, "card:nobody")
    sealed, _ = await rotate(database_url, BOTH)
    assert sealed == 200
    await check_secret(pool, NEW)
    assert (await directory.read(pool, NEW, "card:1099")).member_id == "m-1099"


async def test_who_lacks_the_secret_in_use_calls_nobody_unknown(
    pool: asyncpg.Pool, database_url: str
) -> None:
    """A till that hears 404 gives the sale up; one that hears 503 sends it again."""
    await check_secret(pool, VAULT)
    async with face(database_url, secret_keys=(SECRET,)) as shop:
        await shop.member(member_id="li", phone="+8613800000001")
        assert (await shop.get("/health/ready")).status_code == 200
        await rotate(database_url, BOTH)
        phone = "/v1/members/phone:+8613800000001"
        answers = [
            await shop.get(phone),
            await shop.get(f"{phone}/balance"),
            await shop.get(f"{phone}/entries"),
            await shop.get(f"{phone}/consents"),
            await shop.get("/v1/members", params={"phone": "+8613800000001"}),
            await shop.put(f"{phone}/consents", json={"purpose": "newsletter", "granted": True}),
            await shop.patch(phone, json={"name": "Li"}),
            await shop.post("/v1/purchases", json=purchase("phone:+8613800000001", "p-1")),
            await shop.post("/v1/quotes", json=purchase("phone:+8613800000001", "p-1")),
        ]
        assert [answer.status_code for answer in answers] == [503] * len(answers)
        assert all("LOYALTY_SECRET_KEYS" in answer.json()["detail"] for answer in answers)
        ready = await shop.get("/health/ready")
        assert (ready.status_code, "LOYALTY_SECRET_KEYS" in ready.text) == (503, True)
        assert (await shop.post("/v1/purchases", json=purchase("li", "p-1"))).status_code == 201
        assert (await shop.get("/v1/members/nobody/balance")).status_code == 404


async def test_a_name_in_doubt_spoils_no_other(pool: asyncpg.Pool, database_url: str) -> None:
    """On a server that lacks the secret in use: what goes with an unknown phone in one batch is answered as ever."""
    async with open_ledger(database_url, program(), "ada", "bob") as ledger:
        await ledger.do(adjust(1000))
        await ledger.do(hold(100))
        await ledger.move_clock(START + timedelta(days=2))  # the hold has ended: ada's balance is judged
        await rotate(database_url, BOTH)
        asked = ["ada", "phone:+8613800000001", "bob", "nobody", "ada"] * 3
        told = await asyncio.gather(
            *(ledger.engine.balance(member) for member in asked), return_exceptions=True
        )
        kinds = [bytes, Overloaded, bytes, UnknownMember, bytes] * 3
        assert [type(one) for one in told] == kinds
        baskets = [bought(1000, member=member) for member in asked]
        done = await ledger.engine.submit_many(baskets)
        assert [type(one) for one in done] == [Answer if kind is bytes else kind for kind in kinds]


async def test_two_rotations_do_not_meet(pool: asyncpg.Pool, database_url: str) -> None:
    for number in range(600):
        await enrol(pool, VAULT, Enrolment(member_id=f"m-{number}", card=f"{number}"), NOW)
    third = Vault([bytes(32), NEW_SECRET, SECRET])
    outcomes = await asyncio.gather(
        rotate(database_url, BOTH), rotate(database_url, third), return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [Overloaded]


async def test_a_server_starts_only_with_the_secret_of_its_database(pool: asyncpg.Pool) -> None:
    with pytest.raises(SettingsError, match="loyalty privacy new-key"):
        await check_secret(pool, Vault())
    await check_secret(pool, VAULT)
    await check_secret(pool, BOTH)
    with pytest.raises(SettingsError, match="used with before"):
        await check_secret(pool, NEW)


def test_an_embedded_postgres_keeps_a_secret_beside_its_data(tmp_path: Path) -> None:
    folder = tmp_path / ".loyalty"
    found = secrets_of(Settings(), folder)
    assert secrets_of(Settings(), folder) == found
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    assert S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert secrets_of(Settings(secret_keys=(SECRET,)), folder) == (SECRET,)
    assert secrets_of(Settings(database_url="postgresql://x"), folder) == ()
    (folder / "secret_key").write_text(write_secrets((NEW_SECRET, *found)) + "\n")
    assert secrets_of(Settings(), folder) == (NEW_SECRET, *found)
