"""What seldom comes together by chance, as a few steps in a row: each is drawn when the one before has happened."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from loyalty.types import Adjustment, Capture, Purchase, PurchaseLine, Release, Return, ReturnLine, Reversal

from .draw_requests import RECENT, Requests
from .programs import SKUS
from .steps import Erase, Look, Merge, Past, Step, Submit

Story = Callable[[Requests], Iterator[Step]]


def debt_meets_points(world: Requests) -> Iterator[Step]:
    """Somebody holds some, spends the rest and brings goods back; then the hold is released, or somebody who has points
    is merged in."""
    model, rng = world.model, world.rng
    if model is None:
        return
    owing = [n for n, (_, version) in enumerate(model.programs, 1) if version.points.shortfall == "debt"]
    bought = [
        one for one in model.bought.values() if one.kept and one.version in owing and not one.account.erased
    ]
    if not bought:
        return
    one = rng.choice(bought[-RECENT:])
    debtor, name = one.account, one.account.member_id
    hold = replace(world.redemption(name, hold=True), member=name, basket_amount=None)
    if rng.random() < 0.25:
        yield Submit(world.now, (hold,), False)
    if available := debtor.available(world.now):
        yield Submit(world.now, (Adjustment(world.id("a"), name, -available, "spent elsewhere"),), False)
    yield Submit(world.now, (Return(world.id("t"), one.request.purchase_id, world.now),), False)
    if any(held.redemption_id == hold.redemption_id for held in debtor.holds):
        yield Submit(world.now, (Release(hold.redemption_id),), False)
    rich = [other for other in world.living() if other != name and model.members[other].available(world.now)]
    if debtor.debt and rich and len(world.living()) > world.planned_members // 4:
        pair = (rng.choice(rich), name)
        yield Merge(world.now, *(pair if rng.random() < 0.7 else pair[::-1]))


def a_newcomer_takes_over(world: Requests) -> Iterator[Step]:
    """Somebody who never bought anything gets the account of somebody who did, and buys."""
    model, rng = world.model, world.rng
    living = world.living() if model else []
    new = [one for one in living if model and not model.members[one].purchases]
    old = [one for one in living if one not in new]
    if not new or not old or len(living) <= world.planned_members // 4:
        return
    member = rng.choice(new)
    yield Merge(world.now, rng.choice(old), member)
    yield Submit(world.now, (world.purchase(member), world.purchase(member)), rng.random() < 0.5)


def nobody_gets_it_back(world: Requests) -> Iterator[Step]:
    """Somebody with a hold is erased; what was redeemed is reversed, the hold captured, the goods returned."""
    model, rng = world.model, world.rng
    rich = [one for one in world.living() if model and model.members[one].available(world.now)]
    if model is None or len(rich) <= world.planned_members // 4:
        return
    member = rng.choice(rich)
    hold, redemption = world.redemption(member, hold=True), world.redemption(member, hold=False)
    hold = replace(hold, member=member, points=max(1, (hold.points or 2) // 2), amount=None)
    paid = world.purchase(member)
    yield Submit(world.now, (hold, replace(redemption, member=member, basket_amount=None), paid), False)
    yield Erase(world.now, member)
    ids = (redemption.redemption_id, hold.redemption_id, paid.purchase_id)
    known = model.redemptions.get(ids[0])
    part = rng.randrange(1, known.points + 1) if known and rng.random() < 0.5 else None
    back = (Reversal(ids[0], part, world.id("v")), Capture(ids[1]), Return(world.id("t"), ids[2], world.now))
    yield Submit(world.now, back, False)


def a_hold_lapses(world: Requests) -> Iterator[Step]:
    """A part is held and the time runs out; before anybody writes, the past is asked for. Mostly of one whose first
    points are still there."""
    model, rng = world.model, world.rng
    rich = [one for one in world.living() if model and model.members[one].available(world.now) > 1]
    if model is None or not rich:
        return
    first = [one for one in rich if model.members[one].lots[0].left]
    member = rng.choice(first or rich)
    hold = world.redemption(member, hold=True)
    half = replace(hold, member=member, points=max(1, (hold.points or 2) // 2), amount=None)
    yield Submit(world.now, (replace(half, hold_seconds=60, basket_amount=None),), False)
    taken_at = world.now
    world.now += timedelta(minutes=rng.randrange(2, 300))
    between = taken_at + (world.now - taken_at) * rng.random()
    yield Past(world.now, member, *rng.choice(((between, None), (None, between), (None, None))))
    yield Look(world.now, member)


def a_bonus_is_lost(world: Requests) -> Iterator[Step]:
    """A basket just above a threshold, of which a little comes back, by amount and then by line."""
    rng = world.rng
    bought = world.purchase(rng.choice(world.living()))
    most = PurchaseLine(sku=rng.choice(SKUS), amount=rng.randrange(3_500, 5_000))
    rest = PurchaseLine(sku=rng.choice(SKUS), amount=rng.randrange(1_500, 4_000))
    bought = replace(bought, lines=(most, rest), redemption=None)
    world.purchases[-1] = bought
    yield Submit(world.now, (bought,), False)
    for line in (ReturnLine(2, None, rest.amount // 2), ReturnLine(2), ReturnLine(1, None, 1)):
        back = Return(world.id("t"), bought.purchase_id, max(bought.occurred_at, world.now), (line,))
        yield Submit(world.now, (back,), False)


def a_basket_comes_too_late(world: Requests) -> Iterator[Step]:
    """Somebody's basket arrives when its points have expired; the past is asked for from when they lived."""
    model, rng = world.model, world.rng
    if model is None or not (living := world.living()):
        return
    member = rng.choice(living)
    late = world.now - timedelta(days=rng.randrange(40, 700), seconds=rng.randrange(86_400))
    bought = replace(world.purchase(member), occurred_at=late, redemption=None)
    world.purchases[-1] = bought
    yield Submit(world.now, (bought,), False)
    account = model.members[member]
    if account.lots and account.lots[-1].purchase_id == bought.purchase_id:
        lived = min(account.end(account.lots[-1]), world.now) - late
        yield Past(world.now, member, late + lived * rng.random(), None)


def a_till_is_ahead(world: Requests) -> Iterator[Step]:
    """A purchase a few minutes ahead of the clock; by its time a new version of the program is in force, under which
    idle points die sooner. They are asked for at the instant of their end."""
    model, rng = world.model, world.rng
    if model is None or not (living := world.living()):
        return
    member = rng.choice(living)
    yield world.put(idle(world.family.source(), "months = 2"))
    ahead = world.now + timedelta(minutes=4)
    bought = replace(world.purchase(member), occurred_at=ahead, redemption=None)
    world.purchases[-1] = bought
    yield Submit(world.now, (bought,), False)
    world.now += timedelta(minutes=1)
    yield world.put(idle(world.family.source(), "days = 20"))
    account = model.members[member]
    if (end := min((account.end(lot) for lot in account.open_lots()), default=ahead)) > ahead:
        world.now = min(end, world.now + timedelta(days=30))
        yield Submit(world.now, (Adjustment(world.id("a"), member, -1, "still there"),), False)


def a_late_basket_ends_idle_points(world: Requests) -> Iterator[Step]:
    """A basket of a while ago arrives, under a shorter idle period than the points there have: they are over with it,
    for what comes in the same batch too."""
    rng = world.rng
    if world.model is None or not (living := world.living()):
        return
    member = rng.choice(living)

    def bought(at: datetime) -> Purchase:
        world.purchases.append(replace(world.purchase(member), occurred_at=at, redemption=None))
        return world.purchases[-1]

    yield world.put(idle(world.family.source(), "months = 2"))
    yield Submit(world.now, (bought(world.now),), False)
    world.now += timedelta(minutes=1)
    yield world.put(idle(world.family.source(), "days = 20"))
    late = bought(world.now + timedelta(minutes=rng.randrange(9)))
    world.now += timedelta(days=25)
    taken = Adjustment(world.id("a"), member, -1, "still there")
    yield Submit(world.now, (late, rng.choice((taken, bought(world.now)))), True)


def idle(source: str, period: str) -> str:
    """A program under which points die with inactivity."""
    return re.sub("(?m)^expiry = .*", f'expiry = {{ kind = "inactivity", {period} }}', source)


STORIES: tuple[Story, ...] = (
    debt_meets_points,
    a_newcomer_takes_over,
    nobody_gets_it_back,
    a_hold_lapses,
    a_bonus_is_lost,
    a_basket_comes_too_late,
    a_till_is_ahead,
    a_late_basket_ends_idle_points,
)
