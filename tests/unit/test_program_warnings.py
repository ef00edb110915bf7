"""What is legal but surely not meant gets a warning that tells what to do. What is meant: test_program_meant.py."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from loyalty.program.parse import parse, starter_source

HEAD = 'name = "P"\ncurrency = "CNY"\ntime_zone = "Asia/Shanghai"\n'
BASE = '[[rules]]\nid = "base"\nkind = "spend"\npoints = 1\nper_amount = 100\n'
WORTH = "[redemption]\npoints = 100\namount = 100\n"
TIERS = """
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000 }
[[tiers]]
id = "gold"
qualify = { spend_amount = 2000000 }
"""
ROOT = Path(__file__).parents[2]


def rule(id: str, kind: str = "multiplier", **said: str) -> str:
    """A rule; a multiplier doubles and a flat one gives 100 points, if nothing else is said."""
    given = {"multiplier": {"factor": "2"}, "flat": {"points": "100"}}.get(kind, {}) | said
    return f'[[rules]]\nid = "{id}"\nkind = "{kind}"\n' + "".join(
        f"{key.rstrip('_')} = {value}\n" for key, value in given.items()
    )


def warned(text: str, starts_at: datetime | None = None) -> list[tuple[str, str]]:
    parsed = parse(HEAD + text, starts_at=starts_at)
    assert parsed.program is not None, parsed.diagnostics
    return [(found.key, found.message) for found in parsed.diagnostics]


NEVER = {
    "sku that is refused too": (
        BASE + rule("r", where='{ sku = "a", not_sku = ["a", "b"] }'),
        "rules.r.where.not_sku",
        "never fires",
    ),
    "a day that no year has within the dates": (
        BASE + rule("r", when='{ month_day = "11-11" }', from_="2026-11-12", until="2027-11-11"),
        "rules.r.when",
        "never fires",
    ),
    "lines that earn nothing": (
        '[points]\nexclude = { category = ["postage", "voucher"] }\n'
        + BASE
        + rule("r", where='{ category = "postage", not_sku = "X" }'),
        "rules.r.where",
        "points.exclude",
    ),
    "a category among others that earns nothing": (
        '[points]\nexclude = { category = "postage" }\n'
        + BASE
        + rule("r", where='{ category = ["postage", "light"] }'),
        "rules.r.where.category",
        "postage",
    ),
    "a first purchase in a higher tier": (
        TIERS + BASE + rule("r", "flat", when='{ first_purchase = true, tier = "gold" }'),
        "rules.r.when.tier",
        '"ordinary"',
    ),
    "nothing to multiply on its lines": (
        rule("s", "spend", points="1", per_amount="100", where='{ category = "light" }')
        + rule("r", where='{ category = "table" }'),
        "rules.r.kind",
        "nothing to multiply",
    ),
    "nothing to multiply in its channel": (
        rule("s", "spend", points="1", per_amount="100", when='{ channel = "pos" }')
        + rule("r", when='{ channel = "online" }'),
        "rules.r.kind",
        "nothing to multiply",
    ),
    "nothing to multiply at all": (
        rule("f", "flat", when="{ min_amount = 5 }") + rule("r"),
        "rules.r.kind",
        "no spend rule has points",
    ),
    "a factor that changes nothing": (BASE + rule("r", factor="1"), "rules.r.factor", "changes nothing"),
    "a where that leaves nothing out": (BASE + rule("r", where="{}"), "rules.r.where", "without where"),
    "the loser of a group": (
        BASE + rule("big", factor="3", group='"g"') + rule("r", when='{ tier = "ordinary" }', group='"g"'),
        "rules.r.group",
        '"big"',
    ),
    "the later of equals in a group": (
        BASE + rule("big", "flat", group='"g"') + rule("r", "flat", when="{ min_amount = 5 }", group='"g"'),
        "rules.r.group",
        "never counts",
    ),
    "the lower of two factors of which the best counts": (
        '[points]\nmultipliers = "best"\n'
        + BASE
        + rule("big", factor="3")
        + rule("r", where='{ sku = "a" }'),
        "rules.r.factor",
        '"big"',
    ),
}

PILES = {
    "two doubles on a day": (
        BASE
        + rule("week", from_="2026-11-08", until="2026-11-15")
        + rule("r", when='{ month_day = "11-11" }', where='{ category = "light" }'),
        "rules.week.factor",
        'on 2026-11-11 this and "r" give x3',
    ),
    "two doubles of which one ends": (
        BASE
        + rule("day", when="{ day_of_month = 11 }")
        + rule("r", when="{ month_day = '11-11' }", until="2027-01-01"),
        "rules.r.factor",
        'on 2026-11-11 this and "day" give x3',
    ),
    "two doubles that compound": (
        '[points]\nmultipliers = "compound"\n'
        + BASE
        + rule("sunday", when='{ weekday = "sun" }')
        + rule("r", when="{ day_of_month = [8] }"),
        "rules.r.factor",
        'there are days on which this and "sunday" give x4',
    ),
    "a double on everything over many": (
        BASE
        + "".join(
            rule(f"sku-{n}", where=f'{{ sku = "{n}" }}', from_="2026-11-01", until="2026-12-01")
            for n in range(50)
        )
        + rule("r", when='{ month_day = "11-11" }'),
        "rules.r.factor",
        '"sku-0" (and 49 more) give x3',
    ),
}

LIMITS = {
    "a budget without an end": (
        BASE + rule("r", "flat", limit="{ budget_points = 500 }"),
        "rules.r.limit.budget_points",
        "without until",
    ),
    "a bonus that is always cut": (
        BASE + rule("r", "flat", limit="{ per_member_points = 50 }"),
        "rules.r.limit.per_member_points",
        "below the 100 points",
    ),
    "a limit that is never reached": (
        BASE + rule("r", "flat", limit="{ per_purchase_points = 100 }"),
        "rules.r.limit.per_purchase_points",
        "never reached",
    ),
    "a birthday without a limit": (
        BASE + rule("r", "flat", when='{ birthday = "week" }'),
        "rules.r.when.birthday",
        "per_member_day = 1",
    ),
    "a birthday's gift without a limit": (
        BASE + rule("r", "flat", when='{ birthday = "day" }'),
        "rules.r.when.birthday",
        "the birthday's day",
    ),
    "a double for the birthday's month without a limit": (
        BASE + rule("r", when='{ birthday = "month" }'),
        "rules.r.when.birthday",
        "the birthday's month",
    ),
    "a bonus for whatever is bought": (WORTH + BASE + rule("r", "flat"), "rules.r.points", "however small"),
}

TERMS = {
    "a tier that asks for less": (
        TIERS.replace("2000000", "500000") + BASE,
        "tiers.gold.qualify.spend_amount",
        "not above",
    ),
    "a tier with more visits than days": (
        TIERS.replace("{ spend_amount = 2000000 }", "{ visits = 32 }")
        + '[tier_policy]\nwindow = { kind = "rolling", months = 1 }\n'
        + BASE,
        "tiers.gold.qualify.visits",
        "nobody reaches",
    ),
    "a tier that visits never lead to": (
        TIERS.replace("{ spend_amount = 2000000 }", "{ visits = 400, spend_amount = 2000000 }") + BASE,
        "tiers.gold.qualify.visits",
        "only spend",
    ),
    "a smaller discount": (
        TIERS.replace("500000 }\n", "500000 }\nbenefits = { discount_percent = 5 }\n") + BASE,
        "tiers.gold.benefits",
        "below the 5 %",
    ),
    "a privilege that is lost": (
        TIERS.replace("500000 }\n", '500000 }\nbenefits = { privileges = "free_delivery" }\n') + BASE,
        "tiers.gold.benefits",
        "free_delivery",
    ),
    "a higher tier that earns less": (
        TIERS + BASE + rule("r", factor="1.2", when='{ tier = "silver" }'),
        "rules.r.when.tier",
        'add "gold"',
    ),
    "points that die before they can be spent": (
        '[points]\npending_days = 30\nexpiry = { kind = "inactivity", months = 1 }\n' + BASE,
        "points.expiry",
        "longer",
    ),
    "a wait longer than the life": (
        '[points]\npending_days = 30\nexpiry = { kind = "after", days = 14 }\n' + BASE,
        "points.expiry",
        "longer than the wait",
    ),
    "a least between two steps": (
        WORTH + "min_points = 150\nstep_points = 100\n" + BASE,
        "redemption.min_points",
        "in effect 200",
    ),
    "a step that is worth no whole minor unit": (
        "[redemption]\npoints = 300\namount = 100\nstep_points = 4\n" + BASE,
        "redemption.step_points",
        "worth 4/3",
    ),
    "a point that is worth no whole minor unit": (
        "[redemption]\npoints = 300\namount = 100\n" + BASE,
        "redemption.points",
        "worth 1/3",
    ),
    "a least that limits forbid": (
        WORTH + "min_points = 500\n" + rule("r", "flat", limit="{ per_member = 4 }"),
        "redemption.min_points",
        "give 400",
    ),
    "a least that needs a huge basket": (
        WORTH + "min_points = 1000000\nmax_basket_share = 0.1\n" + TIERS + BASE,
        "redemption.min_points",
        "basket of 100,000.00",
    ),
    "a least that takes longer than points live": (
        '[points]\nexpiry = { kind = "after", months = 12 }\n' + WORTH + "min_points = 30000\n"
        + TIERS.replace("500000", "500001") + BASE.replace("= 100\n", "= 1000\n"),
        "redemption.min_points",
        "before the first of them expire",
    ),
    "points worth more than was paid": (
        WORTH.replace("points = 100", "points = 1") + BASE + rule("r", when='{ month_day = "11-11" }'),
        "rules.base.points",
        "100.00 spent earns points worth 100.00",
    ),
    "points worth too much, so and so often a day": (
        WORTH.replace("points = 100", "points = 1") + BASE + "limit = { per_member_day = 3 }\n",
        "rules.base.points",
        "points worth 100.00",
    ),
    "points worth too much on one day": (
        WORTH.replace("points = 100", "points = 10")
        + BASE
        + rule("r", when='{ month_day = "11-11" }', where='{ category = "light" }', factor="15"),
        "rules.base.points",
        'can earn points worth 150.00 together with "r": more than was paid',
    ),
    "a bonus worth more than the purchase": (
        WORTH + BASE + rule("r", "flat", points="10000", when="{ min_amount = 5000 }"),
        "rules.r.points",
        "worth 100.00 for a purchase of 50.00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [pytest.param(*case, id=name) for table in (NEVER, PILES, LIMITS, TERMS) for name, case in table.items()],
)
def test_each_oddity_is_told_once_at_its_key(text: str, key: str, part: str) -> None:
    found = warned(text)
    assert [told for told, _ in found] == [key], found
    assert part in found[0][1]


@pytest.mark.parametrize(("mode", "worth"), [("add", "40.00"), ("compound", "60.00"), ("best", "30.00")])
def test_what_points_are_worth_depends_on_how_multipliers_combine(mode: str, worth: str) -> None:
    ten_percent = WORTH.replace("points = 100", "points = 10") + f'[points]\nmultipliers = "{mode}"\n' + BASE
    doubles = rule("a", factor="3", where='{ category = "light" }') + rule("b", when='{ channel = "pos" }')
    ((key, message),) = warned(ten_percent + doubles)
    assert key == "rules.base.points"
    assert f'100.00 spent earns points worth {worth} together with "a", "b"' in message


def test_a_rule_that_is_over_when_the_program_starts() -> None:
    text = BASE + rule("r", from_="2025-11-01", until="2025-12-01")
    assert warned(text) == []
    assert warned(text, datetime(2025, 11, 30, 15, 59, tzinfo=UTC)) == []
    found = warned(text, datetime(2025, 11, 30, 16, tzinfo=UTC))  # midnight in Shanghai
    assert [key for key, _ in found] == ["rules.r.until"]


def test_shown_programs_have_only_the_warnings_that_are_right() -> None:
    demo = files("loyalty.demo").joinpath("program.toml").read_text(encoding="utf-8")
    assert parse(starter_source()).diagnostics == []
    assert parse(demo).diagnostics == []
    example = (ROOT / "bench" / "programs" / "example.toml").read_text(encoding="utf-8")
    assert [found.key for found in parse(example).diagnostics] == [
        "rules.silver-x1.2.when.tier",
        "rules.member-day.group",
        "rules.welcome.limit.budget_points",
    ]


MANY = {
    "goods of their own": lambda n: (
        rule(
            f"r{n}",
            where=f'{{ sku = ["{n}", "{n + 1}"] }}',
            from_=f"2026-{n % 12 + 1:02}-01",
            until="2027-01-01",
        )
        + rule(f"s{n}", "spend", points="2", per_amount="100", where=f'{{ sku = "{n}" }}')
    ),
    "one group on the same goods": lambda n: rule(
        f"r{n}", group='"g"', when='{ weekday = "mon" }', where=f'{{ category = ["a", "b{n}"] }}'
    ),
    "spend on the same goods": lambda n: rule(
        f"s{n}", "spend", points="2", per_amount="100", where=f'{{ category = ["a", "b{n}"] }}'
    ),
    "days of their own, for a century": lambda n: rule(
        f"r{n}", when=f'{{ month_day = "{n % 12 + 1:02}-{n % 28 + 1:02}" }}', until=f"21{n % 90 + 10}-01-01"
    ),
    "spend and doubles that never meet": lambda n: (
        rule(f"r{n}", where=f'{{ category = "x{n}" }}')
        + rule(f"s{n}", "spend", points="2", per_amount="100", where=f'{{ category = "{n}" }}')
    ),
}


@pytest.mark.parametrize("made", MANY.values(), ids=MANY.keys())
def test_thousands_of_rules_are_checked_in_seconds(made: Callable[[int], str]) -> None:
    text = HEAD + WORTH + "".join(made(n) for n in range(2_000))
    began = time.process_time()
    assert parse(text).program is not None
    assert time.process_time() - began < 20
