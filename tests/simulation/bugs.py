"""The bugs that are planted, each a replacement of text in one or several files of the package and its SQL."""

from msgspec import Struct


class Change(Struct, frozen=True):
    file: str
    old: str
    new: str


class Bug(Struct, frozen=True):
    """A bug by its first change; `also` has what has to go with it, as the guard that would stop it at once."""

    name: str
    file: str
    old: str
    new: str
    also: tuple[Change, ...] = ()

    def changes(self) -> tuple[Change, ...]:
        return Change(self.file, self.old, self.new), *self.also


BUGS = (
    Bug(
        "a return may grant points",
        "loyalty/engine/returns.py",
        "min(award.points, before.kept_points)",
        "award.points",
    ),
    Bug(
        "what comes back in parts is rounded up",
        "loyalty/engine/returns.py",
        "return whole * returned // total if total else 0",
        "return -(-whole * returned // total) if total else 0",
    ),
    Bug(
        "a purchase returned whole stays the first purchase",
        "loyalty/engine/returns.py",
        "        book.head.purchases -= 1\n",
        "        pass\n",
    ),
    Bug(
        "a return does not give back the use of a limit",
        "loyalty/engine/returns.py",
        "times_kept - times, points_kept - points)",
        "0, 0)",
    ),
    Bug(
        "points are spent earliest earned first, whatever expires sooner",
        "loyalty/ledger/account.py",
        "return self.end_of(lot) or NEVER, lot.earned_at,",
        "return lot.earned_at, self.end_of(lot) or NEVER,",
    ),
    Bug(
        "pending points can be spent",
        "loyalty/ledger/account.py",
        "lot.spendable_from > now]",
        "lot.spendable_from > now and False]",
    ),
    Bug("given back is what was used first", "loyalty/ledger/book.py", "in reversed(uses):", "in uses:"),
    Bug(
        "redeeming is no activity", "loyalty/ledger/book.py", 'self._enter("redeem", -points)\n        self._activity(',
        'self._enter("redeem", -points)\n        repr(',
    ),
    Bug(
        "debt is not repaid by points given back",
        "loyalty/ledger/account.py",
        "repaid = min(head.debt, points)",
        "repaid = 0 if origin else min(head.debt, points)",
    ),
    Bug(
        "what is due at this very instant waits for the next",
        "loyalty/engine/due.py",
        "due[0] <= through:",
        "due[0] < through:",
    ),
    Bug(
        "points given back too late live for ever",
        "loyalty/ledger/life.py",
        "    return calendar.add_days(at, policy.restore_grace_days)\n",
        "    return calendar.add_days(at, policy.restore_grace_days) if not policy.restore_grace_days else None\n",
    ),
    Bug(
        "late purchases are judged by the program of today",
        "loyalty/engine/record.py",
        "version = context.programs.at(purchase.occurred_at)",
        "version = context.programs.at(book.recorded_at)",
    ),
    Bug("half_even rounds half up", "loyalty/rules/judge.py", '(rounding == "half_up" or points % 2)', "True"),
    Bug(
        "of several multipliers all add up",
        "loyalty/rules/stacking.py",
        'if mode == "best" and',
        'if mode == "none" and',
    ),
    Bug(
        "a rolling window is a day too long",
        "loyalty/tiers/window.py",
        "shift_days(shift_months(day, -window.months), 1)",
        "shift_months(day, -window.months)",
    ),
    Bug(
        "a tier is renewed from the day of its verdict, grace included",
        "loyalty/tiers/assess.py",
        "valid_until, verdict_at = _validity(program, calendar, calendar.day(end))",
        "valid_until, verdict_at = _validity(program, calendar, calendar.day(standing.verdict_at))",
    ),
    Bug(
        "a changed duplicate gets the old answer",
        "loyalty/engine/item.py",
        "if same_account and recorded.fingerprint == item.fingerprint:",
        "if same_account:",
    ),
    Bug(
        "part of a hold captured is worth the whole",
        "loyalty/engine/redeem.py",
        "amount = taken.amount * points // taken.points",
        "amount = taken.amount",
    ),
    Bug(
        "SQL: times are counted, points of limits are not",
        "sql/functions/post.sql",
        "set times = c.times + excluded.times, points = c.points + excluded.points;",
        "set times = c.times + excluded.times;",
    ),
    Bug(
        "SQL: a budget forgets what was used before",
        "sql/functions/post.sql",
        "do update set points = b.points + excluded.points;",
        "do update set points = excluded.points;",
    ),
    Bug(
        "SQL: accounts with something due are not read whole",
        "sql/functions/lock_accounts.sql",
        " or h.due_at <= lock_accounts.now)",
        ")",
    ),
    Bug(
        "SQL: a used-up lot stays open with a point too many",
        "sql/functions/post.sql",
        "update open_lot o set remaining = o.remaining - used.points",
        "update open_lot o set remaining = o.remaining - used.points + (used.points > 700)::int",
    ),
    Bug(
        "SQL: the head forgets the last activity",
        "sql/functions/post.sql",
        "active_at = h.active_at,",
        "active_at = coalesce(a.active_at, h.active_at),",
    ),
    Bug(
        "SQL: a hold forgets its larger lots",
        "sql/functions/lock_accounts.sql",
        "where u.purpose in ('hold', 'merge');",
        "where u.purpose in ('hold', 'merge') and u.points < 400;",
    ),
    Bug(
        "pending points can be spent, and SQL lets them",
        "loyalty/ledger/account.py",
        "lot.spendable_from > now]",
        "lot.spendable_from > now and False]",
        (
            Change("loyalty/ledger/account.py", "if lot.spendable_from <= self.recorded_at]", "]"),
            Change("sql/functions/post.sql", " or o.spendable_from > u.recorded_at", ""),
        ),
    ),
    Bug(
        "a request is recorded again, and no index refuses it",
        "loyalty/engine/resolve.py",
        "        if own is not None and own in found:\n            item.outcome",
        "        if own is not None and own in found and own[0] != 'adjustment':\n            item.outcome",
        (
            Change(
                "loyalty/engine/batch.py",
                "    if own is not None and own in found:\n        return replay",
                "    if own is not None and own in found and own[0] != 'adjustment':\n        return replay",
            ),
            Change("sql/migrations/0001_ledger.sql", "unique index posting_request", "index posting_request"),
        ),
    ),
    Bug(
        "SQL: larger holds stay open when they end, and nobody counts",
        "sql/functions/post.sql",
        "x.account and h.redemption_id = x.redemption_id;",
        "x.account and h.redemption_id = x.redemption_id and h.points < 100;",
        (Change("sql/functions/post.sql", "if v_count <> cardinality(p_ended)", "if v_count > cardinality(p_ended)"),),
    ),
    Bug(
        "a budget gives a point too many, and SQL lets it",
        "loyalty/rules/stacking.py",
        "max(0, left), \"budget_points\"",
        "max(0, left) + 1, \"budget_points\"",
        (Change("sql/functions/post.sql", "b.points > n.most", "b.points > n.most + 1000"),),
    ),
    Bug("floor rounds halves up", "loyalty/rules/judge.py", 'if rounding != "floor":', "if rounding:"),
    Bug(
        "a threshold has to be passed, not reached",
        "loyalty/tiers/window.py",
        "found.visits >= qualify.visits",
        "found.visits > qualify.visits",
    ),
    Bug(
        "verdicts are not posted when they are due",
        "loyalty/engine/due.py",
        "if book.head.tier_verdict_at is not None:",
        "if book.head.tier_verdict_at is not None and book.holds:",
    ),
    Bug(
        "a return takes other points before the purchase's own",
        "loyalty/ledger/book.py",
        "                return 2, self._spend_order(lot)",
        "                return -1, self._spend_order(lot)",
    ),
    Bug(
        "late arrivals have no grace",
        "loyalty/ledger/life.py",
        "policy.late_grace_days == 0:",
        "policy.late_grace_days >= 0:",
    ),
    Bug(
        "a posting says that it was recorded when it happened",
        "loyalty/ledger/account.py",
        "p.subject, p.occurred_at, self.recorded_at,",
        "p.subject, p.occurred_at, min(self.recorded_at, p.occurred_at),",
    ),
    Bug(
        "what was used of limits does not follow a merge",
        "loyalty/engine/merge.py",
        "counters = used if context is taking else []",
        "counters = []",
    ),
    Bug(
        "purchases before a merge are forgotten: the next is the first again",
        "loyalty/engine/merge.py",
        "    head.purchases += gone.purchases\n",
        "",
    ),
    Bug(
        "the lower tier stays after a merge",
        "loyalty/tiers/assess.py",
        "stays = other if worth(other) > worth(into) else into",
        "stays = other if worth(other) < worth(into) else into",
    ),
    Bug(
        "points that come with a merge pay no debt",
        "loyalty/ledger/book.py",
        "        if head.debt:\n            kept",
        "        if head.debt and not before:\n            kept",
    ),
    Bug(
        "an erasure leaves holds as they are",
        "loyalty/engine/erase.py",
        "for hold in list(book.holds.values()):",
        "for hold in list(book.holds.values())[:0]:",
    ),
    Bug(
        "what a reversal gives back to nobody stays",
        "loyalty/engine/redeem.py",
        'if book.head.status == "erased":',
        'if book.head.status == "merged":',
    ),
    Bug(
        "SQL: the past knows what was recorded later",
        "sql/queries/past_postings.sql",
        "where occurred_at <= $3::timestamptz and known_at <= $4::timestamptz",
        "where occurred_at <= $3::timestamptz and $4::timestamptz is not null",
    ),
    Bug(
        "SQL: the past uses points up before they were used",
        "sql/queries/past_lots.sql",
        "where u.occurred_at <= $4::timestamptz",
        "where $4::timestamptz is not null",
    ),
    Bug(
        "the past numbers new lots from one",
        "loyalty/engine/past.py",
        'max((lot["lot"] for lot in lots[account]), default=0)',
        "0",
    ),
    Bug(
        "what is due is not looked at again when an activity ahead of the clock is reached",
        "loyalty/ledger/account.py",
        "            self._ahead(),\n",
        "",
    ),
    Bug(
        "idle points that a late purchase ends can be spent by what comes in the same batch",
        "loyalty/engine/batch.py",
        "moved and (active_at is None or not context.programs.one_idle_end())",
        "moved and active_at is None",
    ),
    Bug(
        "members of any tier can claim what is for others",
        "loyalty/rewards/model.py",
        "if not self.is_for(tier):",
        "if self.stock < 0:",
    ),
    Bug(
        "an erasure leaves claims as they are",
        "loyalty/engine/erase.py",
        "for claim in claims:",
        "for claim in claims[:0]:",
    ),
    Bug(
        "SQL: the unit of a cancelled claim does not come back",
        "sql/functions/settle_claims.sql",
        "select v.reward_id, 1 from unnest(p_cancelled)",
        "select v.reward_id, 0 from unnest(p_cancelled)",
    ),
    Bug(
        "SQL: a voucher is used after its last day",
        "sql/functions/use_voucher.sql",
        " and (v.valid_until is null or v.valid_until > v_now)",
        "",
    ),
)  # fmt: skip
