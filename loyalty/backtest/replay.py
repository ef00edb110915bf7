"""One family's history, decided again under other programs by the code that decides for the tills.

Nothing here knows what a purchase earns or when points die: recorded postings become the requests that made them, and
`engine/decide.py` posts these into a book of its own at the time of then. What the program of then allowed and the
candidate does not is made as far as the candidate allows: redemptions are capped, the rest is counted as refused.
"""

from datetime import datetime
from typing import Protocol

import msgspec

from loyalty.backtest.books import ReplayBook, ReplayContext
from loyalty.backtest.history import Event, Family, Merging
from loyalty.backtest.recorded import (
    Bought,
    RecordedPurchase,
    adjustment_facts,
    asked,
    asked_unlinked,
    engaged,
)
from loyalty.backtest.sides import Side
from loyalty.engine.decide import decide
from loyalty.engine.erase import give_up
from loyalty.engine.facts import claim_facts, end_facts, redemption_facts, reversal_facts
from loyalty.engine.merge import move_estate
from loyalty.engine.record import record_purchase
from loyalty.engine.requests import SOMEBODY
from loyalty.engine.standing import needs_tiers, standing_of_head
from loyalty.errors import (
    HoldEnded,
    InsufficientPoints,
    LoyaltyError,
    RedemptionNotAllowed,
    UnknownClaim,
    UnknownRedemption,
)
from loyalty.ledger.state import Journal, UsedLot
from loyalty.ledger.store import RequestKey
from loyalty.rewards.model import Offer, RewardTerms
from loyalty.rules.redeem import max_points
from loyalty.tiers.assess import given, rows_from
from loyalty.tiers.model import Qualifying
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    OpeningTier,
    Purchase,
    PurchaseRedemption,
    Redemption,
    Release,
    Request,
    Return,
    Reversal,
    UnlinkedReturn,
)

DUE = frozenset(("expiry", "timeout", "verdict"))
_FEW = 12
"""Rows that are not worth sorting out."""


class Sink(Protocol):
    """Is told what a replay does."""

    def begin(self, book: ReplayBook, at: datetime) -> None:
        """A posting is about to be made again."""

    def took(self, book: ReplayBook, journal: Journal, request: Request | None) -> None:
        """It was made, or what was due was posted; the journal holds what moved, and is emptied afterwards."""

    def capped(self, kind: str, wanted: int, made: int) -> None:
        """A redemption, or points taken by hand, could not be made whole."""

    def refused(self, kind: str, code: str) -> None:
        """Something recorded would not have been accepted. `code` is that of the problem."""


class Replay:
    """One family under the programs of one side.

    Call `play` for each event in order, then `end`, and `close` when nobody looks at the books any more. whole: rows of
    lots are made too.
    """

    def __init__(self, side: Side, family: Family, sink: Sink, *, whole: bool = False) -> None:
        self.side = side
        self._whole = whole
        self.sink = sink
        self.family = family
        self.context = context = ReplayContext(side.beginning, side.programs)
        self.rows: dict[int, list[Qualifying]] = {}
        if family.birthday is not None:
            context.birthdays.update(dict.fromkeys(family.stands, family.birthday))
        for account in family.stands:
            self._open(account)

    def _open(self, account: int) -> None:
        context = self.context
        book = ReplayBook(account, self._idle_deadline, context.journal, whole=self._whole)
        context.books[account] = book
        context.history[account] = []
        self.rows[account] = []

    def _idle_deadline(self, active_at: datetime) -> datetime:
        return self.context.programs.idle_deadline(active_at)

    def play(self, event: Event | Merging, purchase: Bought | None) -> None:
        """Makes one recorded posting again. `purchase`: its facts, read once for both sides."""
        context = self.context
        if isinstance(event, Merging):
            self._merge(event)
            return
        book: ReplayBook = context.books[event.account]  # type: ignore[assignment]  # `_open` puts no others there
        book.at(event.recorded_at)
        context.now = event.recorded_at
        if not self.side.same_for_all:
            context.programs = self.side.programs_for(event)
        kind = event.kind
        if book.due is not None:
            # Posted by whatever came first; the next may have come much later.
            self._due(book, event.occurred_at if kind in DUE else book.recorded_at)
        if kind in DUE:
            return
        if kind == "purchase":
            assert purchase is not None
            self._purchase(book, event, purchase)
        elif kind == "erasure":
            self.sink.begin(book, event.occurred_at)
            self._with_rows(book)
            give_up(context, book)
            book.head.status = "erased"
            self._took(book, None)
        else:
            claims = kind in ("claim", "cancellation")
            request = self._claim(event, book) if claims else self._request(event, book)
            if request is not None:
                self._decide(book, event, request)

    def end(self, at: datetime) -> None:
        """Posts what falls due up to `at`."""
        for book in self.context.books.values():
            assert isinstance(book, ReplayBook)
            book.at(at)
            self._due(book, at)

    def close(self) -> None:
        """Parts the books from what they ask, so that they go at once and not when garbage is collected."""
        self.context.books.clear()

    # -- decisions -------------------------------------------------------------------------------------------------

    def _purchase(self, book: ReplayBook, event: Event, recorded: Bought) -> None:
        context, purchase = self.context, recorded.purchase
        subjects = self.family.subjects
        if purchase.redemption is not None:
            context.subjects.setdefault((book.account, purchase.redemption.redemption_id), [])
        if subjects and event.id in subjects:
            context.keep = True
            context.subjects.setdefault((book.account, event.id), [])
        self.side.before_judging(context, event, recorded.judged.birthday, recorded.judged.used)
        programs, at = context.programs, purchase.occurred_at
        if not programs.one_window() or needs_tiers(programs.at(at), book.head, at, recorded.total_amount, 1):
            context.rows[book.account] = self._rows_for(book, at)
        self.sink.begin(book, at)
        try:
            record_purchase(context, book, purchase, b"")
        except LoyaltyError as error:
            self._made(book, self._less(book, purchase, error, None))
        else:
            self._made(book, purchase)

    def _request(self, event: Event, book: ReplayBook) -> Request | None:
        """The request that made a posting; None where another posting's request made it too."""
        text, kind, id = event.facts or "{}", event.kind, event.id or ""
        match kind:
            case "return":
                if event.subject is None:
                    return asked_unlinked(text).request
                self.context.keep = True
                return asked(text).request
            case "redemption":
                if event.subject is not None:
                    return None  # inside a purchase
                self.context.subjects.setdefault((book.account, id), [])
                facts = redemption_facts(text)
                if facts.until is None:
                    return Redemption(id, SOMEBODY, points=facts.points)
                seconds = round((facts.until - event.recorded_at).total_seconds())
                return Redemption(id, SOMEBODY, points=facts.points, hold=True, hold_seconds=seconds)
            case "capture":
                ended = end_facts(text)
                if ended.purchase_id is not None:
                    return None
                return Capture(event.subject or "", points=ended.points)
            case "release":
                return Release(event.subject or "")
            case "reversal":
                if event.id is None:
                    return Reversal(event.subject or "")
                return Reversal(event.subject or "", reversal_facts(text).points, event.id)
            case "adjustment":
                adjusted = adjustment_facts(text)
                return Adjustment(id, SOMEBODY, adjusted.points, adjusted.reason, adjusted.expires_at)
            case "event":
                recorded = engaged(text)
                self.side.before_judging(self.context, event, recorded.judged.birthday, recorded.judged.used)
                return recorded.event
            case "opening":
                return self._opening(event)
        return None

    def _claim(self, event: Event, book: ReplayBook) -> Claim | Cancellation:
        """A reward at the price of then: its dates, tiers and stock had been looked at."""
        if event.kind == "cancellation":
            return Cancellation(event.subject or "")
        id, facts = event.id or "", claim_facts(event.facts or "")
        self.context.subjects.setdefault((book.account, id), [])
        terms = RewardTerms(facts.reward_id, "gift", facts.points, unlimited=True)
        self.context.offers[facts.reward_id] = Offer(facts.reward_id, facts.version, terms, 0)
        return Claim(id, facts.reward_id, SOMEBODY)

    def _opening(self, event: Event) -> OpeningTier:
        """The tier brought along. An end that the program of then gave is left to the candidate."""
        brought = self.family.brought(event.account, event.number)
        version = self.side.recorded.numbered(event.program_version)
        counted = given(version.program, version.calendar, brought.tier, event.occurred_at).valid_until
        until = None if counted == brought.valid_until else brought.valid_until
        return OpeningTier(SOMEBODY, brought.tier, event.occurred_at, until)

    def _decide(self, book: ReplayBook, event: Event, request: Request) -> None:
        """Posts a request, or what can be made of it."""
        if isinstance(request, Return | UnlinkedReturn | OpeningTier):
            self._with_rows(book)
        self.sink.begin(book, event.occurred_at)
        key = ("opening", event.id or "") if event.kind == "opening" else None
        try:
            decide(self.context, book, request, b"", key)
        except LoyaltyError as error:
            self._made(book, self._less(book, request, error, key))
        else:
            self._made(book, request)

    def _made(self, book: ReplayBook, request: Request | None) -> None:
        """After a request was posted as it stands here; None: it was not."""
        context = self.context
        if request is None:
            context.rows.pop(book.account, None)
            context.keep = False
            return
        verdict_at = book.head.tier_verdict_at
        if verdict_at is not None and verdict_at <= book.recorded_at:
            # A late promotion may have run out already.
            context.post_due(book, book.recorded_at)
        self._took(book, request)

    def _less(
        self, book: ReplayBook, request: Request, error: LoyaltyError, key: RequestKey | None
    ) -> Request | None:
        """Posts what can be made of a request that is refused, and returns it; None where nothing can, which is
        counted."""
        less = self._cut(book, request, error)
        if less is None:
            return None
        try:
            decide(self.context, book, less, b"", key)
        except LoyaltyError as again:
            self.sink.refused(_KINDS.get(type(less), ""), again.code)
            return None
        return less

    def _cut(self, book: ReplayBook, request: Request, error: LoyaltyError) -> Request | None:
        """A request cut down to what is possible; None where nothing is, which is counted."""
        match request, error:
            case Purchase(), InsufficientPoints() | RedemptionNotAllowed():
                return self._capped_in_basket(book, request)
            case Redemption(), InsufficientPoints() | RedemptionNotAllowed():
                wanted = request.points or 0
                made = self._possible(book.recorded_at, None, book.available, wanted)
                self.sink.capped("redemption", wanted, made)
                return msgspec.structs.replace(request, points=made) if made else None
            case Capture(), InsufficientPoints():
                return Capture(request.redemption_id)  # the hold was capped, and counted then
            case Reversal(), InsufficientPoints():
                left = error.facts["available"]
                return msgspec.structs.replace(request, points=left) if left else None
            case Adjustment(), InsufficientPoints():
                left = max(error.facts["available"], 0)
                self.sink.capped("adjustment", -request.points, left)
                return msgspec.structs.replace(request, points=-left) if left else None
            case Claim(), InsufficientPoints():
                price = self.context.offers[request.reward_id].terms.points
                self.sink.capped("claim", price, 0)
                return None
            case Cancellation(), UnknownClaim():
                return None  # its claim could not be made, and was counted then
            case ((Capture() | Release() | Reversal()), (UnknownRedemption() | HoldEnded())):
                return None  # its redemption was capped to nothing, and counted then
        self.sink.refused(_KINDS.get(type(request), ""), error.code)
        return None

    def _capped_in_basket(self, book: ReplayBook, purchase: Purchase) -> Purchase:
        """The purchase with as many points on it as it can be paid with now."""
        wanted = purchase.redemption
        assert wanted is not None
        hold = book.holds.get(wanted.redemption_id)
        total = sum(line.amount for line in purchase.lines)
        policy = self.context.programs.at(purchase.occurred_at).program.redemption
        if wanted.points is not None:
            asked = wanted.points
        else:
            asked = (wanted.amount or 0) * policy.points // policy.amount if policy else 0
        available = book.available if hold is None else hold.points
        made = self._possible(purchase.occurred_at, total, available, asked)
        if hold is None or made < hold.points:  # else the hold was capped, and counted then
            self.sink.capped("purchase", asked, made)
        paid = PurchaseRedemption(wanted.redemption_id, points=made) if made else None
        return msgspec.structs.replace(purchase, redemption=paid)

    def _possible(self, at: datetime, basket: int | None, available: int, wanted: int) -> int:
        """The most of `wanted` points that may be redeemed, in whole steps; 0 where that is below the minimum."""
        policy = self.context.programs.at(at).program.redemption
        return max_points(policy, min(available, wanted), basket)

    # -- what is due, and merges -----------------------------------------------------------------------------------

    def _due(self, book: ReplayBook, through: datetime) -> None:
        if book.due is not None and book.due <= through:
            self.sink.begin(book, through)
            self._with_rows(book)
            self.context.post_due(book, through)
            self._took(book, None)

    def _rows_for(self, book: ReplayBook, at: datetime) -> list[Qualifying]:
        """What the windows of a purchase can hold of what counts for the tier, since many have long histories."""
        rows = self.rows[book.account]
        if len(rows) < _FEW:
            return rows
        version = self.context.programs.at(at)
        start = rows_from(version.program, version.calendar, standing_of_head(version, book.head), at)
        return [row for row in rows if row.at >= start]

    def _with_rows(self, book: ReplayBook) -> None:
        self.context.rows[book.account] = self.rows[book.account]

    def _took(self, book: ReplayBook, request: Request | None) -> None:
        context = self.context
        journal, account = context.journal, book.account
        if context.rows.pop(account, None) is not self.rows[account]:
            for row in journal.postings:
                if row.qualifying_amount and row.qualifying_at is not None:
                    self.rows[account].append(Qualifying(row.qualifying_at, row.qualifying_amount))
        self.sink.took(book, journal, request)
        journal.clear()
        context.keep = False

    def _merge(self, merging: Merging) -> None:
        context, at = self.context, merging.recorded_at
        context.now = at
        context.programs = self.side.programs_at(at)
        old, new = context.books[merging.account], context.books[merging.into]
        assert isinstance(old, ReplayBook)
        assert isinstance(new, ReplayBook)
        for book in (old, new):
            book.at(at)
            self._due(book, at)
        self.sink.begin(new, at)
        self._with_rows(old)
        self._with_rows(new)
        move_estate(old, context, new, at)
        old.head.status = "merged"
        old.due = None
        context.rows.clear()
        self.rows[new.account] += self.rows.pop(old.account)
        self.rows[old.account] = []
        self._hand_over(old.account, new.account)
        context.rows[new.account] = self.rows[new.account]
        self._took(new, None)

    def _hand_over(self, old: int, new: int) -> None:
        """Postings about things of the old account come to the new one."""
        context = self.context
        for account, id in [key for key in context.subjects if key[0] == old]:
            context.subjects.setdefault((new, id), []).extend(context.subjects.pop((account, id)))
        for key in [key for key in context.uses if key[0] == old]:
            # Lots of another account: given back, they begin an origin here.
            context.uses[key] = [_without_origin(use) for use in context.uses[key]]
        for account, rule, day in [key for key in context.counted if key[0] == old]:
            times, points = context.counted[account, rule, day]
            had = context.counted.get((new, rule, day), (0, 0))
            context.counted[new, rule, day] = (had[0] + times, had[1] + points)


def _without_origin(use: UsedLot) -> UsedLot:
    return msgspec.structs.replace(use, origin=0)


_KINDS: dict[type, str] = {
    RecordedPurchase: "purchase", Return: "return", UnlinkedReturn: "return without a purchase",
    Redemption: "redemption", Capture: "capture", Release: "release", Reversal: "reversal",
    Adjustment: "adjustment", Engagement: "event", OpeningTier: "opening", Claim: "claim", Cancellation: "cancellation",
}  # fmt: skip
