"""A backtest's result as tables for a terminal: what it would have cost first, then where that comes from."""

from rich.console import Console
from rich.table import Table

from loyalty.backtest.html import of_all
from loyalty.backtest.report import REST, GainRow, Report, RuleSum
from loyalty.currency import shown

_MOST_RULES = 15
_MOST_MONTHS = 24
_BAR = 24


def show(report: Report) -> None:
    """Prints the whole result."""
    console = Console(highlight=False)
    _headline(console, report)
    tables = [_totals(report), _months(report), _rules(report), _tiers(report)]
    if len(report.matrix) > 1:
        tables.append(_matrix(report))
    tables.append(_gains(report))
    if report.most_gained or report.most_lost:
        tables.append(_members(report))
    if report.budgets:
        tables.append(_budgets(report))
    for table in tables:
        # A title of the table itself would be broken at the table's width.
        title, table.title = table.title, None
        console.print(f"[bold]{title}[/bold]")
        console.print(table)
        console.print()
    for note in notes(report):
        console.print(note)


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


def _headline(console: Console, report: Report) -> None:
    since = f"from {report.start:%Y-%m-%d} " if report.start else ""
    console.print(
        f"\n[bold]{report.candidate.name}[/bold] beside [bold]{report.now.name}[/bold]"
        f" (version {report.now.version}), {since}to {report.end:%Y-%m-%d}:"
        f" {report.members:,} members, {report.purchases:,} purchases"
    )
    if report.reproduced.checked and not report.reproduced.different:
        console.print(
            "[green]Replaying what was in force comes to what the ledger holds, to the point,"
            f" in {of_all(report)} accounts.[/green]"
        )
    before, after = report.now.total.cost_amount, report.candidate.total.cost_amount
    console.print(
        f"Points issued and kept are worth [bold]{shown(after, report.currency)}[/bold] instead of"
        f" {shown(before, report.currency)}: [bold]{_change(before, after, report.currency)}[/bold].\n"
    )


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _totals(report: Report) -> Table:
    table = _table("In all", "", "in force", "candidate", "change")
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
            table.add_row(name, f"{a:,}", f"{b:,}", f"{b - a:+,}")
    for name, a, b in (
        (f"worth of issued and kept, {report.currency}", now.total.cost_amount, then.total.cost_amount),
        ("worth of redeemed", now.total.redeemed_amount, then.total.redeemed_amount),
        ("worth of outstanding", now.outstanding.amount, then.outstanding.amount),
    ):
        table.add_row(name, *(_money(amount, report.currency) for amount in (a, b, b - a)))
    for name, a, b in (
        ("promotions", now.tier_changes.promotions, then.tier_changes.promotions),
        ("renewals", now.tier_changes.renewals, then.tier_changes.renewals),
        ("falls", now.tier_changes.falls, then.tier_changes.falls),
    ):
        if a or b:
            table.add_row(name, f"{a:,}", f"{b:,}", f"{b - a:+,}")
    return table


def _months(report: Report) -> Table:
    rows = report.months[-_MOST_MONTHS:]
    left = len(report.months) - len(rows)
    title = f"By month, points: in force → candidate{f' (the last {len(rows)})' if left else ''}"
    table = _table(title, "month", "issued", "redeemed", "expired", "outstanding")
    for row in rows:
        a, b = row.now, row.candidate
        table.add_row(
            row.month,
            _both(a.issued - a.clawed_back, b.issued - b.clawed_back),
            _both(a.redeemed, b.redeemed),
            _both(a.expired, b.expired),
            _both(row.outstanding_now.points, row.outstanding.points),
        )
    return table


def _rules(report: Report) -> Table:
    table = _table("By rule", "rule", "purchases", "points kept", f"worth, {report.currency}", "in force")
    shown_rules = report.rules
    if len(shown_rules) > _MOST_RULES + 1:
        most = sorted(shown_rules[:-1], key=lambda row: -_cost(row.candidate, row.now))[:_MOST_RULES]
        table.title = f"By rule (the {_MOST_RULES} that give most of {len(shown_rules) - 1})"
        shown_rules = [*most, shown_rules[-1]]
    for row in shown_rules:
        name = "rounding, forgiven" if row.rule == REST else row.rule
        then, now = row.candidate, row.now
        table.add_row(
            name,
            f"{then.purchases:,}" if then else "-",
            f"{then.issued - then.clawed_back:,}" if then else "-",
            _money(then.cost_amount, report.currency) if then else "-",
            _money(now.cost_amount, report.currency) if now else "-",
        )
    return table


def _cost(then: RuleSum | None, now: RuleSum | None) -> int:
    return max((one.issued for one in (then, now) if one is not None), default=0)


def _tiers(report: Report) -> Table:
    table = _table(
        "By tier: in force → candidate", "tier", "members", "points kept", "redeemed", "outstanding"
    )
    for row in report.tiers:
        a, b = row.now, row.candidate
        table.add_row(
            row.tier,
            _both(row.members_now, row.members),
            _both(a.issued - a.clawed_back, b.issued - b.clawed_back),
            _both(a.redeemed, b.redeemed),
            _both(row.outstanding_now.points, row.outstanding.points),
        )
    return table


def _matrix(report: Report) -> Table:
    tiers = [row.tier for row in report.tiers]
    table = _table("Members by tier at the end: in force down, candidate across", "", *tiers)
    for place, row in enumerate(report.matrix):
        cells = []
        for column, tier in enumerate(tiers):
            count = row.members[tier]
            style = "" if column == place else "green" if column > place else "red"
            text = f"{count:,}" if count else "."
            cells.append(f"[{style}]{text}[/{style}]" if style and count else text)
        table.add_row(row.tier_now, *cells)
    return table


def _gains(report: Report) -> Table:
    unit = report.currency if report.gains_in == "amount" else "points"
    table = _table(
        f"Members by what they gain ({report.winners:,} win, {report.losers:,} lose, "
        f"{report.unchanged:,} stay as they are)",
        unit,
        "members",
    )
    table.columns[0].justify = "right"
    table.add_column("")
    most = max((row.members for row in report.gains), default=1)
    for row in report.gains:
        style = "green" if row.least > 0 else "red" if row.most < 0 else "dim"
        bar = "█" * max(1, round(_BAR * row.members / most))
        table.add_row(gain_range(row, report), f"{row.members:,}", f"[{style}]{bar}[/{style}]")
    return table


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


def _members(report: Report) -> Table:
    table = _table(
        "Members who win and lose most: in force → candidate", "member", "gain", "redeemed", "left", "tier"
    )
    for row in (*report.most_gained, *reversed(report.most_lost)):
        gain = _money(row.gain, report.currency) if report.gains_in == "amount" else f"{row.gain:,}"
        style = "green" if row.gain > 0 else "red"
        table.add_row(
            row.member_id,
            f"[{style}]{gain}[/{style}]",
            _both(row.redeemed_now, row.redeemed),
            _both(row.left_now, row.left),
            row.tier if row.tier == row.tier_now else f"{row.tier_now}→{row.tier}",
        )
    return table


def _budgets(report: Report) -> Table:
    table = _table("Budgets", "rule", "points", "used", "", "ran out")
    for row in report.budgets:
        ran_out = f"{row.ran_out_at:%Y-%m-%d %H:%M} UTC" if row.ran_out_at else "never"
        share = f"{100 * row.used_points / row.budget_points:.1f} %" if row.budget_points else ""
        table.add_row(row.rule, f"{row.budget_points:,}", f"{row.used_points:,}", share, ran_out)
    return table


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
