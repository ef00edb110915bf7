"""What the tills of the fault tests send: drawn from a seed, each request with an id of its own."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.faults.wire import Call

PROGRAM = """
name = "Fault Club"
currency = "CNY"
time_zone = "Asia/Shanghai"
[points]
expiry = { kind = "after", days = 30 }
restore_grace_days = 5
[redemption]
points = 1
amount = 1
min_points = 1
step_points = 1
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 300000 }
[tier_policy]
window = { kind = "rolling", months = 1 }
validity_months = 1
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
[[rules]]
id = "silver-x1.5"
kind = "multiplier"
factor = 1.5
when = { tier = ["silver"] }
[[rules]]
id = "lamps"
kind = "units"
points = 7
where = { sku = ["LAMP-1"] }
limit = { per_member = 20, budget_points = 100000000 }
"""

NO_POINTS = ("insufficient-points", "redemption-not-allowed")


@dataclass(slots=True, eq=False)
class Sent:
    """One request, and what became of it.

    key: its kind and id. keys: others that it makes (a purchase that redeems). refusals: codes that are right answers
    to it. body: the bytes of the answer, once acknowledged.
    """

    key: tuple[str, str]
    call: Call
    member: str
    refusals: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    refused: bool = False
    attempts: int = 0
    item: dict[str, Any] | None = None


@dataclass
class Shop:
    """Draws requests. Ids begin with `name`, so that several shops can send to one ledger."""

    name: str
    seed: int
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock_moves: bool = False
    members: list[str] = field(default_factory=list)
    returnable: list[Sent] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def enrol(self) -> Sent:
        """A new member, with a phone number."""
        id = self._id("m")
        phone = f"+86{self.seed % 1000:03}{self._count:08}"
        return self._sent("member", id, "/v1/members", {"member_id": id, "phone": phone}, id)

    def purchase(self, *, redeem: bool = False, member: str | None = None) -> Sent:
        """A basket of one or two lines; with `redeem` a part is paid with points."""
        id, member = self._id("p"), member or self._member()
        lines = [
            {"sku": self.draw.choice(("LAMP-1", "TEA", "CUP")), "amount": self.draw.randrange(100, 30_000)}
            for _ in range(self.draw.randrange(1, 3))
        ]
        body: dict[str, Any] = {
            "purchase_id": id, "member": member, "occurred_at": self._when(), "channel": "pos", "lines": lines,
        }  # fmt: skip
        sent = None
        if redeem:
            redemption = self._id("x")
            body["redemption"] = {"redemption_id": redemption, "points": self.draw.randrange(1, 90)}
            sent = self._sent("purchase", id, "/v1/purchases", body, member, NO_POINTS)
            sent.keys = (("redemption", redemption),)
        else:
            sent = self._sent("purchase", id, "/v1/purchases", body, member)
            sent.item = {"kind": "purchase"} | body
        return sent

    def redemption(self, *, hold: bool = False) -> Sent:
        """Points spent, or set aside."""
        id, member = self._id("r"), self._member()
        body: dict[str, Any] = {"redemption_id": id, "member": member, "points": self.draw.randrange(1, 150)}
        if hold:
            body |= {"hold": True, "hold_seconds": 86_400}
        return self._sent("redemption", id, "/v1/redemptions", body, member, NO_POINTS)

    def ending(self, hold: Sent) -> Sent:
        """A capture (of all or of a part) or a release of a hold."""
        verb = self.draw.choice(("capture", "release"))
        points = msgspec.json.decode(hold.body or b"{}")["points"]
        body = {"points": self.draw.randrange(1, points + 1)} if verb == "capture" and points > 1 else {}
        refusals = ("hold-ended",) if self.clock_moves else ()
        path = f"/v1/redemptions/{hold.key[1]}/{verb}"
        return self._sent(verb, hold.key[1], path, body, hold.member, refusals)

    def goods_back(self) -> Sent | None:
        """A return of an earlier purchase, whole or in part; each purchase comes back once."""
        if not self.returnable:
            return None
        bought = self.returnable.pop(self.draw.randrange(len(self.returnable)))
        id = self._id("b")
        body: dict[str, Any] = {"return_id": id, "occurred_at": self.clock().isoformat()}
        if self.draw.random() < 0.5:
            body["lines"] = [{"line": 1, "amount": self.draw.randrange(1, 101)}]
        sent = self._sent("return", id, f"/v1/purchases/{bought.key[1]}/returns", body, bought.member)
        sent.item = {"kind": "return", "purchase_id": bought.key[1]} | body
        return sent

    def adjustment(self) -> Sent:
        """Points given or taken by hand."""
        id, member = self._id("a"), self._member()
        points = self.draw.choice((1, -1)) * self.draw.randrange(1, 100)
        body = {"adjustment_id": id, "points": points, "reason": "a test"}
        path = f"/v1/members/{member}/adjustments"
        return self._sent("adjustment", id, path, body, member, ("insufficient-points",))

    def upload(self, items: list[Sent]) -> Call:
        """The items as one call, as an array or line by line."""
        bodies = [item.item for item in items]
        if self.draw.random() < 0.5:
            return Call("POST", "/v1/purchases/batch", msgspec.json.encode(bodies))
        lines = b"\n".join(map(msgspec.json.encode, bodies))
        return Call("POST", "/v1/purchases/batch", lines, "application/x-ndjson")

    def _sent(
        self, kind: str, id: str, path: str, body: dict[str, Any], member: str, refusals: tuple[str, ...] = ()
    ) -> Sent:
        return Sent((kind, id), Call("POST", path, msgspec.json.encode(body)), member, refusals)

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{self.name}-{kind}{self._count}"

    def _member(self) -> str:
        # A few come often, so that tills meet at one account.
        return self.draw.choice(self.members[:4] if self.draw.random() < 0.3 else self.members)

    def _when(self) -> str:
        return (self.clock() - timedelta(seconds=self.draw.randrange(1, 3600))).isoformat()


class Result(msgspec.Struct):
    """What an upload's answer says of one item; the receipt's bytes are empty when there is none."""

    status: str
    receipt: msgspec.Raw = msgspec.Raw()
    problem: dict | None = None


class _Results(msgspec.Struct):
    results: list[Result]


def results(body: bytes) -> list[Result]:
    """The results of an upload, in the order of its items."""
    return _results.decode(body).results


_results = msgspec.json.Decoder(_Results)
