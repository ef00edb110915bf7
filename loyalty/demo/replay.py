"""The year as it happened: each day's baskets uploaded in time order, the clock running along.

Who redeems, how, and what comes back is decided by hashes of ids, so that every run is the same.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as wall
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from loyalty.client import Client
from loyalty.demo.baskets import ZONE, Basket, Baskets
from loyalty.errors import LoyaltyError

_STEP, _LEAST = 100, 200
"""Points: as the demo's program says of redemptions."""
_REDEEMERS_IN, _REDEEMS_IN = 2, 2
"""Every second household redeems, on every second of its baskets for which it has the points."""
_RETURNS_IN = 50
_RETURN_AFTER_DAYS = 3
_MONDAY = 0
NAME = "Household"
"""What every member of the demo is called: names are found whole, so this one finds them all."""


class Month(Struct):
    """What the ledger says of one month. `outstanding` and `tiers` (members of each, lowest first) at its end."""

    first: date
    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    outstanding: int = 0
    tiers: tuple[int, ...] = ()


class Story(Struct):
    """What happened in the replay. `rose` and `fell`: changes of tier from one month's end to the next."""

    baskets: int = 0
    lines: int = 0
    members: int = 0
    redeemed_at_till: int = 0
    holds_captured: int = 0
    holds_released: int = 0
    returns: int = 0
    refused: int = 0
    rose: int = 0
    fell: int = 0
    seconds: float = 0.0
    months: list[Month] = []


class JobFailed(Exception):
    """An expiry or a review of tiers did not get through."""


Progress = Callable[[date, int, int], None]


class Replay:
    """Plays baskets to a server whose program has these `tiers`, lowest first.

    `progress` is told the day, the baskets done, and all there are.
    """

    def __init__(self, client: Client, tiers: Sequence[str], progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self._tiers = tiers
        self._ranks_before: dict[str, int] = {}
        self._clock: datetime | None = None
        self._available: dict[str, int] = {}
        self._to_return: dict[date, list[Basket]] = defaultdict(list)
        self._before = {"issued": 0, "redeemed": 0, "expired": 0}
        self.story = Story(months=[])

    def run(self, baskets: Baskets) -> Story:
        """Play all of `baskets`."""
        began = time.monotonic()
        today: date | None = None
        for day, of_day in baskets.days():
            while today is not None and today < day:
                today += timedelta(days=1)
                self._morning(today)
            today = day
            self._turn_clock(_midnight(day + timedelta(days=1)))
            self._trade(day, of_day)
            self._progress(day, self.story.baskets, baskets.count)
        if today is not None:
            end = today + timedelta(days=1)
            self._turn_clock(_midnight(end + timedelta(days=1)))
            self._jobs()
            self._close_month(today.replace(day=1))
        self.story.seconds = time.monotonic() - began
        return self.story

    def _turn_clock(self, now: datetime) -> None:
        # It ticks on by itself, so it stands a little behind each midnight that it was set to.
        if self._clock is None or now > self._clock:
            self._ask("PUT", "/v1/sandbox/clock", {"now": now})
            self._clock = now

    def _morning(self, day: date) -> None:
        if day.weekday() == _MONDAY or day.day == 1:
            self._turn_clock(_midnight(day))
            self._jobs()
        if day.day == 1:
            self._close_month((day - timedelta(days=1)).replace(day=1))

    def _trade(self, day: date, baskets: list[Basket]) -> None:
        for basket in baskets:
            if basket.member not in self._available:
                body = {
                    "member_id": basket.member,
                    "name": NAME,
                    "channel": "pos",
                    "enrolled_at": basket.occurred_at,
                }
                self._ask("POST", "/v1/members", body)
                self._available[basket.member] = 0
                self.story.members += 1
        upload = [_purchase(basket) | self._redemption(basket) for basket in baskets]
        answer = self._ask("POST", "/v1/purchases/batch", upload)
        refused = [item for item in answer["results"] if item["status"] == "refused"]
        if refused:
            # Points that were thought to be there had expired: the till takes money instead.
            self.story.refused += len(refused)
            again = [_purchase(baskets[item["index"]]) for item in refused]
            answer["results"] += self._ask("POST", "/v1/purchases/batch", again)["results"]
        for item in answer["results"]:
            if item["status"] != "refused":
                self._learn(item["receipt"])
        self.story.baskets += len(baskets)
        self.story.lines += sum(len(basket.lines) for basket in baskets)
        self._bring_back(day)
        for basket in baskets:
            if _draw("return", basket.purchase_id) % _RETURNS_IN == 0 and basket.amount > 0:
                self._to_return[day + timedelta(days=_RETURN_AFTER_DAYS)].append(basket)

    def _redemption(self, basket: Basket) -> dict[str, Any]:
        """What the customer does with points at this basket; what then stands in the purchase."""
        if _draw("redeems", basket.member) % _REDEEMERS_IN:
            return {}
        draw = _draw("redemption", basket.purchase_id)
        points = min(self._available[basket.member], basket.amount // 2) // _STEP * _STEP
        if points < _LEAST or draw % _REDEEMS_IN:
            return {}
        redemption_id = f"redeem-{basket.purchase_id}"
        self._available[basket.member] -= points
        way = draw // _REDEEMS_IN % 4
        if way in (0, 1):
            self.story.redeemed_at_till += 1
            return {"redemption": {"redemption_id": redemption_id, "points": points}}
        asked = {"redemption_id": redemption_id, "member": basket.member, "points": points, "hold": True}
        try:
            self._ask("POST", "/v1/redemptions", asked | {"basket_amount": basket.amount})
        except LoyaltyError:
            self.story.refused += 1
            return {}
        ending = "capture" if way == 2 else "release"
        self._ask("POST", f"/v1/redemptions/{redemption_id}/{ending}", {})
        if way == 2:
            self.story.holds_captured += 1
        else:
            self.story.holds_released += 1
            self._available[basket.member] += points
        return {}

    def _bring_back(self, day: date) -> None:
        for due in sorted(due for due in self._to_return if due <= day):
            for basket in self._to_return.pop(due):
                whole = _draw("whole", basket.purchase_id) % 3 == 0
                dearest = max(basket.lines, key=lambda line: line.amount)
                body: dict[str, Any] = {
                    "return_id": f"back-{basket.purchase_id}",
                    "occurred_at": _midnight(day),
                }
                if not whole:
                    body["lines"] = [{"line": dearest.line, "amount": dearest.amount}]
                try:
                    receipt = self._ask("POST", f"/v1/purchases/{basket.purchase_id}/returns", body)
                except LoyaltyError:
                    self.story.refused += 1
                else:
                    self.story.returns += 1
                    self._learn(receipt)

    def _learn(self, receipt: dict[str, Any]) -> None:
        self._available[receipt["member_id"]] = receipt["balance"]["available"]

    def _jobs(self) -> None:
        for kind in ("expiry", "tier-review"):
            job = self._ask("POST", f"/v1/jobs/{kind}", {})["job_id"]
            while (state := self._ask("GET", f"/v1/jobs/{job}"))["status"] in ("queued", "running"):
                time.sleep(0.01)
            if state["status"] == "failed":
                raise JobFailed(f"The job {kind} failed: {state.get('detail')}")

    def _close_month(self, first: date) -> None:
        report = self._ask("GET", "/v1/reports/liability")
        month = Month(first, outstanding=report["outstanding"])
        for name in self._before:
            setattr(month, name, report[name] - self._before[name])
            self._before[name] = report[name]
        ranks = self._ranks()
        for member, rank in ranks.items():
            before = self._ranks_before.get(member, 0)
            self.story.rose += rank > before
            self.story.fell += rank < before
        self._ranks_before = ranks
        month.tiers = tuple(
            sum(rank == place for rank in ranks.values()) for place in range(len(self._tiers))
        )
        self.story.months.append(month)

    def _ranks(self) -> dict[str, int]:
        """Every member's tier, as its place from the lowest."""
        ranks: dict[str, int] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = self._ask(
                "GET", f"/v1/members?name={NAME}&limit=200" + (f"&cursor={cursor}" if cursor else "")
            )
            for member in page["members"]:
                ranks[member["member_id"]] = self._tiers.index(member["tier"])
            cursor = page["next_cursor"]
        return ranks

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return msgspec.json.decode(self._client.call(method, path, body))


def _purchase(basket: Basket) -> dict[str, Any]:
    return {
        "kind": "purchase",
        "purchase_id": basket.purchase_id,
        "member": basket.member,
        "occurred_at": basket.occurred_at,
        "channel": "pos",
        "store": basket.store,
        "lines": basket.lines,
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, wall(), ZONE)


def _draw(what: str, of: str) -> int:
    return crc32(f"{what}:{of}".encode())
