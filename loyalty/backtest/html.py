"""A backtest's report as one HTML file: charts and tables for those who decide. It loads nothing from anywhere."""

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from loyalty.backtest.charts import NOW, THEN, Series, bars, lines, rows, sides
from loyalty.backtest.report import REST, GainRow, Report, RuleRow
from loyalty.currency import minor_digits, shown

_MOST_RULES = 12


@cache
def _style() -> str:
    return files("loyalty.backtest").joinpath("report.css").read_text(encoding="utf-8")


def page(report: Report) -> str:
    """The whole report."""
    body = "".join(
        (
            _head(report),
            _cards(report),
            '<div class="grid">',
            _section("What members keep of what is issued, by month", _by_month(report)),
            _section("Outstanding at the end of each month", _outstanding(report)),
            _section("Worth of points kept, by rule", _by_rule(report)),
            _section(_gains_title(report), _gains(report)),
            _section("Members by tier at the end", _matrix(report)) if len(report.matrix) > 1 else "",
            _section("Recorded, but not possible under the candidate", _impossible(report)),
            _section("Members who gain most", _members(report, gain=True)) if report.most_gained else "",
            _section("Members who lose most", _members(report, gain=False)) if report.most_lost else "",
            "</div>",
            _section("Budgets", _budgets(report)) if report.budgets else "",
            _section("By tier", _tiers(report)),
            _section("Points by month", _month_table(report)),
            _foot(report),
        )
    )
    title = f"Backtest: {escape(report.candidate.name)}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    since = f"from {report.start:%Y-%m-%d}" if report.start else "over the whole history"
    proven = ""
    if report.reproduced.checked and not report.reproduced.different:
        proven = (
            '<p class="up">Replaying what was in force comes to what the ledger holds, to the point, in '
            f"{of_all(report)} accounts.</p>"
        )
    elif report.reproduced.different:
        proven = (
            f'<p class="down">Replaying what was in force differs from the ledger in {report.reproduced.different:,}'
            f" of {report.reproduced.accounts:,} accounts: read the figures with care.</p>"
        )
    return (
        f"<h1>{escape(report.candidate.name)}</h1>"
        f'<p class="soft">beside {escape(report.now.name)} (version {report.now.version}), {since}, up to '
        f"{report.end:%Y-%m-%d}: {report.members:,} members, {report.purchases:,} purchases</p>{proven}"
    )


def of_all(report: Report) -> str:
    """How many of the accounts were replayed as things were."""
    checked = report.reproduced.accounts
    return f"all {checked:,}" if checked == report.accounts else f"{checked:,} of {report.accounts:,}"


def _cards(report: Report) -> str:
    now, then = report.now, report.candidate
    a, b = now.total, then.total
    cards = (
        (
            "Points kept are worth",
            a.cost_amount,
            b.cost_amount,
            a.issued - a.clawed_back,
            b.issued - b.clawed_back,
        ),
        ("Redeemed", a.redeemed_amount, b.redeemed_amount, a.redeemed, b.redeemed),
        (
            "Outstanding at the end",
            now.outstanding.amount,
            then.outstanding.amount,
            now.outstanding.points,
            then.outstanding.points,
        ),
    )
    members = (
        '<div class="card"><span>Members</span>'
        f'<b><i class="up">{report.winners:,}</i> / <i class="down">{report.losers:,}</i></b>'
        f"<span>gain / lose; {report.unchanged:,} stay as they are</span></div>"
    )
    return f'<div class="cards">{"".join(_card(report, *card) for card in cards)}{members}</div>'


def _card(report: Report, name: str, before: int, after: int, points_now: int, points: int) -> str:
    change = after - before
    share = f" ({100 * change / before:+.1f} %)" if before else ""
    return (
        f'<div class="card"><span>{escape(name)}</span><b>{escape(shown(after, report.currency))}</b>'
        f"<span>{change_text(change, report.currency)}{share}, instead of {escape(shown(before, report.currency))}"
        f"<br>{points:,} points, {points - points_now:+,}</span></div>"
    )


def change_text(change: int, currency: str) -> str:
    """A change of an amount with its sign."""
    return f"{'+' if change > 0 else ''}{escape(shown(change, currency))}"


def _section(title: str, content: str) -> str:
    return f'<section class="wide"><h2>{escape(title)}</h2>{content}</section>'


def _legend() -> str:
    return (
        f'<div class="legend"><span><i style="background:{NOW}"></i>in force</span>'
        f'<span><i style="background:{THEN}"></i>candidate</span></div>'
    )


def _by_month(report: Report) -> str:
    months = report.months
    series = (
        Series("in force", NOW, [row.now.cost_amount for row in months]),
        Series("candidate", THEN, [row.candidate.cost_amount for row in months]),
    )
    return _legend() + bars([row.month for row in months], series, _axis(report)) if months else "Nothing."


def _outstanding(report: Report) -> str:
    months = report.months
    series = (
        Series("in force", NOW, [row.outstanding_now.amount for row in months]),
        Series("candidate", THEN, [row.outstanding.amount for row in months]),
    )
    return _legend() + lines([row.month for row in months], series, _axis(report)) if months else "Nothing."


def _by_rule(report: Report) -> str:
    ranked = sorted(report.rules[:-1], key=lambda row: -max(_cost(row)))
    chosen = ranked[:_MOST_RULES]
    if not chosen:
        return "Nothing."
    series = (
        Series("in force", NOW, [_cost(row)[0] for row in chosen]),
        Series("candidate", THEN, [_cost(row)[1] for row in chosen]),
    )
    left = len(ranked) - len(chosen)
    more = f'<p class="soft">{left:,} more rules, each worth less.</p>' if left else ""
    return _legend() + rows([row.rule for row in chosen], series, _axis(report)) + more


def _cost(row: RuleRow) -> tuple[int, int]:
    return (row.now.cost_amount if row.now else 0, row.candidate.cost_amount if row.candidate else 0)


def _gains_title(report: Report) -> str:
    return f"Members by what they gain, in {report.currency if report.gains_in == 'amount' else 'points'}"


def _gains(report: Report) -> str:
    names = [gain_range(row, report) for row in report.gains]
    counts = [row.members for row in report.gains]
    signs = [(row.least > 0) - (row.most < 0) for row in report.gains]
    note = '<p class="soft">What a member redeemed and has left, against the same as things are.</p>'
    return note + (sides(names, counts, signs) if names else "Nobody.")


def gain_range(row: GainRow, report: Report) -> str:
    """A class of gains for people: +1.00 to 9.99."""
    if not row.least and not row.most:
        return "nothing"
    near, far = (row.least, row.most) if row.least > 0 else (row.most, row.least)
    sign = "+" if near > 0 else "-"
    if report.gains_in == "amount":
        return f"{sign}{money(abs(near), report)} to {sign}{money(abs(far), report)}"
    return f"{sign}{abs(near):,} to {sign}{abs(far):,}"


def money(amount: int, report: Report) -> str:
    """An amount without its currency."""
    return shown(amount, report.currency).rpartition(" ")[0]


def _axis(report: Report) -> "Axis":
    return Axis(minor_digits(report.currency))


class Axis:
    """Writes amounts as short as an axis wants them: 12.5k."""

    def __init__(self, digits: int) -> None:
        self._unit = 10**digits

    def __call__(self, amount: int) -> str:
        whole, sign = abs(amount) / self._unit, "-" if amount < 0 else ""
        for size, letter in ((10**9, "bn"), (10**6, "m"), (10**3, "k")):
            if whole >= size:
                return f"{sign}{whole / size:.3g}{letter}"
        return f"{sign}{whole:.3g}"


def _matrix(report: Report) -> str:
    tiers = [row.tier for row in report.tiers]
    lines_ = [
        "<tr><th>in force ↓ candidate →</th>"
        + "".join(f"<th>{escape(tier)}</th>" for tier in tiers)
        + "</tr>"
    ]
    for place, row in enumerate(report.matrix):
        cells = []
        for column, tier in enumerate(tiers):
            count = row.members[tier]
            kind = "same" if column == place else "rose" if column > place else "fell"
            cells.append(f'<td class="{kind if count or column == place else ""}">{count:,}</td>' if count else
                         f'<td class="{kind if column == place else ""}">·</td>')  # fmt: skip
        lines_.append(f"<tr><td>{escape(row.tier_now)}</td>{''.join(cells)}</tr>")
    changes = report.now.tier_changes, report.candidate.tier_changes
    note = (
        f'<p class="soft">Promotions {changes[0].promotions:,} → {changes[1].promotions:,}, renewals '
        f"{changes[0].renewals:,} → {changes[1].renewals:,}, falls {changes[0].falls:,} → {changes[1].falls:,}.</p>"
    )
    return note + f'<table class="matrix">{"".join(lines_)}</table>'


def _tiers(report: Report) -> str:
    return _table(
        ("tier", "members", "points kept", "redeemed", "outstanding"),
        [
            (
                row.tier,
                _both(row.members_now, row.members),
                _both(row.now.issued - row.now.clawed_back, row.candidate.issued - row.candidate.clawed_back),
                _both(row.now.redeemed, row.candidate.redeemed),
                _both(row.outstanding_now.points, row.outstanding.points),
            )
            for row in report.tiers
        ],
    )


def _members(report: Report, *, gain: bool) -> str:
    chosen = report.most_gained if gain else report.most_lost
    return _table(
        ("member", "gain", "redeemed", "left", "tier"),
        [
            (
                row.member_id,
                money(row.gain, report) if report.gains_in == "amount" else f"{row.gain:,}",
                _both(row.redeemed_now, row.redeemed),
                _both(row.left_now, row.left),
                row.tier if row.tier == row.tier_now else f"{row.tier_now} → {row.tier}",
            )
            for row in chosen
        ],
    )


def _budgets(report: Report) -> str:
    return _table(
        ("rule", "points", "used", "worth", "ran out"),
        [
            (
                row.rule,
                f"{row.budget_points:,}",
                f"{row.used_points:,}",
                shown(row.used_amount, report.currency),
                f"{row.ran_out_at:%Y-%m-%d %H:%M} UTC" if row.ran_out_at else "never",
            )
            for row in report.budgets
        ],
    )


_IMPOSSIBLE = {
    "purchase": "redeemed on a purchase",
    "redemption": "redeemed",
    "claim": "claimed as rewards",
    "adjustment": "taken by hand",
}


def _impossible(report: Report) -> str:
    found = [
        (
            _IMPOSSIBLE[row.kind],
            f"{row.count:,}",
            f"{row.dropped:,}",
            f"{row.wanted_points:,}",
            f"{row.made_points:,}",
        )
        for row in report.candidate.capped
    ]
    found += [
        (f"{row.kind}: {row.code}", f"{row.count:,}", f"{row.count:,}", "", "")
        for row in report.candidate.refused
    ]
    if not found:
        return "<p>Everything that was recorded would have been possible.</p>"
    return _table(("", "times", "not at all", "wanted", "made"), found)


def _month_table(report: Report) -> str:
    return _table(
        ("month", "issued", "clawed back", "redeemed", "expired", "outstanding"),
        [
            (
                row.month,
                _both(row.now.issued, row.candidate.issued),
                _both(row.now.clawed_back, row.candidate.clawed_back),
                _both(row.now.redeemed, row.candidate.redeemed),
                _both(row.now.expired, row.candidate.expired),
                _both(row.outstanding_now.points, row.outstanding.points),
            )
            for row in report.months
        ],
    )


def _foot(report: Report) -> str:
    rest = next((row for row in report.rules if row.rule == REST), None)
    rounding = ""
    if rest is not None and rest.candidate is not None:
        made = rest.candidate.issued - rest.candidate.clawed_back
        rounding = f" Rounding and forgiven debts make {made:+,} points."
    return (
        f"<footer>{report.purchases:,} purchases of {report.postings:,} postings replayed under both programs"
        f" in {report.seconds:.1f} s ({report.purchases_per_second:,.0f} purchases a second). Amounts at the"
        f" redemption rate of each program, months of {escape(report.time_zone)}. Figures are in force →"
        f" candidate.{rounding}</footer>"
    )


def _table(head: Sequence[str], content: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines_ = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in content
    )
    return f"<table><tr>{first}</tr>{lines_}</table>"


def _both(now: int, then: int) -> str:
    return f"{now:,}" if now == then else f"{now:,} → {then:,}"
