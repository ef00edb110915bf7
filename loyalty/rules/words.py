"""The explanation of a purchase in words, for the member or for the shop's staff.

The sentences lie in `texts/`, one file a language; here is only which of them are said, and with what.
"""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from loyalty.calendar import calendar_of
from loyalty.currency import shown
from loyalty.program.model import Program, Rule, Selector, When
from loyalty.rules import notes
from loyalty.rules.award import Explained
from loyalty.rules.exact import exact_text
from loyalty.rules.facts import Facts

Audience = Literal["member", "staff"]


@cache
def languages() -> tuple[str, ...]:
    """The languages that there are texts in, by their codes."""
    folder = files("loyalty.rules").joinpath("texts")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".toml")))


def in_words(
    program: Program,
    explained: Sequence[Explained],
    judged: Facts,
    language: str,
    audience: Audience,
    event_type: str = "",
) -> list[str]:
    """Says what a purchase, or an event, earned and why, one sentence for each thing.

    Args:
        program: the version that judged the purchase.
        explained: the rows of its receipt.
        judged: the facts that it was judged by.
        language: one of `languages()`.
        audience: the member is spoken to in whole sentences; staff is told rules, lines and limits.
        event_type: of an event; empty for a purchase.
    Returns:
        the total first, then rule by rule in the order of the receipt, then what was rounded.
    """
    return list(_Speaker(program, judged, language, audience, event_type).sentences(explained))


@cache
def _texts(language: str) -> dict[str, Any]:
    path = files("loyalty.rules").joinpath("texts", f"{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


class _Speaker:
    def __init__(
        self, program: Program, judged: Facts, language: str, audience: Audience, event_type: str
    ) -> None:
        self._program = program
        self._type = event_type
        self._judged = judged
        self._local = judged.occurred_at.astimezone(program.time_zone)
        self._day = calendar_of(program.time_zone).day(judged.occurred_at)
        self._staff = audience == "staff"
        self._common = _texts(language)
        self._own: dict[str, Any] = self._common[audience]

    def sentences(self, explained: Sequence[Explained]) -> Iterator[str]:
        exact = sum((Fraction(row.points) for row in explained), Fraction(0))
        total = rounded(exact, self._program.points.rounding)
        nothing = "nothing_event" if self._type else "nothing"
        yield self._say(
            "total" if total else nothing,
            points=self._points(total),
            tier=self._judged.tier,
            type=self._type,
        )
        rules = {rule.id: rule for rule in self._program.rules}
        for rule_id in dict.fromkeys(row.rule for row in explained):
            yield from self._rule(
                rule_id, rules.get(rule_id), [row for row in explained if row.rule == rule_id]
            )
        if self._judged.redeemed_amount:
            part = Fraction(100 * self._judged.redeemed_amount, self._judged.basket_amount)
            yield self._say(
                "paid_with_points",
                amount=self._money(self._judged.redeemed_amount),
                percent=_short(part),
            )
        if exact != total:
            rounding = self._common["rounding"][self._program.points.rounding]
            yield self._say(
                "rounded", exact=self._number(exact), points=self._points(total), rounding=rounding
            )

    def _rule(self, rule_id: str, rule: Rule | None, rows: list[Explained]) -> Iterator[str]:
        points = sum((Fraction(row.points) for row in rows), Fraction(0))
        why = rule_id if rule is None else self._why(rule)
        parts = [
            self._say("line", line=row.line, share=self._number(Fraction(row.points)))
            for row in rows
            if self._staff and row.line is not None
        ]
        if points:
            yield self._say(
                "rule_on_lines" if parts else "rule",
                rule=rule_id,
                points=self._points(points),
                why=why,
                lines=self._common["list"]["comma"].join(parts),
            )
        for row in rows:
            limited = notes.read_limited(row.note) if row.note is not None else None
            if limited is not None:
                yield self._say(
                    "limited",
                    rule=rule_id,
                    limit=self._own["limits"].get(limited.by, limited.by),
                    wanted=self._points(Fraction(limited.wanted)),
                    given=self._points(Fraction(limited.given)),
                )

    def _why(self, rule: Rule) -> str:
        """What the rule gives, and what it asked for that the purchase met."""
        because = self._own["because"]
        met = [because[key].format(**named) for key, named in self._met(rule)]
        return str(self._common["list"]["comma"].join([self._gives(rule), *met]))

    def _gives(self, rule: Rule) -> str:
        key = "spend_steps" if rule.kind == "spend" and rule.whole_steps else rule.kind
        text: str = self._common["gives"][key]
        return text.format(
            points=self._points(rule.points or Fraction(0)),
            amount=self._money(rule.per_amount or 0),
            factor=exact_text(rule.factor or Fraction(1)),
            type=self._type,
        )

    def _met(self, rule: Rule) -> Iterator[tuple[str, dict[str, object]]]:
        when, judged = rule.when or When(), self._judged
        if rule.where not in (None, Selector()):
            yield "goods", {}
        if when.tier is not None:
            yield "tier", {"tier": judged.tier}
        if (when.weekday, when.day_of_month, when.month_day) != (None, None, None):
            yield "date", {"date": self._day}
        if (when.time_from, when.time_until) != (None, None):
            yield "time", {"time": _clock(self._local)}
        if when.birthday is not None:
            yield f"birthday_{when.birthday}", {}
        if when.first_purchase:
            yield "first_purchase", {}
        if when.min_amount is not None:
            yield "min_amount", {"amount": self._money(when.min_amount)}
        if when.min_lines is not None:
            yield "min_lines", {"lines": when.min_lines}
        if when.channel is not None:
            yield "channel", {"channel": judged.channel}
        if when.store is not None:
            yield "store", {"store": judged.store}
        if rule.from_on is not None or rule.until_on is not None:
            last = None if rule.until_on is None else rule.until_on - timedelta(days=1)
            key = "from_until" if rule.from_on and last else "from" if rule.from_on else "until"
            yield key, {"first": rule.from_on, "last": last}

    def _say(self, key: str, **named: object) -> str:
        text: str = self._own[key]
        return text.format(**named)

    def _points(self, value: Fraction | int) -> str:
        text: str = self._common["points"]["one" if value == 1 else "other"]
        return text.format(n=self._number(Fraction(value)))

    def _number(self, value: Fraction) -> str:
        """Exact for staff; a member need not read 10/3."""
        return exact_text(value) if self._staff else _short(value)

    def _money(self, amount: int) -> str:
        return shown(amount, self._program.currency)


def rounded(exact: Fraction, rounding: str) -> int:
    """Exact points as whole ones, the way the purchase's total was rounded."""
    points = exact.numerator // exact.denominator
    twice = 2 * (exact - points)
    if rounding != "floor" and (twice > 1 or (twice == 1 and (rounding == "half_up" or points % 2 == 1))):
        points += 1
    return points


def _short(value: Fraction) -> str:
    """At most two decimals, the rest cut off."""
    return exact_text(Fraction(int(value * 100), 100))


def _clock(local: datetime) -> str:
    return local.strftime("%H:%M")
