"""Programs that are meant so: `check` has no word against them."""

import pytest

from tests.unit.test_program_warnings import BASE, TIERS, WORTH, rule, warned

MEANT = {
    "a tier's multiplier beside a member day": TIERS
    + BASE
    + rule("tier", factor="1.2", when='{ tier = ["silver", "gold"] }')
    + rule("day", when="{ day_of_month = 8 }"),
    "doubles in one group": BASE
    + rule("week", from_="2026-11-08", until="2026-11-15", group='"g"')
    + rule("day", when='{ month_day = "11-11" }', factor="3", group='"g"'),
    "doubles on different days": BASE
    + rule("week", from_="2026-11-08", until="2026-11-11")
    + rule("day", when='{ month_day = "11-11" }'),
    "doubles in different channels": BASE
    + rule("a", when='{ weekday = "sun", channel = "pos" }')
    + rule("b", when='{ weekday = "sun", channel = "online" }'),
    "doubles at different hours": BASE
    + rule("a", when='{ weekday = "sun", time = { from = "06:00", until = "12:00" } }')
    + rule("b", when='{ weekday = "sun", time = { from = "22:00", until = "02:00" } }'),
    "doubles on things that may never be one line": BASE
    + rule("a", when='{ weekday = "sun" }', where='{ sku = "a" }')
    + rule("b", when='{ weekday = "sun" }', where='{ category = "light" }'),
    "doubles of which the best counts": '[points]\nmultipliers = "best"\n'
    + BASE
    + rule("a", when='{ weekday = "sun" }')
    + rule("b", when="{ day_of_month = 8 }"),
    "a group whose lower rule lasts longer": BASE
    + rule("a", factor="3", until="2026-12-01", group='"g"')
    + rule("b", group='"g"'),
    "a group whose higher rule is limited": BASE
    + rule("a", factor="3", group='"g"', limit="{ per_member = 1 }")
    + rule("b", group='"g"'),
    "a group whose higher rule is for some goods": BASE
    + rule("a", factor="3", where='{ category = "light" }', group='"g"')
    + rule("b", group='"g"'),
    "a group whose higher rule asks for more": BASE
    + rule("a", factor="3", when="{ min_amount = 5000 }", group='"g"')
    + rule("b", group='"g"'),
    "a group whose higher rule counts full steps only": rule(
        "a", "spend", points="2", per_amount="1000", whole_steps="true", group='"g"'
    )
    + rule("b", "spend", points="1", per_amount="1000", group='"g"'),
    "a group of different kinds": BASE + rule("a", factor="3", group='"g"') + rule("b", "flat", group='"g"'),
    "some of the goods that are named left out": BASE
    + rule("r", where='{ sku = ["a", "b"], not_sku = "b" }'),
    "goods that are left out under a tag only": '[points]\nexclude = { category = "postage", tag = "gift" }\n'
    + BASE
    + rule("r", where='{ category = ["postage", "light"] }'),
    "a spend rule that is held down": BASE + "limit = { per_purchase_points = 500 }\n",
    "29 February on a Monday": BASE
    + rule("a", when='{ month_day = "02-29", weekday = "mon" }', from_="2026-01-01"),
    "an end alone, long ago": BASE + rule("a", until="2020-01-01") + rule("b", from_="2026-01-01"),
    "a birthday with a limit": BASE
    + rule("r", "flat", when='{ birthday = "month" }', limit="{ per_member_day = 1 }"),
    "a double on the birthday": BASE + rule("r", when='{ birthday = "day" }'),
    "idle points that outlive the wait": '[points]\npending_days = 14\nexpiry = { kind = "inactivity", months = 12 }\n'
    + BASE,
    "a life as long as the wait": '[points]\npending_days = 14\nexpiry = { kind = "after", days = 14 }\n'
    + BASE,
    "a least that limits allow": WORTH + "min_points = 400\n" + rule("r", "flat", limit="{ per_member = 4 }"),
    "a least for the baskets of the highest tier": WORTH + "min_points = 2000000\n" + TIERS + BASE,
    "points worth much, up to a limit": WORTH.replace("points = 100", "points = 1")
    + BASE
    + "limit = { per_purchase_points = 500 }\n",
    "twelve visits in a year": TIERS.replace("500000 }", "500000, visits = 12 }") + BASE,
    "a first purchase in whatever tier": TIERS
    + BASE
    + rule("r", "flat", when='{ first_purchase = true, tier = ["ordinary", "silver"] }'),
    "a welcome bonus": WORTH + BASE + rule("r", "flat", when="{ first_purchase = true }"),
    "a bonus on certain goods": WORTH + BASE + rule("r", "flat", where='{ sku = "a" }'),
    "ten times the points on one day": WORTH + BASE + rule("r", factor="10", when='{ month_day = "11-11" }'),
}


@pytest.mark.parametrize("text", MEANT.values(), ids=MEANT.keys())
def test_what_is_meant_gets_no_warning(text: str) -> None:
    assert warned(text) == []
