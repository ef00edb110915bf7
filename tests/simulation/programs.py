"""Random programs of one family: every expiry, rounding, condition, limit and tier policy turns up in some seed.

A rule's id says which limits it has, so that versions of one seed count the same uses.
"""

from random import Random

ZONES = ("Asia/Shanghai", "Europe/London", "America/New_York", "America/St_Johns", "UTC")
SKUS = ("A", "B", "C", "D", "E")
CATEGORIES = ("home", "garden", "gift")
TAGS = ("new", "sale")
CHANNELS = ("pos", "online")
STORES = ("s1", "s2")
TYPES = ("survey", "review", "visit")

CONDITIONS = (
    'channel = ["online"]',
    'store = ["s1"]',
    'weekday = ["sat", "sun"]',
    "day_of_month = [8, 15, 28, 29, 30, 31]",
    'month_day = ["02-29", "06-01", "11-11"]',
    'time = { from = "09:00", until = "15:30" }',
    'time = { from = "20:00", until = "02:00" }',
    'birthday = "day"',
    'birthday = "week"',
    'birthday = "month"',
    "first_purchase = true",
    "first_purchase = false",
    "min_amount = 5000",
    "min_amount = 12345",
    "min_lines = 2",
    "min_lines = 3",
)
SELECTIONS = (
    'sku = ["A", "B"]',
    'not_sku = ["C"]',
    'category = ["home"]',
    'not_category = ["home"]',
    'tag = ["new"]',
    'not_tag = ["sale"]',
    "min_quantity = 2",
    'category = ["garden"], min_quantity = 1.5',
    'sku = ["B", "C"], not_tag = ["new"]',
)
EXPIRIES = (
    '{ kind = "never" }',
    '{ kind = "after", days = 10 }',
    '{ kind = "after", days = 45, round_to = "day" }',
    '{ kind = "after", months = 1 }',
    '{ kind = "after", months = 3, round_to = "month" }',
    '{ kind = "after", months = 2, round_to = "quarter" }',
    '{ kind = "after", years = 1, round_to = "year" }',
    '{ kind = "fixed", month_day = "06-30" }',
    '{ kind = "fixed", month_day = "02-29", min_days = 30 }',
    '{ kind = "fixed", month_day = "12-31", min_days = 90 }',
    '{ kind = "inactivity", months = 2 }',
    '{ kind = "inactivity", days = 20 }',
)
# Without the flat bonus, which a return may lose, a multiplied rule wins the group: what is kept could earn more.
UNSTABLE = (
    '[[rules]]\nid = "u1"\nkind = "flat"\npoints = 400\nwhen = { min_amount = 5000 }\ngroup = "u"\n',
    '[[rules]]\nid = "u2"\nkind = "spend"\npoints = 1\nper_amount = 30\ngroup = "u"\n',
    '[[rules]]\nid = "u3"\nkind = "multiplier"\nfactor = 4\n',
)
# On many lines both multiply, whoever buys when.
PAIR = (
    '[[rules]]\nid = "x1"\nkind = "multiplier"\nfactor = 2\n',
    '[[rules]]\nid = "x2"\nkind = "multiplier"\nfactor = 1.5\nwhere = { not_category = ["home"] }\n',
)
WELCOME = '[[rules]]\nid = "welcome"\nkind = "flat"\npoints = 30\nwhen = { first_purchase = true }\n'
SCARCE = """[[rules]]
id = "scarceb"
kind = "units"
points = 2.5
limit = { budget_points = 333 }
"""
RATES = ((100, 100), (10, 1), (3, 100), (1, 5), (50, 33), (100, 100))


class Family:
    """What stays over the versions of one seed, and what is drawn anew for each."""

    def __init__(self, rng: Random, budgets: bool = True) -> None:
        """budgets: a budget has a slice in each shard, which the model does not follow."""
        self.budgets = budgets
        self.rng = rng
        self.zone = rng.choice(ZONES)
        self.tiers = rng.choice((0, 1, 2, 3))

    def source(self) -> str:
        parts = [
            f'name = "Club"\ncurrency = "CNY"\ntime_zone = "{self.zone}"\n',
            self._points(),
            self._redemption(),
            *self._tiers(),
            *self._rules(),
        ]
        return "\n".join(part for part in parts if part)

    def _points(self) -> str:
        rng = self.rng
        lines = [
            "[points]",
            f'rounding = "{rng.choice(("floor", "half_up", "half_even"))}"',
            f"pending_days = {rng.choice((0, 0, 0, 3, 14))}",
            f"expiry = {rng.choice(EXPIRIES)}",
            f"late_grace_days = {rng.choice((0, 0, 7))}",
            f"restore_grace_days = {rng.choice((0, 0, 5, 30))}",
            f'shortfall = "{rng.choice(("debt", "debt", "forgive"))}"',
            f'unlinked_returns = "{rng.choice(("base", "base", "refuse"))}"',
            f'multipliers = "{rng.choice(("add", "compound", "best"))}"',
        ]
        exclude = rng.choice(("", 'category = ["gift"]', 'sku = ["E"]', 'tag = ["sale"]'))
        if exclude:
            lines.append(f"exclude = {{ {exclude} }}")
        return "\n".join(lines) + "\n"

    def _redemption(self) -> str:
        rng = self.rng
        if rng.random() < 0.1:
            return ""
        points, amount = rng.choice(RATES)
        lines = ["[redemption]", f"points = {points}", f"amount = {amount}"]
        lines.append(f"min_points = {rng.choice((1, 10, 50))}")
        lines.append(f"step_points = {rng.choice((1, 1, 7, 10, 50))}")
        lines.append(f"max_basket_share = {rng.choice(('1', '0.5', '0.33', '1'))}")
        return "\n".join(lines) + "\n"

    def _tiers(self) -> list[str]:
        rng = self.rng
        if not self.tiers:
            return []
        found = ['[[tiers]]\nid = "t0"\n']
        spend, visits = rng.choice((20_000, 50_000)), rng.choice((2, 3, 5))
        for n in range(1, self.tiers + 1):
            asked = rng.choice(("spend", "visits", "any", "all"))
            terms = []
            if asked != "visits":
                terms.append(f"spend_amount = {spend * n}")
            if asked != "spend":
                terms.append(f"visits = {visits * n}")
            if asked in ("any", "all"):
                terms.append(f'need = "{asked}"')
            found.append(f'[[tiers]]\nid = "t{n}"\nqualify = {{ {", ".join(terms)} }}\n')
        window = rng.choice(
            (
                '{ kind = "rolling", months = 1 }',
                '{ kind = "rolling", months = 3 }',
                '{ kind = "rolling", months = 12 }',
                '{ kind = "calendar_year" }',
            )
        )
        lines = [
            "[tier_policy]",
            f"window = {window}",
            f"validity_months = {rng.choice((1, 2, 6, 12))}",
            f'downgrade = "{rng.choice(("one_step", "to_qualified", "never"))}"',
            f"grace_days = {rng.choice((0, 0, 10, 45))}",
            f'on_return = "{rng.choice(("review", "immediate"))}"',
        ]
        return [*found, "\n".join(lines) + "\n"]

    def _rules(self) -> list[str]:
        rng = self.rng
        rules = []
        if rng.random() < 0.95:
            per, points = rng.choice(((100, "1"), (100, "1"), (30, "1"), (1000, "12.5"), (7, "0.3")))
            steps = rng.choice(("", "", "whole_steps = true\n"))
            cap = rng.choice(("", "", "", "limit = { per_purchase_points = 90 }\n"))
            rules.append(
                f'[[rules]]\nid = "base"\nkind = "spend"\npoints = {points}\nper_amount = {per}\n{steps}{cap}'
            )
        for n in range(rng.randrange(6)):
            rules.append(self._rule(n))
        if rng.random() < 0.25:
            rules += UNSTABLE
        if rng.random() < 0.25:
            rules += PAIR
        if rng.random() < 0.4:
            rules.append(WELCOME)
        if self.budgets and rng.random() < 0.3:
            rules.append(SCARCE)
        if rng.random() < 0.6:
            rules += [self._event(n) for n in range(rng.randrange(1, 4))]
        if rng.random() < 0.3:
            rng.shuffle(rules)
        return rules

    def _event(self, n: int) -> str:
        rng = self.rng
        limited, limit = self._limit(of_purchases=False)
        types = ", ".join(f'"{one}"' for one in rng.sample(TYPES[:2], rng.choice((1, 1, 2))))
        lines = ["[[rules]]", f'id = "e{n}{limited}"', 'kind = "event"', f"type = [{types}]"]
        lines.append(f"points = {rng.choice(('5', '20', '7.5'))}")
        terms = [one for one in CONDITIONS if one.split(" ")[0] not in ("store", "min_amount", "min_lines")]
        terms = [one for one in terms if not one.startswith("first_purchase")]
        if rng.random() < 0.5:
            lines.append(f"when = {{ {rng.choice(terms)} }}")
        if rng.random() < 0.35:
            lines.append(f'group = "{rng.choice("gh")}"')
        if limit:
            lines.append(limit)
        return "\n".join(lines) + "\n"

    def _rule(self, n: int) -> str:
        rng = self.rng
        kind = rng.choice(("spend", "units", "flat", "multiplier", "multiplier", "flat"))
        limited, limit = self._limit()
        lines = ["[[rules]]", f'id = "r{n}{limited}"', f'kind = "{kind}"']
        if kind == "multiplier":
            lines.append(f"factor = {rng.choice(('2', '1.5', '1.2', '3', '1.15'))}")
        else:
            lines.append(f"points = {rng.choice(('1', '5', '20', '7.5', '50'))}")
        if kind == "spend":
            lines.append(f"per_amount = {rng.choice((100, 1000, 333))}")
            if rng.random() < 0.4:
                lines.append("whole_steps = true")
        when = self._when()
        if when:
            lines.append(f"when = {{ {when} }}")
        if rng.random() < 0.4:
            lines.append(f"where = {{ {rng.choice(SELECTIONS)} }}")
        if rng.random() < 0.15:
            lines.append(f"from = 2024-0{rng.randrange(1, 10)}-15")
        if rng.random() < 0.15:
            lines.append(f"until = 2025-0{rng.randrange(1, 10)}-15")
        if rng.random() < 0.35:
            lines.append(f'group = "{rng.choice("gh")}"')
        if limit:
            lines.append(limit)
        return "\n".join(lines) + "\n"

    def _when(self) -> str:
        rng = self.rng
        if rng.random() < 0.4:
            return ""
        terms = [rng.choice(CONDITIONS)]
        if rng.random() < 0.3:
            other = rng.choice(CONDITIONS)
            if other.split(" ")[0] != terms[0].split(" ")[0]:
                terms.append(other)
        if self.tiers and rng.random() < 0.4:
            terms.append(f'tier = ["t{rng.randrange(self.tiers + 1)}"]')
        return ", ".join(terms)

    def _limit(self, of_purchases: bool = True) -> tuple[str, str]:
        """A suffix for the rule's id, which tells what is counted, and the limit."""
        rng = self.rng
        if rng.random() < 0.5:
            return "", ""
        terms, suffix = [], ""
        if of_purchases and rng.random() < 0.4:
            terms.append(f"per_purchase_points = {rng.choice((10, 25, 60))}")
        for letter, name, values in (
            ("m", "per_member", (1, 3)),
            ("d", "per_member_day", (1, 2)),
            ("p", "per_member_points", (40, 200)),
            ("b", "budget_points", (30, 100, 1000, 5000)),
        ):
            if rng.random() < 0.3 and (self.budgets or letter != "b"):
                terms.append(f"{name} = {rng.choice(values)}")
                suffix += letter
        return suffix, f"limit = {{ {', '.join(terms)} }}" if terms else ""
