"""What the engine must answer, written from DESIGN.md alone: the requests, one after another, on plain lists.

Where the design leaves a choice, docs/decisions/tiers-and-time.md has it. Naive on purpose; shares no code with
`loyalty.engine`, `ledger`, `rules` and `tiers`, only the values of requests and programs and the local calendar.
"""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

from msgspec.structs import replace

from loyalty.calendar import calendar_of
from loyalty.program.model import Program
from loyalty.types import (
    Adjustment,
    Capture,
    Enrolment,
    Purchase,
    PurchaseLine,
    Redemption,
    Release,
    Request,
    Return,
    ReturnLine,
    Reversal,
    UnlinkedReturn,
)

from . import model_tiers as tiers
from .model_account import Account, Lot, Redeemed, life
from .model_rules import Award, Facts, Goods, Used, birthday_matches, exact_text, is_counted, judge, judge_unlinked

START_OF_TIME = datetime(1, 1, 1, tzinfo=UTC)
AHEAD = timedelta(minutes=5)
ANY = object()
"""Stands in an expected answer for what the design leaves open."""


class Refused(Exception):
    """A refusal: its code (one of two where two reasons hold) and the facts that it must carry."""

    def __init__(self, code: str, *, or_code: str | None = None, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.or_code, self.facts = code, or_code, facts


class Bought:
    """A purchase as it was judged, and what is left of it."""

    def __init__(self, account: Account, request: Purchase, version: int, facts: Facts, award: Award) -> None:
        self.account, self.request, self.version, self.facts = account, request, version, facts
        self.lines = {line.line: line for line in numbered(request.lines)}
        self.amount_back = dict.fromkeys(self.lines, 0)
        self.quantity_back = dict.fromkeys(self.lines, Fraction(0))
        self.kept, self.base, self.charges = award.points, floor(award.base), award.charges
        self.total = sum(line.amount for line in request.lines)
        self.redeemed: Redeemed | None = None
        self.restored = self.refunded = 0
        self.gone = False
        self.earned = award.points


def numbered(lines: tuple[PurchaseLine, ...]) -> list[PurchaseLine]:
    """Lines are numbered from 1 where they carry no number, by their place."""
    return [replace(line, line=at if line.line is None else line.line) for at, line in enumerate(lines, 1)]


def goods(lines: list[PurchaseLine]) -> list[Goods]:
    return [
        Goods(line.line or 0, line.sku, line.amount, Fraction(line.quantity), line.category, line.tags) for line in lines
    ]


class Model:
    def __init__(self, program: Program) -> None:
        self.now = START_OF_TIME
        self.programs: list[tuple[datetime, Program]] = [(START_OF_TIME, program)]
        self.members: dict[str, Account] = {}
        self.names: dict[str, str] = {}
        self.answers: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {}
        self.bought: dict[str, Bought] = {}
        self.redemptions: dict[str, Redeemed] = {}
        self.budgets: dict[str, int] = {}

    # -- the program -----------------------------------------------------------------------------------------------

    def version_at(self, at: datetime) -> tuple[int, Program]:
        """Of those in force by then, the one that became effective last; of two at once, the later put."""
        found = [(since, n) for n, (since, _) in enumerate(self.programs, 1) if since <= at]
        n = max(found)[1]
        return n, self.programs[n - 1][1]

    def put_program(self, program: Program, effective_from: datetime) -> None:
        self.programs.append((effective_from, program))

    # -- members ---------------------------------------------------------------------------------------------------

    def enrol(self, enrolment: Enrolment) -> None:
        member_id = enrolment.member_id or ""
        enrolled_at = enrolment.enrolled_at or self.now
        account = Account(member_id, enrolled_at, enrolment.birthday, self.version_at, self.programs)
        self.members[member_id] = account
        self.names[member_id] = member_id
        for scheme in ("phone", "card", "email", "ext"):
            if (value := getattr(enrolment, scheme)) is not None:
                self.names[f"{scheme}:{value}"] = member_id

    def member(self, name: str) -> Account:
        if name not in self.names:
            raise Refused("unknown-member")
        return self.members[self.names[name]]

    # -- requests --------------------------------------------------------------------------------------------------

    def submit(self, request: Request) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before. Raises Refused."""
        key = self.key(request)
        if key is not None and key in self.answers:
            then, answer = self.answers[key]
            if self.same(then, request):
                return answer, True
            raise Refused("id-conflict")
        if isinstance(request, Purchase):
            answer = self.purchase(request)
        elif isinstance(request, Return):
            answer = self.take_return(request)
        elif isinstance(request, UnlinkedReturn):
            answer = self.unlinked(request)
        elif isinstance(request, Redemption):
            answer = self.redeem(request)
        elif isinstance(request, Capture | Release):
            return self.end_hold(request)
        elif isinstance(request, Reversal):
            if request.reversal_id is None:
                return self.reverse_rest(request)
            answer = self.reverse(request)
        elif isinstance(request, Adjustment):
            answer = self.adjust(request)
        else:
            raise TypeError(request)
        if key is not None:
            self.answers[key] = (request, answer)
        return answer, False

    @staticmethod
    def key(request: Request) -> tuple[str, str] | None:
        """Ids are unique within their kind."""
        if isinstance(request, Purchase):
            return "purchase", request.purchase_id
        if isinstance(request, Return | UnlinkedReturn):
            return "return", request.return_id
        if isinstance(request, Redemption):
            return "redemption", request.redemption_id
        if isinstance(request, Adjustment):
            return "adjustment", request.adjustment_id
        if isinstance(request, Reversal) and request.reversal_id is not None:
            return "reversal", request.reversal_id
        return None

    def same(self, one: Request, other: Request) -> bool:
        """Equal with their defaults, the member as the account that it means, unknown names not compared."""
        if type(one) is not type(other):
            return False
        if isinstance(one, Purchase | UnlinkedReturn) and isinstance(other, Purchase | UnlinkedReturn):
            if [*numbered(one.lines)] != [*numbered(other.lines)]:
                return False
            one, other = replace(one, lines=()), replace(other, lines=())
        if hasattr(one, "member"):
            if other.member in self.names and self.names[one.member] != self.names[other.member]:
                return False
            other = replace(other, member=one.member)
        return one == other

    def check_time(self, at: datetime) -> None:
        if at > self.now + AHEAD:
            raise Refused("future-time")

    # -- purchases -------------------------------------------------------------------------------------------------

    def facts(self, account: Account, request: Purchase, program: Program, paid: Fraction) -> Facts:
        day = calendar_of(program.time_zone).day(request.occurred_at)
        used = {}
        for rule in program.rules:
            if is_counted(rule):
                times, points = account.used.get((rule.id, None), [0, 0])
                times_day = account.used.get((rule.id, day), [0, 0])[0]
                used[rule.id] = Used(times, times_day, points, self.budgets.get(rule.id, 0))
        return Facts(
            occurred_at=request.occurred_at,
            channel=request.channel,
            store=request.store,
            tier=tiers.tier_at(program, account.changes, request.occurred_at),
            first_purchase=account.purchases == 0,
            birthday=birthday_matches(account.birthday, day),
            paid=paid,
            used=used,
        )

    def charge(self, account: Account, program: Program, facts: Facts, old: dict[str, int], new: dict[str, int]) -> None:
        """What is used of limits and budgets changes from `old` to `new`."""
        day = calendar_of(program.time_zone).day(facts.occurred_at)
        for name in old.keys() | new.keys():
            points = new.get(name, 0) - old.get(name, 0)
            times = (name in new) - (name in old)
            for key in ((name, None), (name, day)):
                used = account.used.setdefault(key, [0, 0])
                used[0] += times
                used[1] += points
            self.budgets[name] = self.budgets.get(name, 0) + points

    def purchase(self, request: Purchase) -> dict[str, Any]:
        account = self.member(request.member)
        self.check_time(request.occurred_at)
        account.post_due(self.now)
        version, program = self.version_at(request.occurred_at)
        calendar = calendar_of(program.time_zone)
        lines = numbered(request.lines)
        total = sum(line.amount for line in lines)
        redeemed, paid = None, Fraction(1)
        before = account.current(program).tier
        if request.redemption is not None:
            redeemed = self.redeem_in_basket(account, request, program, total)
            paid = Fraction(total - redeemed.captured_amount, total) if total else Fraction(1)
        facts = self.facts(account, request, program, paid)
        award = judge(program, goods(lines), facts)
        bought = Bought(account, request, version, facts, award)
        bought.redeemed = redeemed
        self.bought[request.purchase_id] = bought
        if redeemed is not None:
            redeemed.purchase_id = request.purchase_id
        account.begin(request.occurred_at, self.now, purchase_id=request.purchase_id)
        repaid, pending, lots = self.earn(account, request, program, award.points)
        self.charge(account, program, facts, {}, award.charges)
        account.purchases += 1
        account.count(program, request.occurred_at, floor(award.base), self.now)
        after = account.current(program).tier
        explain = [
            (rule, line, exact_text(part)) for rule, parts in award.shares.items() for line, part in parts.items()
        ]
        del calendar
        return {
            "purchase_id": request.purchase_id,
            "member_id": account.member_id,
            "points_earned": award.points,
            "points_pending": pending,
            "points_redeemed": redeemed.captured if redeemed else 0,
            "debt_repaid": repaid + (redeemed.repaid_in_basket if redeemed else 0),
            "lots": lots,
            "explain": explain,
            "rounding": exact_text(award.total - award.points),
            "balance": account.balance(self.now),
            "tier": {"tier": after} | ({"previous": before} if after != before else {}),
            "program_version": version,
            "recorded_at": self.now,
        }

    def earn(
        self, account: Account, request: Purchase, program: Program, points: int
    ) -> tuple[int, int, list[tuple[int, datetime, datetime | None]]]:
        if not points:
            return 0, 0, []
        calendar = calendar_of(program.time_zone)
        account.activity(request.occurred_at)
        spendable_from = calendar.add_days(request.occurred_at, program.points.pending_days)
        lot = self.new_lot(account, program, points, request.occurred_at, spendable_from)
        lot.purchase_id = request.purchase_id
        account.enter("earn", points)
        repaid = account.grant(lot, self.now)
        pending = lot.left if spendable_from > self.now else 0
        end = account.end(lot)
        return repaid, pending, [(points, spendable_from, None if end.year == 9999 else end)]

    def new_lot(
        self, account: Account, program: Program, points: int, earned_at: datetime, spendable_from: datetime
    ) -> Lot:
        """A lot with the program's life; one dead on arrival gets the grace for late arrivals, if there is one."""
        expires_at, idle = life(program, spendable_from)
        lot = Lot(len(account.lots) + 1, points, earned_at, spendable_from, expires_at, idle, None)
        if account.end(lot) <= self.now and program.points.late_grace_days:
            calendar = calendar_of(program.time_zone)
            lot.idle, lot.expires_at = False, calendar.add_days(self.now, program.points.late_grace_days)
        return lot

    # -- redeeming -------------------------------------------------------------------------------------------------

    def allowed(
        self,
        account: Account,
        program: Program,
        points: int | None,
        amount: int | None,
        basket: int | None,
        spendable: int,
    ) -> tuple[int, int]:
        """The points of a redemption and what they are worth; refused if the program or the account says no."""
        policy = program.redemption
        if policy is None:
            raise Refused("redemption-not-allowed", max_points=0)
        most = spendable
        if basket is not None:
            share = floor(basket * policy.max_basket_share)
            most = min(most, share * policy.points // policy.amount)
        most = max(0, most // policy.step_points * policy.step_points)
        if most < policy.min_points or most * policy.amount < policy.points:
            most = 0
        if points is None:
            assert amount is not None
            exact = Fraction(amount * policy.points, policy.amount)
            if exact.denominator != 1 or exact.numerator % policy.step_points:
                raise Refused("redemption-not-allowed", rule="step_points", max_points=most)
            points = exact.numerator
        worth = points * policy.amount // policy.points
        share_broken = (
            basket is not None
            and Fraction(points * policy.amount, policy.points) > floor(basket * policy.max_basket_share)
        )
        if points % policy.step_points or points < policy.min_points or share_broken or worth < 1:
            raise Refused("redemption-not-allowed", max_points=most)
        if points > spendable:
            raise Refused("insufficient-points", available=spendable, missing=points - spendable)
        return points, worth

    def redeem(self, request: Redemption) -> dict[str, Any]:
        account = self.member(request.member)
        account.post_due(self.now)
        if account.blocked:
            raise Refused("member-blocked")
        if (request.points is None) == (request.amount is None):
            raise Refused("invalid-request")
        if request.redemption_id in self.redemptions:
            raise Refused("id-conflict")
        program = self.version_at(self.now)[1]
        points, worth = self.allowed(
            account, program, request.points, request.amount, request.basket_amount, account.available(self.now)
        )
        redeemed = self.spend(account, program, request.redemption_id, points, worth, self.now)
        answer: dict[str, Any] = {
            "redemption_id": request.redemption_id,
            "member_id": account.member_id,
            "status": "captured",
            "points": points,
            "amount": worth,
        }
        if request.hold:
            redeemed.is_hold = True
            redeemed.until = self.now + timedelta(seconds=request.hold_seconds)
            account.holds.append(redeemed)
            answer |= {"status": "held", "until": redeemed.until}
        else:
            account.enter("redeem", -points)
        return {**answer, "balance": account.balance(self.now)}

    def spend(
        self, account: Account, program: Program, redemption_id: str, points: int, worth: int, at: datetime
    ) -> Redeemed:
        account.begin(at, self.now, redemption_id=redemption_id)
        redeemed = Redeemed(redemption_id, account, points, worth, account.take(points, self.now))
        redeemed.program = program
        account.activity(at)
        self.redemptions[redemption_id] = redeemed
        return redeemed

    def redeem_in_basket(self, account: Account, request: Purchase, program: Program, total: int) -> Redeemed:
        wanted = request.redemption
        assert wanted is not None
        if account.blocked:
            raise Refused("member-blocked")
        if (wanted.points is None) == (wanted.amount is None):
            raise Refused("invalid-request")
        known = self.redemptions.get(wanted.redemption_id)
        if known is None:
            points, worth = self.allowed(
                account, program, wanted.points, wanted.amount, total, account.available(self.now)
            )
            redeemed = self.spend(account, program, wanted.redemption_id, points, worth, request.occurred_at)
            account.enter("redeem", -points)
            redeemed.repaid_in_basket = 0
        else:
            if known.account is not account or not known.is_hold:
                raise Refused("id-conflict")
            if known.ending is not None:
                raise Refused("hold-ended")
            points, worth = self.allowed(
                account, program, wanted.points, wanted.amount, total, account.available(self.now) + known.points
            )
            if points > known.points:
                raise Refused("insufficient-points", available=known.points, missing=points - known.points)
            redeemed = known
            account.begin(self.now, self.now, redemption_id=known.redemption_id)
            account.activity(self.now)
            redeemed.repaid_in_basket = self.capture_hold(known, points, worth)
            redeemed.ending = ("captured", points)
            redeemed.ended_answer = self.ended(known, "captured", points, worth)
        redeemed.captured_amount = worth
        return redeemed

    def capture_hold(self, hold: Redeemed, points: int, worth: int) -> int:
        """Spends part of a hold and gives the rest back, last used first. Returns the debt repaid."""
        account = hold.account
        account.holds.remove(hold)
        account.enter("redeem", -points)
        rest = hold.points - points
        hold.captured, hold.captured_amount, hold.skip = points, worth, rest
        return account.give_back(hold.uses, 0, rest, self.now)

    def end_hold(self, request: Capture | Release) -> tuple[dict[str, Any], bool]:
        hold = self.redemptions.get(request.redemption_id)
        if hold is None:
            raise Refused("unknown-redemption")
        account = hold.account
        account.post_due(self.now)
        ending = ("released", None) if isinstance(request, Release) else ("captured", request.points)
        if not hold.is_hold:
            raise Refused("hold-ended")
        if hold.ending is not None:
            if hold.ended_answer is not None and (
                hold.ending == ending or (ending[0] == "captured" and hold.ending[0] == "captured" and
                                          (ending[1] or hold.points) == (hold.ending[1] or hold.points))
            ):
                return hold.ended_answer, True
            raise Refused("hold-ended")
        if isinstance(request, Capture):
            points = hold.points if request.points is None else request.points
            if points > hold.points:
                raise Refused("insufficient-points", available=hold.points, missing=points - hold.points)
            worth = hold.amount * points // hold.points
            account.begin(self.now, self.now, redemption_id=hold.redemption_id)
            account.activity(self.now)
            self.capture_hold(hold, points, worth)
            status = "captured"
        else:
            account.begin(self.now, self.now, redemption_id=hold.redemption_id)
            account.holds.remove(hold)
            account.give_back(hold.uses, 0, hold.points, self.now)
            points, worth, status = hold.points, hold.amount, "released"
        hold.ending = ending
        hold.ended_answer = self.ended(hold, status, points, worth)
        return hold.ended_answer, False

    def ended(self, hold: Redeemed, status: str, points: int, worth: int) -> dict[str, Any]:
        return {
            "redemption_id": hold.redemption_id,
            "member_id": hold.account.member_id,
            "status": status,
            "points": points if status == "captured" else ANY,
            "amount": worth if status == "captured" else ANY,
            "balance": hold.account.balance(self.now),
        }

    def reverse_rest(self, request: Reversal) -> tuple[dict[str, Any], bool]:
        redeemed = self.redemptions.get(request.redemption_id)
        if redeemed is not None and redeemed.reversed_whole is not None and request.points is None:
            return redeemed.reversed_whole, True
        if request.points is not None:
            raise Refused("invalid-request")
        answer = self.reverse(request)
        assert redeemed is not None
        redeemed.reversed_whole = answer
        return answer, False

    def reverse(self, request: Reversal) -> dict[str, Any]:
        redeemed = self.redemptions.get(request.redemption_id)
        if redeemed is None:
            raise Refused("unknown-redemption")
        account = redeemed.account
        account.post_due(self.now)
        if redeemed.is_hold and (redeemed.ending is None or redeemed.ending[0] in ("released", "timed_out")):
            raise Refused("hold-ended")
        left = redeemed.captured - redeemed.given_back
        points = left if request.points is None else request.points
        if points > left or left == 0:
            raise Refused("insufficient-points", available=left, missing=max(0, points - left))
        account.begin(self.now, self.now, redemption_id=redeemed.redemption_id)
        self.restore(account, redeemed, points)
        return {
            "redemption_id": request.redemption_id,
            "member_id": account.member_id,
            "points": points,
            "amount": ANY,
            "balance": account.balance(self.now),
        }

    def restore(self, account: Account, redeemed: Redeemed, points: int) -> int:
        account.enter("restore", points)
        repaid = account.give_back(redeemed.uses, redeemed.skip + redeemed.given_back, points, self.now)
        redeemed.given_back += points
        return repaid

    def adjust(self, request: Adjustment) -> dict[str, Any]:
        account = self.member(request.member)
        account.post_due(self.now)
        if not request.points:
            raise Refused("invalid-request")
        program = self.version_at(self.now)[1]
        if request.points < 0:
            available = account.available(self.now)
            if -request.points > available:
                raise Refused("insufficient-points", available=available, missing=-request.points - available)
            account.begin(self.now, self.now, adjustment_id=request.adjustment_id)
            account.take(-request.points, self.now)
            account.enter("adjust", request.points)
        else:
            expires_at, idle = life(program, self.now)
            if request.expires_at is not None:
                expires_at, idle = request.expires_at, False
            lot = Lot(len(account.lots) + 1, request.points, self.now, self.now, expires_at, idle, None)
            if account.end(lot) <= self.now:
                raise Refused("invalid-request")
            account.begin(self.now, self.now, adjustment_id=request.adjustment_id)
            account.enter("adjust", request.points)
            account.grant(lot, self.now)
        return {
            "adjustment_id": request.adjustment_id,
            "member_id": account.member_id,
            "points": request.points,
            "reason": request.reason,
            "balance": account.balance(self.now),
            "recorded_at": self.now,
        }

    # -- returns ---------------------------------------------------------------------------------------------------

    def take_return(self, request: Return) -> dict[str, Any]:
        bought = self.bought.get(request.purchase_id)
        if bought is None:  # which of two reasons is told is open
            raise Refused("unknown-purchase", or_code="future-time" if request.occurred_at > self.now + AHEAD else None)
        self.check_time(request.occurred_at)
        account = bought.account
        account.post_due(self.now)
        if request.occurred_at < bought.request.occurred_at:
            raise Refused("return-not-allowed")
        amounts, quantities = dict(bought.amount_back), dict(bought.quantity_back)
        asked = request.lines
        if asked is None:
            if all(amounts[n] == one.amount and quantities[n] == one.quantity for n, one in bought.lines.items()):
                raise Refused("return-exceeds-purchase")
            for n, line in bought.lines.items():
                amounts[n], quantities[n] = line.amount, Fraction(line.quantity)
        else:
            for part in asked:
                self.take_line(bought, part, amounts, quantities)
        program = self.programs[bought.version - 1][1]
        kept = [
            Goods(
                n,
                line.sku,
                line.amount - amounts[n],
                Fraction(line.quantity) - quantities[n],
                line.category,
                line.tags,
            )
            for n, line in bought.lines.items()
            if line.amount > amounts[n] or line.quantity > quantities[n] or not (line.amount or line.quantity)
        ]
        whole = all(amounts[n] == one.amount and quantities[n] == one.quantity for n, one in bought.lines.items())
        if whole:
            kept = []
        award = judge(program, kept, bought.facts)
        returned = sum(amounts.values())
        was_kept = bought.kept
        tier_before = account.current(program).tier
        # the points that paid for the goods come back first
        account.begin(request.occurred_at, self.now, return_id=request.return_id, purchase_id=request.purchase_id)
        restored = repaid = 0
        redeemed = bought.redeemed
        paid_amount = redeemed.captured_amount if redeemed else 0
        if redeemed is not None:
            so_far = redeemed.captured if whole else redeemed.captured * returned // (bought.total or 1)
            restored = max(0, min(so_far - bought.restored, redeemed.captured - redeemed.given_back))
            bought.restored = max(so_far, bought.restored)
            repaid = self.restore(account, redeemed, restored)
        so_far = bought.total - paid_amount
        if not whole:
            so_far = so_far * returned // (bought.total or 1)
        refund, bought.refunded = so_far - bought.refunded, so_far
        # then what the goods earned is taken back
        bought.kept = min(was_kept, award.points)
        today = self.version_at(self.now)[1]
        forgive = today.points.shortfall == "forgive"
        clawed, debt = account.claw_back(was_kept - bought.kept, request.purchase_id, forgive, self.now)
        self.charge(account, program, bought.facts, bought.charges, award.charges)
        bought.charges = award.charges
        metric = floor(award.base)
        less, bought.base = metric - bought.base, metric
        if less:
            goods_back = tiers.Row(bought.request.occurred_at, less)
            account.rows.append(goods_back)
            change = tiers.on_return(
                today, account.current(today), account.rows, goods_back, request.occurred_at
            )
            if change is not None:
                account.change(today, change)
                account.judge(self.now)
        if whole and not bought.gone:
            account.purchases -= 1
        bought.gone = whole
        bought.amount_back, bought.quantity_back = amounts, quantities
        tier = account.current(program).tier
        return {
            "return_id": request.return_id,
            "purchase_id": request.purchase_id,
            "member_id": account.member_id,
            "points_clawed_back": clawed,
            "points_restored": restored,
            "debt_added": debt,
            "debt_repaid": repaid,
            "refund_amount": refund,
            "balance": account.balance(self.now),
            "tier": {"tier": tier} | ({"previous": tier_before} if tier != tier_before else {}),
            "recorded_at": self.now,
        }

    @staticmethod
    def take_line(
        bought: Bought, part: ReturnLine, amounts: dict[int, int], quantities: dict[int, Fraction]
    ) -> None:
        n = part.line
        if n not in bought.lines:
            raise Refused("return-exceeds-purchase")
        line = bought.lines[n]
        whole = Fraction(line.quantity)
        left_quantity, left_amount = whole - quantities[n], line.amount - amounts[n]
        if part.quantity is None and part.amount is None:
            quantity, amount = left_quantity, left_amount
            if not quantity and not amount:
                raise Refused("return-exceeds-purchase")
        elif part.amount is None:
            quantity = Fraction(part.quantity or 0)
            if quantity > left_quantity:
                raise Refused("return-exceeds-purchase")
            amount = left_amount
            if quantity < left_quantity:  # floored cumulatively
                amount = max(0, floor(line.amount * (quantities[n] + quantity) / whole) - amounts[n])
                amount = min(amount, left_amount)
        elif part.quantity is None:
            amount = part.amount
            if amount > left_amount:
                raise Refused("return-exceeds-purchase")
            quantity = left_quantity
            if amount < left_amount:
                quantity = min(whole * Fraction(amount, line.amount), left_quantity)
        else:
            quantity, amount = Fraction(part.quantity), part.amount
        if quantity > left_quantity or amount > left_amount:
            raise Refused("return-exceeds-purchase")
        if not quantity and not amount:
            raise Refused("invalid-request")
        amounts[n] += amount
        quantities[n] += quantity

    def unlinked(self, request: UnlinkedReturn) -> dict[str, Any]:
        account = self.member(request.member)
        self.check_time(request.occurred_at)
        account.post_due(self.now)
        version, program = self.version_at(request.occurred_at)
        if program.points.unlinked_returns == "refuse":
            raise Refused("return-not-allowed")
        lines = numbered(request.lines)
        award = judge_unlinked(program, goods(lines), request.occurred_at)
        before = account.current(program).tier
        account.begin(request.occurred_at, self.now, return_id=request.return_id)
        forgive = program.points.shortfall == "forgive"
        clawed, debt = account.claw_back(award.points, None, forgive, self.now)
        metric = floor(award.base)
        if metric:
            row = tiers.Row(request.occurred_at, -metric)
            account.rows.append(row)
            change = tiers.on_return(program, account.current(program), account.rows, row, request.occurred_at)
            if change is not None:
                account.change(program, change)
                account.judge(self.now)
        after = account.current(program).tier
        return {
            "return_id": request.return_id,
            "member_id": account.member_id,
            "points_clawed_back": clawed,
            "points_restored": 0,
            "debt_added": debt,
            "debt_repaid": 0,
            "refund_amount": sum(line.amount for line in lines),
            "balance": account.balance(self.now),
            "tier": {"tier": after} | ({"previous": before} if after != before else {}),
            "program_version": version,
            "recorded_at": self.now,
        }


def birthday_of(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
