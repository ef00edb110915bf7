"""Nothing personal leaves the sealed tables: not into the log, the figures, the traces, the ledger or any other row."""

from pathlib import Path

import asyncpg
import pytest

from tests.e2e.collector import collector, spans_of
from tests.e2e.face import Face, purchase
from tests.faults.processes import Server

PERSON = {
    "phone": "+8613987654321",
    "email": "marked.person@example.cn",
    "card": "CARD-MARKED-77",
    "ext": "shop/marked-4711",
    "name": "Marked Person 李雷",
    "birthday": "1987-06-05",
}
MARKS = ("13987654321", "marked", "Marked", "李雷", "1987-06-05", "MARKED")


async def _drive(shop: Face) -> None:
    """Every call that takes or gives something personal, also those that are refused."""
    phone, email = f"phone:{PERSON['phone']}", f"email:{PERSON['email']}"
    await shop.member(member_id="m", **PERSON)
    await shop.post("/v1/members", json=PERSON)  # 409
    await shop.post("/v1/members", json=PERSON | {"birthday": "1987-06-05T"})  # 400
    await shop.post("/v1/members", json=PERSON | {"Marked": "Marked"})
    await shop.member(member_id="old", card="CARD-MARKED-78")
    for reference in (
        phone,
        email,
        "card:CARD-MARKED-77",
        "ext:shop%2Fmarked-4711",
        "phone:+8613987654321000",
    ):
        for what in ("", "/balance", "/entries", "/tier", "/purchases", "/consents", "/export"):
            await shop.get(f"/v1/members/{reference}{what}")
    await shop.get("/v1/members", params={"phone": PERSON["phone"], "name": PERSON["name"]})
    await shop.get("/v1/members", params={"email": "marked\x00"})
    await shop.patch(f"/v1/members/{phone}", json={"name": "Marked Again", "email": "marked2@example.cn"})
    await shop.patch("/v1/members/old", json={"phone": PERSON["phone"]})  # 409
    await shop.put(f"/v1/members/{phone}/consents", json={"purpose": "newsletter", "granted": True})
    await shop.post(f"/v1/members/{phone}/tokens")
    await shop.buy(phone, "p-1")
    await shop.buy("ext:shop/marked-4711", "p-2")
    await shop.post("/v1/purchases", json=purchase("phone:+8613987654320", "p-3"))  # 404
    await shop.post("/v1/purchases", json=purchase("phone:marked", "p-3"))  # 400
    batch = [{"kind": "purchase"} | purchase(name, f"p-{name[:5]}") for name in (email, "card:MARKED")]
    await shop.post("/v1/purchases/batch", json=batch)
    await shop.post("/v1/quotes", json=purchase(phone, "q"))
    calls: dict[str, dict[str, object]] = {
        "redemptions": {"redemption_id": "r-1", "points": 100},
        "returns": {
            "return_id": "b-1",
            "occurred_at": "2026-01-01T00:00:00Z",
            "lines": [{"sku": "A", "amount": 1}],
        },
    }
    for call, fields in calls.items():
        await shop.post(f"/v1/{call}", json={"member": phone} | fields)
    adjustment = {"adjustment_id": "a-1", "points": 5, "reason": "goodwill"}
    await shop.post(f"/v1/members/{phone}/adjustments", json=adjustment)
    await shop.post("/v1/members/card:CARD-MARKED-78/merge", json={"into": phone})
    await shop.get("/v1/acts")


@pytest.mark.parametrize("erased", [False, True])
async def test_nothing_personal_is_in_the_log_the_figures_the_traces_or_any_table(
    database_url: str, tmp_path: Path, erased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "server.log"
    with collector() as (endpoint, traces):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        server = Server(database_url, log, LOG_LEVEL="debug", PROGRAM=str(_program(tmp_path)))
        await server.start()
        try:
            async with Face(f"http://127.0.0.1:{server.port}") as shop:
                await _drive(shop)
                if erased:
                    await shop.delete(f"/v1/members/phone:{PERSON['phone']}")
                figures = (await shop.get("/metrics")).text
        finally:
            await server.stop()
    said = log.read_text() + log.with_suffix(".out").read_text()
    assert "request_answered" in said
    names = {span.name for span in spans_of(traces)}
    assert {"POST /v1/members", "GET /v1/members/{member}/export", "batch", "lock", "commit"} <= names
    spans = b"".join(traces).decode("utf-8", errors="replace")
    found = {"log": said, "figures": figures, "traces": spans} | await _tables(database_url)
    assert {"posting", "act", "person", "identifier", "consent", "job"} <= found.keys()
    for where, text in found.items():
        for mark in MARKS:
            assert mark not in text, (where, mark)
            assert mark.encode().hex() not in text, (where, mark)
    assert "p-1" in found["posting"]


def _program(folder: Path) -> Path:
    """Judges by birthday, so that birthdays are read."""
    file = folder / "program.toml"
    file.write_text("""
name = "Test"
currency = "CNY"
time_zone = "Asia/Shanghai"
[redemption]
points = 100
amount = 100
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
[[rules]]
id = "birthday"
kind = "flat"
points = 10
when = { birthday = "month" }
limit = { per_member_day = 1 }
""")
    return file


async def _tables(database_url: str) -> dict[str, str]:
    """All rows of all tables as text: bytes as hexadecimal digits, and JSON that is stored as bytes as JSON."""
    connection = await asyncpg.connect(database_url)
    try:
        names = await connection.fetch(
            "select relname from pg_class where relnamespace = 'loyalty'::regnamespace and relkind = 'r'"
        )
        return {
            row["relname"]: str(
                await connection.fetchval(
                    f"select string_agg(t::text, E'\\n') from loyalty.{row['relname']} t"
                )
            )
            for row in names
        }
    finally:
        await connection.close()
