"""Turns a program into its judge, once for each version.

Rules are indexed by what they select, so that a basket meets only the rules that can touch it; those that may
touch any basket are sorted out once for each local day, channel, store and tier.
"""

from collections.abc import Iterable

import msgspec

from loyalty.program.model import BirthdayMatch, Discount, Limit, Program, Rule, Selector
from loyalty.rules.compiled import Compiled, common_scale
from loyalty.rules.judge import Indexes, Judge
from loyalty.rules.selectors import without


class Needs(msgspec.Struct, frozen=True):
    """Which facts a program asks for, so that the caller looks up no others.

    limited: rules with limits by member. budgeted: rules with a budget. counters: whether there are any. limits: of
    all these rules, by id. birthdays: by rule, which part of the birthday it asks for.
    """

    counters: bool
    birthday: bool
    first_purchase: bool
    limited: tuple[str, ...]
    budgeted: tuple[str, ...]
    limits: dict[str, Limit]
    birthdays: dict[str, BirthdayMatch]


def needs(program: Program) -> Needs:
    """Which facts have to be looked up before a basket is judged by this program."""
    asking: tuple[Rule | Discount, ...] = (*program.rules, *program.discounts)
    whens = [one.when for one in asking if one.when is not None]
    limited = tuple(rule.id for rule in program.rules if rule.limit and _by_member(rule.limit))
    budgeted = tuple(rule.id for rule in program.rules if rule.limit and rule.limit.budget_points is not None)
    counted = {*limited, *budgeted}
    return Needs(
        counters=bool(limited or budgeted),
        birthday=any(when.birthday is not None for when in whens),
        first_purchase=any(when.first_purchase is not None for when in whens),
        limited=limited,
        budgeted=budgeted,
        limits={rule.id: rule.limit for rule in program.rules if rule.limit and rule.id in counted},
        birthdays={
            rule.id: rule.when.birthday
            for rule in program.rules
            if rule.when is not None and rule.when.birthday is not None
        },
    )


def compile_program(program: Program) -> Judge:
    """A judge of baskets and events under this program; to be kept, since it remembers which rules a day has."""
    return _judge(program, _judge(_unlinked(program), None))


def _judge(program: Program, unlinked: Judge | None) -> Judge:
    scale = common_scale(program)
    indexes = Indexes()
    for order, rule in enumerate(program.rules):
        known, keys = _key(rule.where)
        compiled = Compiled(rule, order, scale, known)
        if rule.kind == "event":
            for type in rule.types or ():
                indexes.event.setdefault(type, []).append(compiled)
        elif known:
            index: dict[str, list[Compiled]] = getattr(indexes, known)
            for key in keys:
                index.setdefault(key, []).append(compiled)
        else:
            indexes.broad.append(compiled)
        indexes.rules.append(compiled)
    return Judge(program, scale, indexes, without(program.points.exclude), unlinked)


def _key(where: Selector | None) -> tuple[str, Iterable[str]]:
    """The part of a selector that the rule is found by, the most telling first."""
    if where is not None:
        for name in ("sku", "category", "tag"):
            keys = getattr(where, name)
            if keys is not None:
                return name, keys
    return "", ()


def _by_member(limit: Limit) -> bool:
    return (limit.per_member, limit.per_member_day, limit.per_member_points) != (None, None, None)


def _unlinked(program: Program) -> Program:
    """The base rules alone: `spend` without when, where, dates or group (DESIGN.md section 4, Returns).

    Of their limits only the one per purchase stays: what the member had used when he bought is not known.
    """
    rules = tuple(
        msgspec.structs.replace(rule, limit=_per_purchase(rule.limit))
        for rule in program.rules
        if rule.kind == "spend"
        and rule.when is None
        and rule.where is None
        and rule.from_on is None
        and rule.until_on is None
        and rule.group is None
    )
    return msgspec.structs.replace(program, rules=rules)


def _per_purchase(limit: Limit | None) -> Limit | None:
    if limit is None or limit.per_purchase_points is None:
        return None
    return Limit(per_purchase_points=limit.per_purchase_points)
