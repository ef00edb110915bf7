"""A backtest's result as tables for a terminal: what it would have cost first, then where that comes from."""

from typing import TYPE_CHECKING

from loyalty.backtest.html import of_all
from loyalty.backtest.report import REST, GainRow, Report, RuleSum
from loyalty.cli.tables import console, table
from loyalty.currency import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Titled = tuple[str, "Table"]
"""A table with what stands above it."""

_MOST_RULES = 15
_MOST_MONTHS = 24
_BAR = 24


def show(report: Report) -> None:
    """Prints the whole result."""
    out = console()
    _headline(out, report)
    tables = [_totals(report), _months(report), _rules(report), _tiers(report)]
    if len(report.matrix) > 1:
        tables.append(_matrix(report))
    tables.append(_gains(report))
    if report.most_gained or report.most_lost:
        tables.append(_members(report))
    if report.budgets:
        tables.append(_budgets(report))
    for title, rows in tables:
        # A title of the table itself would be broken at the table's width.
        out.print(f"[bold]{title}[/bold]")
        out.print(rows)
    for note in notes(report):
        out.print(note)


def notes(report: Report) -> list[str]:
    """What could not be made as it was recorded, in sentences."""
    said = []
    for capped in report.candidate.capped:
        what = "Points taken by hand" if capped.kind == "adjustment" else "Redemptions that members made"
        inside = " inside purchases" if capped.kind == "purchase" else ""
        said.append(
            f"{what}{inside} and could not have made whole under the candidate: {capped.count:,}, of which "
            f"{capped.dropped:,} not at all; {capped.made_points:,} of {capped.wanted_points:,} points."
        )
    for refused in report.candidate.refused:
        said.append(
            f"Recorded and refused under the candidate: {refused.kind}, {refused.code}: {refused.count:,}."
        )
    return said


def _headline(out: "Console", report: Report) -> None:
    since = f"from {report.start:%Y-%m-%d} " if report.start else ""
    out.print(
        f"\n[bold]{report.candidate.name}[/bold] beside [bold]{report.now.name}[/bold]"
        f" (version {report.now.version}), {since}to {report.end:%Y-%m-%d}:"
        f" {report.members:,} members, {report.purchases:,} purchases"
    )
    if report.reproduced.checked and not report.reproduced.different:
        out.print(
            "[green]Replaying what was in force comes to what the ledger holds, to the point,"
            f" in {of_all(report)} accounts.[/green]"
        )
    before, after = report.now.total.cost_amount, report.candidate.total.cost_amount
    out.print(
        f"Points issued and kept are worth [bold]{shown(after, report.currency)}[/bold] instead of"
        f" {shown(before, report.currency)}: [bold]{_change(before, after, report.currency)}[/bold].\n"
    )


def _totals(report: Report) -> Titled:
    rows = table("", "in force", "candidate", "change")
    now, then = report.now, report.candidate
    for name, a, b in (
        ("points issued", now.total.issued, then.total.issued),
        ("clawed back", now.total.clawed_back, then.total.clawed_back),
        ("redeemed", now.total.redeemed, then.total.redeemed),
        ("expired", now.total.expired, then.total.expired),
        ("adjusted", now.total.adjusted, then.total.adjusted),
        ("outstanding at the end", now.outstanding.points, then.outstanding.points),
    ):
        if a or b:
            rows.add_row(name, f"{a:,}", f"{b:,}", f"{b - a:+,}")
    for name, a, b in (
        (f"worth of issued and kept, {report.currency}", now.total.cost_amount, then.total.cost_amount),
        ("worth of redeemed", now.total.redeemed_amount, then.total.redeemed_amount),
        ("worth of outstanding", now.outstanding.amount, then.outstanding.amount),
    ):
        rows.add_row(name, *(_money(amount, report.currency) for amount in (a, b, b - a)))
    for name, a, b in (
        ("promotions", now.tier_changes.promotions, then.tier_changes.promotions),
        ("renewals", now.tier_changes.renewals, then.tier_changes.renewals),
        ("falls", now.tier_changes.falls, then.tier_changes.falls),
    ):
        if a or b:
            rows.add_row(name, f"{a:,}", f"{b:,}", f"{b - a:+,}")
    return "In all", rows


def _months(report: Report) -> Titled:
    months = report.months[-_MOST_MONTHS:]
    left = len(report.months) - len(months)
    title = f"By month, points: in force → candidate{f' (the last {len(months)})' if left else ''}"
    rows = table("month", "issued", "redeemed", "expired", "outstanding")
    for row in months:
        a, b = row.now, row.candidate
        rows.add_row(
            row.month,
            _both(a.issued - a.clawed_back, b.issued - b.clawed_back),
            _both(a.redeemed, b.redeemed),
            _both(a.expired, b.expired),
            _both(row.outstanding_now.points, row.outstanding.points),
        )
    return title, rows


def _rules(report: Report) -> Titled:
    title = "By rule"
    rows = table("rule", "purchases", "points kept", f"worth, {report.currency}", "in force")
    shown_rules = report.rules
    if len(shown_rules) > _MOST_RULES + 1:
        most = sorted(shown_rules[:-1], key=lambda row: -_cost(row.candidate, row.now))[:_MOST_RULES]
        title = f"By rule (the {_MOST_RULES} that give most of {len(shown_rules) - 1})"
        shown_rules = [*most, shown_rules[-1]]
    for row in shown_rules:
        name = "rounding, forgiven" if row.rule == REST else row.rule
        then, now = row.candidate, row.now
        rows.add_row(
            name,
            f"{then.purchases:,}" if then else "-",
            f"{then.issued - then.clawed_back:,}" if then else "-",
            _money(then.cost_amount, report.currency) if then else "-",
            _money(now.cost_amount, report.currency) if now else "-",
        )
    return title, rows


def _cost(then: RuleSum | None, now: RuleSum | None) -> int:
    return max((one.issued for one in (then, now) if one is not None), default=0)


def _tiers(report: Report) -> Titled:
    rows = table("tier", "members", "points kept", "redeemed", "outstanding")
    for row in report.tiers:
        a, b = row.now, row.candidate
        rows.add_row(
            row.tier,
            _both(row.members_now, row.members),
            _both(a.issued - a.clawed_back, b.issued - b.clawed_back),
            _both(a.redeemed, b.redeemed),
            _both(row.outstanding_now.points, row.outstanding.points),
        )
    return "By tier: in force → candidate", rows


def _matrix(report: Report) -> Titled:
    tiers = [row.tier for row in report.tiers]
    rows = table("", *tiers, width=8)
    for place, row in enumerate(report.matrix):
        cells = []
        for column, tier in enumerate(tiers):
            count = row.members[tier]
            style = "" if column == place else "green" if column > place else "red"
            text = f"{count:,}" if count else "."
            cells.append(f"[{style}]{text}[/{style}]" if style and count else text)
        rows.add_row(row.tier_now, *cells)
    return "Members by tier at the end: in force down, candidate across", rows


def _gains(report: Report) -> Titled:
    unit = report.currency if report.gains_in == "amount" else "points"
    title = (
        f"Members by what they gain ({report.winners:,} win, {report.losers:,} lose, "
        f"{report.unchanged:,} stay as they are)"
    )
    rows = table(unit, "members", width=8)
    rows.columns[0].justify = "right"
    rows.add_column("")
    most = max((row.members for row in report.gains), default=1)
    for row in report.gains:
        style = "green" if row.least > 0 else "red" if row.most < 0 else "dim"
        bar = "█" * max(1, round(_BAR * row.members / most))
        rows.add_row(gain_range(row, report), f"{row.members:,}", f"[{style}]{bar}[/{style}]")
    return title, rows


def gain_range(row: GainRow, report: Report) -> str:
    """A class of gains for people: 1.00 to 9.99."""
    if not row.least and not row.most:
        return "nothing"
    near, far = (row.least, row.most) if row.least > 0 else (row.most, row.least)
    sign = "+" if near > 0 else "-"
    if report.gains_in == "amount":
        near_text, far_text = (_money(abs(amount), report.currency) for amount in (near, far))
        return f"{sign}{near_text} to {sign}{far_text}"
    return f"{sign}{abs(near):,} to {sign}{abs(far):,}"


def _members(report: Report) -> Titled:
    rows = table("member", "gain", "redeemed", "left", "tier")
    for row in (*report.most_gained, *reversed(report.most_lost)):
        gain = _money(row.gain, report.currency) if report.gains_in == "amount" else f"{row.gain:,}"
        style = "green" if row.gain > 0 else "red"
        rows.add_row(
            row.member_id,
            f"[{style}]{gain}[/{style}]",
            _both(row.redeemed_now, row.redeemed),
            _both(row.left_now, row.left),
            row.tier if row.tier == row.tier_now else f"{row.tier_now}→{row.tier}",
        )
    return "Members who win and lose most: in force → candidate", rows


def _budgets(report: Report) -> Titled:
    rows = table("rule", "points", "used", "", "ran out")
    for row in report.budgets:
        ran_out = f"{row.ran_out_at:%Y-%m-%d %H:%M} UTC" if row.ran_out_at else "never"
        share = f"{100 * row.used_points / row.budget_points:.1f} %" if row.budget_points else ""
        rows.add_row(row.rule, f"{row.budget_points:,}", f"{row.used_points:,}", share, ran_out)
    return "Budgets", rows


def _both(now: int, then: int) -> str:
    return _short(now) if now == then else f"{_short(now)}→{_short(then)}"


def _short(points: int) -> str:
    """Seven digits at most, so that two of them fit a column of a narrow terminal."""
    if abs(points) < 10**7:
        return f"{points:,}"
    return f"{points / 10**6:,.1f}m" if abs(points) < 10**10 else f"{points / 10**9:,.1f}bn"


def _money(amount: int, currency: str) -> str:
    return shown(amount, currency).rpartition(" ")[0]


def _change(before: int, after: int, currency: str) -> str:
    share = f", {100 * (after - before) / before:+.1f} %" if before else ""
    sign = "+" if after > before else ""
    return f"{sign}{shown(after - before, currency)}{share}"
