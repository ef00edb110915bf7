"""What a new version changes, in plain words: nothing that differs goes unsaid, and nothing is said without need."""

import pytest

from loyalty.program.diff import diff
from loyalty.program.model import Program
from loyalty.program.parse import parse, starter, starter_source

PROGRAM = """
name = "Home Club"
currency = "CNY"
time_zone = "Asia/Shanghai"
[points]
rounding = "floor"
pending_days = 0
expiry = { kind = "after", months = 12, round_to = "month" }
late_grace_days = 0
restore_grace_days = 30
shortfall = "debt"
unlinked_returns = "base"
multipliers = "add"
exclude = { category = ["postage"] }
[redemption]
points = 100
amount = 100
min_points = 100
step_points = 100
max_basket_share = 0.5
[[tiers]]
id = "ordinary"
[[tiers]]
id = "silver"
qualify = { spend_amount = 500000, visits = 12, need = "any" }
benefits = { discount_percent = 5, privileges = ["free_delivery"] }
[tier_policy]
window = { kind = "rolling", months = 12 }
validity_months = 12
downgrade = "one_step"
grace_days = 0
on_return = "review"
[[rules]]
id = "base"
kind = "spend"
points = 1
per_amount = 100
whole_steps = false
[[rules]]
id = "lamp-bonus"
kind = "units"
points = 50
where = { sku = ["LAMP-1", "LAMP-2"], min_quantity = 2 }
from = 2026-11-01
until = 2026-12-01
limit = { per_purchase_points = 300, per_member = 2 }
[[rules]]
id = "member-day"
kind = "multiplier"
factor = 2
when = { day_of_month = [8], channel = "pos", time = { from = "18:00", until = "21:00" }, min_amount = 5000 }
group = "double"
[[rules]]
id = "festival"
kind = "multiplier"
factor = 3
when = { month_day = "11-11" }
group = "double"
"""


def read(source: str) -> Program:
    parsed = parse(source)
    assert parsed.program is not None, parsed.diagnostics
    return parsed.program


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('"Home Club"', '"Club"', "the program is called Club instead of Home Club"),
        ("Asia/Shanghai", "Asia/Tokyo", "local days are those of Asia/Tokyo instead of Asia/Shanghai"),
        (
            'rounding = "floor"',
            'rounding = "half_up"',
            "a purchase's points are rounded half up instead of down",
        ),
        (
            "pending_days = 0",
            "pending_days = 14",
            "earned points can be spent after 14 days instead of at once",
        ),
        (
            'months = 12, round_to = "month"',
            "years = 2",
            "points expire after 2 years instead of after 12 months at the end of the month",
        ),
        (
            "late_grace_days = 0",
            "late_grace_days = 1",
            "points of late purchases whose life is over get 1 more day instead of 0 more days",
        ),
        (
            "restore_grace_days = 30",
            "restore_grace_days = 60",
            "points given back whose life is over get 60 more days instead of 30 more days",
        ),
        ('"debt"', '"forgive"', "what a return cannot take back is forgiven instead of owed"),
        (
            'unlinked_returns = "base"',
            'unlinked_returns = "refuse"',
            "returns without a known purchase are refused instead of judged by the base rules",
        ),
        (
            '"add"',
            '"best"',
            "several multipliers on a line are left to the highest (x2 and x1.5 give x2) "
            "instead of added (x2 and x1.5 give x2.5)",
        ),
        ('["postage"]', '["postage", "fee"]', "lines that earn nothing: now also category fee"),
        (
            "amount = 100\nmin",
            "amount = 50\nmin",
            "100 points are worth 0.50 instead of 100 points are worth 1.00",
        ),
        ("min_points = 100", "min_points = 500", "at least 500 points can be redeemed instead of 100"),
        ("step_points = 100", "step_points = 10", "points are redeemed in steps of 10 instead of 100"),
        ("share = 0.5", "share = 0.25", "points can pay 25 % of a basket instead of 50 %"),
        ("= 500000", "= 600000", "silver now needs 6,000.00 or 12 visits instead of 5,000.00 or 12 visits"),
        ('"any"', '"all"', "silver now needs 5,000.00 and 12 visits instead of 5,000.00 or 12 visits"),
        ("percent = 5", "percent = 7.5", "silver now gets a discount of 7.5 % instead of 5 %"),
        ('["free_delivery"]', '["free_delivery", "early"]', "silver now gets early"),
        (
            'kind = "rolling", months = 12',
            'kind = "calendar_year"',
            "spend and visits count over the calendar year instead of 12 months",
        ),
        ("validity_months = 12", "validity_months = 6", "a tier is held 6 months instead of 12 months"),
        ('"one_step"', '"never"', "who no longer qualifies is moved not at all instead of one step down"),
        (
            "\ngrace_days = 0",
            "\ngrace_days = 7",
            "the verdict on a tier comes after 7 days instead of at once",
        ),
        (
            '"review"',
            '"immediate"',
            "a tier built on goods that come back is judged at once instead of at its next verdict",
        ),
        ("points = 1\n", "points = 2\n", "rule base: 1 -> 2 points for every 1.00"),
        (
            "whole_steps = false",
            "whole_steps = true",
            "rule base: 1 point for every 1.00 -> 1 point for every 1.00 (full steps only)",
        ),
        ("points = 50\n", "points = 60\n", "rule lamp-bonus: 50 -> 60 points a unit"),
        ('kind = "units"', 'kind = "flat"', "rule lamp-bonus: 50 points a unit -> 50 points"),
        ('"LAMP-2"]', '"LAMP-3"]', "rule lamp-bonus: now also sku LAMP-3, no longer sku LAMP-2"),
        (
            "quantity = 2",
            "quantity = 3",
            "rule lamp-bonus: asks for lines of at least 3 units instead of lines of at least 2 units",
        ),
        (
            "until = 2026-12-01",
            "until = 2026-12-09",
            "rule lamp-bonus: runs from 2026-11-01 until the end of 2026-12-08 "
            "instead of from 2026-11-01 until the end of 2026-11-30",
        ),
        (
            "purchase_points = 300",
            "purchase_points = 400",
            "rule lamp-bonus: at most 400 points a purchase instead of at most 300 points a purchase",
        ),
        ("member = 2", "member_day = 2", None),
        ("factor = 2", "factor = 2.5", "rule member-day: x2 -> x2.5"),
        (
            "[8]",
            "[8, 18]",
            "rule member-day: only on day 8, 18 of the month instead of on day 8 of the month",
        ),
        ('channel = "pos"', 'channel = ["pos", "online"]', "rule member-day: now also in channel online"),
        (
            "21:00",
            "21:00:30",
            "rule member-day: only from 18:00 until 21:00:30 instead of from 18:00 until 21:00",
        ),
        (
            ", min_amount = 5000",
            "",
            "rule member-day: no longer only on purchases of at least 50.00",
        ),
        (
            'group = "double"\n[[rules]]\nid = "festival"',
            '[[rules]]\nid = "festival"',
            "rule member-day: no longer in group double",
        ),
        ('id = "festival"', 'id = "party"', None),
    ],
)
def test_each_change_is_one_plain_sentence(written: str, instead: str, said: str | None) -> None:
    assert PROGRAM.count(written) == 1, written
    found = diff(read(PROGRAM), read(PROGRAM.replace(written, instead)))
    if said is not None:
        assert found == [said]
    else:
        assert len(found) == 2


def test_rules_and_tiers_that_come_and_go() -> None:
    gold = '[[tiers]]\nid = "gold"\nqualify = { spend_amount = 2000000 }\nbenefits = { privileges = ["early"] }\n'
    start = PROGRAM.index('[[rules]]\nid = "festival"')
    welcome = '[[rules]]\nid = "welcome"\nkind = "flat"\npoints = 100\nwhen = { first_purchase = true }\n'
    new = PROGRAM[:start].replace("[tier_policy]", gold + "[tier_policy]") + welcome
    assert diff(read(PROGRAM), read(new)) == [
        "tier gold is new, above silver: it needs 20,000.00",
        "gold now gets early",
        "rule festival is gone",
        "rule welcome is new: 100 points, on the first purchase",
    ]


def test_amounts_have_the_digits_of_the_currency() -> None:
    yen = read(PROGRAM.replace("CNY", "JPY"))
    dearer = read(PROGRAM.replace("CNY", "JPY").replace("= 500000", "= 600000"))
    assert diff(yen, dearer) == ["silver now needs 600,000 or 12 visits instead of 500,000 or 12 visits"]


def test_redemption_that_begins_and_ends() -> None:
    start, end = PROGRAM.index("[redemption]"), PROGRAM.index("[[tiers]]")
    without = read(PROGRAM[:start] + PROGRAM[end:])
    assert diff(without, read(PROGRAM)) == [
        "points can be redeemed: 100 points are worth 1.00",
        "at least 100 points can be redeemed instead of 1",
        "points are redeemed in steps of 100 instead of 1",
        "points can pay 50 % of a basket instead of 100 %",
    ]
    assert diff(read(PROGRAM), without) == ["points can no longer be redeemed"]


def test_a_change_deep_in_a_long_list_is_said() -> None:
    names = ", ".join(f'"S{number:03}"' for number in range(200))
    long = PROGRAM.replace('channel = "pos"', f"store = [{names}]")
    assert diff(read(long), read(long.replace('"S150"', '"S999"'))) == [
        "rule member-day: now also in store S999, no longer in store S150"
    ]
    assert "and 195 more" in diff(read(PROGRAM), read(long))[1]


def test_the_order_of_rules_counts() -> None:
    base = PROGRAM.index('[[rules]]\nid = "base"')
    lamp = PROGRAM.index('[[rules]]\nid = "lamp-bonus"')
    moved = PROGRAM[:base] + PROGRAM[lamp:] + PROGRAM[base:lamp]
    assert diff(read(PROGRAM), read(moved)) == [
        "the rules stand in another order, by which limits trim and ties are decided"
    ]


def test_the_same_program_differs_in_nothing() -> None:
    assert diff(starter(), read(starter_source() + "\n# a remark\n")) == []
