"""What one posting moved, and whether its entries say the same as its lots, uses and holds.

The equations are those of `balance = available + held + pending - debt`, taken apart by purpose: points come as lots,
leave as uses, and each entry accounts for exactly its own. Source: DESIGN.md sections 2 to 4.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from loyalty.audit.rows import Lot, Moved

BY_CONSERVATION = {"merge", "erasure"}
"""Kinds of postings that move everything at once, debt included."""


class Moves(Struct):
    """Sums of one posting's rows: points `entered` and `taken` by the entries' kind, `used` by the uses' purpose."""

    plain: bool
    """One entry that earns what one lot grants, as in most postings."""
    granted: int
    entered: dict[str, int]
    taken: dict[str, int]
    used: dict[str, int]
    doubled: str = ""
    """What there are more entries of than there may be."""

    @property
    def acts(self) -> bool:
        """Whether the member earned, redeemed or held: what idle points live by."""
        return self.plain or "earn" in self.entered or "redeem" in self.taken or "hold" in self.used

    def debt(self, kind: str, held: int) -> int:
        """By how much debt rose: by what was clawed back beyond the lots (the entry leaves out what was forgiven),
        less what lots repaid. `held`: by how much held points rose.
        """
        if kind in BY_CONSERVATION:
            entered = sum(self.entered.values()) - sum(self.taken.values())
            return self.granted - sum(self.used.values()) + held - entered
        return max(0, self.taken.get("clawback", 0) - self.used.get("clawback", 0)) - self.used.get("debt", 0)

    def differences(self, kind: str, ended: int) -> Iterator[tuple[str, str]]:
        """Table and message of each sum that is wrong in a posting of this kind that ended a hold of `ended` points."""
        if self.doubled:
            yield "entry", f"there are two or more for {self.doubled}"
        if self.plain or kind in BY_CONSERVATION:
            return
        redeemed = self.taken.get("redeem", 0)
        captured = redeemed if ended else 0
        entered = sum(self.entered.values()) + ended - captured
        if self.granted != entered:
            yield "lot", f"lots of {self.granted} points were granted, but entries and holds say {entered}"
        for purpose, points in (
            ("redeem", redeemed - captured),
            ("expire", self.taken.get("expire", 0)),
            ("adjust", self.taken.get("adjust", 0) - self.used.get("forfeit", 0)),
            ("merge", self.taken.get("merge", 0)),
        ):
            if (used := self.used.get(purpose, 0)) != points:
                yield "lot_use", f"{used} points of lots were used to {purpose}, but entries say {points}"
        forfeited = self.used.get("forfeit", 0)
        if forfeited and kind not in ("return", "reversal"):
            yield "lot_use", f"a posting of kind {kind} forfeits no points"
        clawed, back = self.used.get("clawback", 0), self.taken.get("clawback", 0)
        if clawed > back:
            yield "lot_use", f"{clawed} points of lots were clawed back, but entries say {back}"
        if "hold" in self.used and kind != "redemption":
            yield "lot_use", f"a posting of kind {kind} holds no points"


_NOTHING: dict[str, int] = {}


def moves_of(moved: Moved, lots: Mapping[int, Lot]) -> Moves:
    """Adds up a posting's rows. `lots` are the account's, those that the posting granted among them."""
    entries, granted, uses = moved.entries, moved.lots, moved.uses
    if not uses and len(entries) == 1 and len(granted) == 1 and entries[0].kind == "earn":
        points = granted[0].points
        if entries[0].points == points:
            return Moves(True, points, _NOTHING, _NOTHING, _NOTHING)
    entered: dict[str, int] = {}
    taken: dict[str, int] = {}
    used: dict[str, int] = {}
    for entry in entries:
        sums = entered if entry.points > 0 else taken
        sums[entry.kind] = sums.get(entry.kind, 0) + abs(entry.points)
    for use in uses:
        used[use.purpose] = used.get(use.purpose, 0) + use.points
    doubled = _doubled(moved, lots) if len(entries) > 1 else ""
    return Moves(False, sum(lot.points for lot in granted), entered, taken, used, doubled)


def _doubled(moved: Moved, lots: Mapping[int, Lot]) -> str:
    kinds = [entry.kind for entry in moved.entries]
    for kind in kinds:
        if kind != "expire" and kinds.count(kind) > 1:
            return kind
    ends = {lots[use.lot].expires_at for use in moved.uses if use.purpose == "expire" and use.lot in lots}
    return "points that expire at one instant" if kinds.count("expire") > max(1, len(ends)) else ""
