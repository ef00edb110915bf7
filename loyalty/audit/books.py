"""An account's books, rebuilt from its immutable rows alone, one posting after another.

Each posting is checked against the rows before it; where one is wrong it is named, and the books go on from what it
says, so that one wrong row does not accuse all that follow. Source: DESIGN.md section 3.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from loyalty.audit.hashes import GENESIS, added_row, posting_hash
from loyalty.audit.moves import Moves, moves_of
from loyalty.audit.rows import Entry, Lot, Made, Moved, Posting, Tier, Use
from loyalty.audit.terms import Terms

Report = Callable[[str, str, str], None]
"""Takes table, key and message of a row that differs."""

COUNTERS = {
    "earn": "issued", "clawback": "issued", "redeem": "redeemed", "restore": "redeemed", "expire": "expired",
    "adjust": "adjusted", "merge": "merged",
}  # fmt: skip
_UP = {"earn", "restore", "adjust", "merge"}
_DOWN = {"clawback", "redeem", "expire", "adjust", "merge"}
_YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)


class _Facts(Struct):
    """Of a hold: when it ends. Of a merge: when the account that came was last active."""

    until: datetime | None = None
    active_at: datetime | None = None


_facts = Decoder(_Facts).decode


class TakenHold(Struct):
    """A hold that has not ended. `until` None: its facts do not tell."""

    posting: int
    points: int
    until: int | None


class Books:
    """What the rows of one account add up to.

    Args:
        terms: what the program's versions say.
        report: takes what differs.
        gone_at: the posting with which the account went into another, if it did.
    """

    def __init__(self, terms: Terms, report: Report, gone_at: int | None = None) -> None:
        self.terms = terms
        self.number = self.seq = self.lot_count = 0
        self.balance = self.held = self.debt = 0
        self.or_balance = 0
        """The other reading of the balance, after an entry that contradicts itself."""
        self.hash: bytes | None = GENESIS
        """None after a posting that is missing: the next can be compared with nothing."""
        self.last_hash = GENESIS
        self.recorded_at: int | None = None
        self.active_at: int | None = None
        self.lots: dict[int, Lot] = {}
        self.left: dict[int, int] = {}
        """Points left of each lot, those used up too."""
        self.origins: dict[int, int] = {}
        """Points left of each grant, in all the lots that they were given back as."""
        self.holds: dict[str, TakenHold] = {}
        self.tier: Tier | None = None
        self.judged_at: int | None = None
        self.merged = False
        """Whether another account's activity may count here."""
        self.qualifying: list[tuple[int, int]] = []
        """When, and the amount that counted for tiers."""
        self.purchases = 0
        self.returned: set[str] = set()
        """Purchases of which something came back: all of it or not, the rows alone do not tell."""
        self._gone_at = gone_at
        self._granted: dict[int, int] = {}
        """Points of each grant; a merge brings one in several lots."""
        self._report = report

    def replay(self, number: int, posting: Posting | None, moved: Moved) -> None:
        """Takes the next posting with its rows. `posting` None: rows that name one that is not there."""
        if posting is None:
            self._orphans(number, moved)
        else:
            self._follow(posting, moved)
        for entry in moved.entries:
            self._enter(entry)
        merges = posting is not None and posting.kind == "merge"
        for lot in moved.lots:
            self._grant(lot, merges)
        if len(moved.uses) > 1:
            self._in_order(moved.uses, self.active_at if posting is None else posting.occurred_at)
        for ordinal, use in enumerate(moved.uses, 1):
            if use.ordinal != ordinal:
                self._report("lot_use", _key(use), f"is number {ordinal} of its posting")
            self._use(use, merges, use.occurred_at if posting is None else posting.occurred_at)
        for ordinal, tier in enumerate(moved.tiers, 1):
            self._change_tier(ordinal, tier)
        self._settle(number, posting, moves_of(moved, self.lots))
        if self.debt < 0:
            self._report("lot_use", f"posting={number}", f"repays {-self.debt} points more than were owed")
            self.debt = 0

    # -- postings ------------------------------------------------------------------------------------------

    def _follow(self, posting: Posting, moved: Moved) -> None:
        number, key = posting.number, f"number={posting.number}"
        if number != self.number + 1:
            self._missing("posting", "number", self.number + 1, number - 1)
            self.hash = None
        if self.hash is not None and posting_hash(self.hash, posting, moved) != posting.hash:
            added = added_row(self.hash, posting, moved)
            self._report("posting", key, "does not follow the chain: " + (
                "it, or a row that it made, was changed, added, removed or re-ordered" if added is None
                else f"{_TABLES[type(added)]} {added[2]} was added to it"
            ))  # fmt: skip
        if self.recorded_at is not None and posting.recorded_at < self.recorded_at:
            self._report("posting", key, "was recorded before the one that it follows")
        if posting.id and (posting.answer is None or posting.fingerprint is None):
            self._report("posting", key, "has an id, but no answer to give again")
        if not 0 < posting.program_version <= self.terms.newest:
            self._report(
                "posting", key, f"names program version {posting.program_version}, which is not there"
            )
        at = posting.recorded_at
        for row in moved.rows():
            if row.recorded_at != at:
                self._report(_TABLES[type(row)], _key(row), f"was not recorded with its posting {number}")
        self.number, self.recorded_at = number, at
        self.hash = self.last_hash = posting.hash
        if posting.qualifying_amount and posting.qualifying_at is not None:
            self.qualifying.append((posting.qualifying_at, posting.qualifying_amount))
        self.merged |= posting.kind == "merge"
        if posting.kind == "purchase":
            self.purchases += 1
        elif posting.kind == "return" and posting.subject:
            self.returned.add(posting.subject)

    def _orphans(self, number: int, moved: Moved) -> None:
        for row in moved.rows():
            self._report(_TABLES[type(row)], _key(row), f"names posting {number}, which is not there")

    def _missing(self, table: str, name: str, first: int, last: int) -> None:
        if first > last:
            self._report(table, f"{name}={last + 1}", "is there twice, or out of order")
        elif first == last:
            self._report(table, f"{name}={first}", "is missing")
        else:
            self._report(table, f"{name}={first}", f"is missing, and all after it up to {last}")

    # -- the rows of a posting -----------------------------------------------------------------------------

    def _enter(self, entry: Entry) -> None:
        key = f"seq={entry.seq}"
        before = entry.balance_after - entry.points
        if entry.seq != self.seq + 1:
            self._missing("entry", "seq", self.seq + 1, entry.seq - 1)
            self.balance = self.or_balance = before
        if before not in (self.balance, self.or_balance):
            self._report(
                "entry", key, f"{entry.points} points on {self.balance} do not leave {entry.balance_after}"
            )
            self.balance, self.or_balance = self.balance + entry.points, entry.balance_after
        else:
            self.balance = self.or_balance = entry.balance_after
        self.seq = entry.seq
        if entry.points == 0 or entry.kind not in (_UP if entry.points > 0 else _DOWN):
            self._report("entry", key, f"{entry.kind} of {entry.points} points")
        if entry.counter != COUNTERS.get(entry.kind):
            self._report("entry", key, f"{entry.kind} stands against {entry.counter}")

    def _grant(self, lot: Lot, merges: bool) -> None:
        key = f"lot={lot.lot}"
        if lot.lot != self.lot_count + 1:
            self._missing("lot", "lot", self.lot_count + 1, lot.lot - 1)
        self.lot_count = max(self.lot_count, lot.lot)
        if lot.points <= 0 or (lot.idle and lot.expires_at is not None):
            self._report("lot", key, f"{lot.points} points, idle {lot.idle}: no such lot can be")
        self.lots[lot.lot] = lot
        self.left[lot.lot] = lot.points
        left = self.origins[lot.origin] = self.origins.get(lot.origin, 0) + lot.points
        if merges or lot.origin == lot.lot:
            self._granted[lot.origin] = self._granted.get(lot.origin, 0) + lot.points
        if lot.origin != lot.lot:
            first = self.lots.get(lot.origin)
            if first is None or first.origin != lot.origin:
                self._report("lot", key, f"has lot {lot.origin} as its origin, which was never granted")
            elif left > self._granted[lot.origin]:
                self._report("lot", key, f"gives back more of lot {lot.origin} than was used of it")

    def end_of(self, lot: Lot, active_at: int | None) -> int | None:
        """When a lot dies; idle ones by the account's last activity or, before any, by when they were earned."""
        if not lot.idle:
            return lot.expires_at
        return self.terms.idle_end(lot.earned_at if active_at is None else active_at)

    def _ends(self, lot: Lot, occurred_at: int) -> tuple[int, int]:
        """When a lot dies, by the activity before a posting, and by the posting as an activity."""
        if not lot.idle:
            end = _NEVER if lot.expires_at is None else lot.expires_at
            return end, end
        now = occurred_at if self.active_at is None else max(self.active_at, occurred_at)
        before, after = self.end_of(lot, self.active_at), self.end_of(lot, now)
        return _NEVER if before is None else before, _NEVER if after is None else after

    def _in_order(self, uses: Sequence[Use], occurred_at: int | None) -> None:
        """What is spent dies soonest, of equal ones was earned earliest: before the posting's activity, or by it."""
        wrong: list[Use | None] = [None, None]
        last: list[tuple[int, int, int] | None] = [None, None]
        for use in uses:
            lot = self.lots.get(use.lot)
            if use.purpose not in _SPENT or lot is None:
                continue
            for reading, end in enumerate(self._ends(lot, occurred_at or lot.earned_at)):
                place, before = (end, lot.earned_at, lot.lot), last[reading]
                if before is not None and place < before:
                    wrong[reading] = wrong[reading] or use
                last[reading] = place
        if wrong[0] is not None and wrong[1] is not None:
            self._report("lot_use", _key(wrong[0]), "was spent after points that die later")

    def _use(self, use: Use, merges: bool, at: int) -> None:
        """A use by a posting that occurred `at`: as an activity it may have ended idle points, also its own."""
        key = _key(use)
        lot = self.lots.get(use.lot)
        if lot is None:
            self._report("lot_use", key, "uses a lot that is not there")
            return
        left = self.left[use.lot] = self.left[use.lot] - use.points
        self.origins[lot.origin] -= use.points
        if use.points <= 0 or left < 0:
            self._report("lot_use", key, f"uses {use.points} points where {left + use.points} were left")
        if use.purpose in _SPENT:
            if max(self._ends(lot, use.occurred_at)) <= use.recorded_at:
                self._report("lot_use", key, "uses a lot that had expired")
            if lot.spendable_from > use.recorded_at:
                self._report("lot_use", key, "uses a lot that was not spendable yet")
        elif use.purpose == "expire":
            if min(self._ends(lot, at)) > use.recorded_at:
                self._report("lot_use", key, "expires a lot before its time")
            if left > 0:
                self._report("lot_use", key, f"expires a lot but leaves {left} points of it")
        elif use.purpose == "debt" and use.posting != lot.posting and not merges:
            self._report("lot_use", key, "repays debt from a lot of another posting")

    def _change_tier(self, ordinal: int, tier: Tier) -> None:
        if tier.ordinal != ordinal:
            self._report("tier_change", _key(tier), f"is number {ordinal} of its posting")
        if tier.reason == "promotion":
            ranks = self.terms.ranks
            if self.tier and ranks.get(tier.tier, 0) < ranks.get(self.tier.tier, 0):
                return  # arrived late, below the tier held now: it matters to the past only
        elif tier.reason != "enrolment":
            self.judged_at = tier.at
        self.tier = tier

    def _settle(self, number: int, posting: Posting | None, moves: Moves) -> None:
        kind, held, ended = "", moves.used.get("hold", 0), 0
        if posting is not None:
            kind = posting.kind
            if kind in _ENDINGS:
                ended = self._end(posting)
            elif kind == "merge":
                held, ended = self._merge(posting, moves)
            elif held:
                self.holds[posting.id] = TakenHold(number, held, _told(posting.facts)[0])
            if moves.acts:
                self.active_at = max(self.active_at or posting.occurred_at, posting.occurred_at)
            for table, message in moves.differences(kind, ended):
                self._report(table, f"posting={number}", message)
        self.held += held - ended
        self.debt += moves.debt(kind, held - ended)

    def _merge(self, posting: Posting, moves: Moves) -> tuple[int, int]:
        """Points held again and points held no more: holds leave all at once, and come each in its own posting."""
        if posting.number == self._gone_at:
            self.holds.clear()
            return 0, self.held
        held = moves.used.get("merge", 0)
        if held:
            self.holds[posting.subject] = TakenHold(posting.number, held, _told(posting.facts)[0])
        active_at = _told(posting.facts)[1]
        if active_at is not None:
            self.active_at = max(self.active_at or active_at, active_at)
        return held, 0

    def _end(self, posting: Posting) -> int:
        hold = self.holds.pop(posting.subject, None)
        if hold is None:
            self._report(
                "posting", f"number={posting.number}", f"ends hold {posting.subject}, which is not open"
            )
            return 0
        return hold.points


_SPENT = {"redeem", "hold", "adjust"}
_NEVER = 2**63
_ENDINGS = {"capture", "release", "timeout"}
_TABLES = {Entry: "entry", Lot: "lot", Use: "lot_use", Tier: "tier_change"}


def _key(row: Made) -> str:
    match row:
        case Entry():
            return f"seq={row.seq}"
        case Lot():
            return f"lot={row.lot}"
        case Use() | Tier():
            return f"posting={row.posting} ordinal={row.ordinal}"


def _told(facts: bytes | None) -> tuple[int | None, int | None]:
    """When a hold ends and when the account that came was last active, where facts tell."""
    try:
        told = _facts(facts or b"{}")
    except DecodeError:
        return None, None
    return _instant(told.until), _instant(told.active_at)


def _instant(at: datetime | None) -> int | None:
    return None if at is None else (at - _YEAR_2000) // timedelta(microseconds=1)
