"""What must hold of the ledger's rows after each scenario: queries that return no row, written from DESIGN.md 3."""

from pathlib import Path

import asyncpg
import msgspec

from loyalty.audit import audit


async def assert_sound(pool: asyncpg.Pool, url: str) -> None:
    """Runs the queries here, the checks that ship with the ledger, and the audit. Nothing may be found."""
    for name, query in INVARIANTS.items():
        wrong = await pool.fetch(query)
        assert not wrong, f"{name}: {[tuple(row) for row in wrong]}"
    await _assert_charges(pool)
    for check in sorted((Path(__file__).parents[1] / "sql" / "checks").glob("*.sql")):
        wrong = await pool.fetch(check.read_text())
        assert not wrong, f"{check.stem}: {[tuple(row) for row in wrong]}"
    found = await audit(url, processes=1)
    assert found.clean, found.rows


async def _assert_charges(pool: asyncpg.Pool) -> None:
    """Counters and budgets are what the purchases and events on record, less what came back, used of their rules."""
    rows = await pool.fetch(
        "select coalesce(a.merged_into, a.account) as account, kind::text, id, subject, facts"
        " from full_posting p join account a using (shard, account)"
        " where kind in ('purchase', 'event', 'return') and facts is not null order by p.recorded_at, p.number"
    )
    kept: dict[tuple[int, str, str], dict[str, list[int]]] = {}
    for row in rows:
        facts = msgspec.json.decode(row["facts"])
        if row["kind"] != "return":
            kept[row["account"], row["kind"], row["id"]] = facts.get("charges", {})
        elif row["subject"] is not None:
            kept[row["account"], "purchase", row["subject"]] = facts.get("kept_charges", {})
    used: dict[tuple[int, str], list[int]] = {}
    for (account, _, _), charges in kept.items():
        for rule, (times, points) in charges.items():
            sums = used.setdefault((account, rule), [0, 0])
            sums[0] += times
            sums[1] += points
    ever = await pool.fetch(
        "select c.account, rule, times, points from counter c join account a using (shard, account)"
        " where not isfinite(day) and a.merged_into is null"
    )
    counted = {(row["account"], row["rule"]): [row["times"], row["points"]] for row in ever}
    for key in used.keys() | counted.keys():
        assert counted.get(key, [0, 0]) == used.get(key, [0, 0]), f"counter of {key}"
    for row in await pool.fetch("select rule, sum(points)::bigint as points from budget group by rule"):
        there = sum(points for (_, rule), (_, points) in used.items() if rule == row["rule"])
        assert row["points"] == there, f"budget of {row['rule']}"


INVARIANTS = {
    "entries are numbered 1..n and each begins where the last ended": """
        select account, seq, points, balance_after from (
            select *, row_number() over w as place, sum(points) over w as total from entry
            window w as (partition by account order by seq)) e
        where seq <> place or balance_after <> total""",
    "balance is the sum of the entries": """
        select a.account, a.balance, a.seq, e.points, e.n from account a
        left join (select account, sum(points) as points, count(*) as n from entry group by 1) e using (account)
        where a.balance <> coalesce(e.points, 0) or a.seq <> coalesce(e.n, 0)""",
    "balance is what is left of lots, and held, less debt": """
        select a.account, a.balance, a.held, a.debt, o.points from account a
        left join (select account, sum(remaining) as points from open_lot group by 1) o using (account)
        where a.balance <> coalesce(o.points, 0) + a.held - a.debt""",
    "no debt beside points that could repay it": """
        select a.account, a.debt from account a join open_lot o using (account) where a.debt > 0""",
    "a lot is never used beyond its points": """
        select l.account, l.lot, l.points, u.points from lot l
        join (select account, lot, sum(points) as points from lot_use group by 1, 2) u using (account, lot)
        where u.points > l.points""",
    "a lot is spent neither before it may be nor after it expired": """
        select u.account, u.lot, u.purpose, u.recorded_at, l.spendable_from, l.expires_at from lot_use u
        join lot l using (account, lot)
        where u.purpose in ('redeem', 'hold', 'adjust')
            and (u.recorded_at < l.spendable_from or u.recorded_at >= l.expires_at)""",
    "a lot expires once, when it is due": """
        select u.account, u.lot, count(*) from lot_use u join lot l using (account, lot) where purpose = 'expire'
        group by 1, 2 having count(*) > 1 or bool_or(u.occurred_at < l.expires_at)""",
    "held is the sum of the open holds": """
        select a.account, a.held, h.points from account a
        left join (select account, sum(points) as points from open_hold group by 1) h using (account)
        where a.held <> coalesce(h.points, 0)""",
    "a hold ends once": """
        select account, subject, count(*) from posting where kind in ('capture', 'release', 'timeout')
        group by 1, 2 having count(*) > 1""",
    "an open hold has not ended": """
        select h.account, h.redemption_id from open_hold h join posting p on p.account = h.account
            and p.subject = h.redemption_id and p.kind in ('capture', 'release', 'timeout')""",
    "a request has one effect": """
        select kind, id, count(*) from posting where id is not null group by 1, 2 having count(*) > 1""",
    "one entry for each kind, request and account": """
        select account, posting, kind, count(*) from entry where kind <> 'expire'
        group by account, posting, kind having count(*) > 1""",
    "one expire for each account, expires_at and posting": """
        select e.account, e.posting, e.n, u.n from (
            select account, posting, count(*) as n from entry where kind = 'expire' group by 1, 2) e
        left join (select account, posting, count(distinct coalesce(expires_at, 'infinity')) as n
                   from lot_use join (select account, lot, expires_at from lot) l using (account, lot)
                   where purpose = 'expire' group by account, posting) u using (account, posting)
        where e.n > u.n""",
    "what the ledger learned, it learned in order": """
        select account, number from (select *, lag(recorded_at) over (partition by account order by number) as before
            from posting) p where recorded_at < before""",
    "due_at is never late": """
        select a.account, a.due_at, d.at from account a join (
            select account, min(at) as at from (
                select account, expires_at as at from open_lot union all select account, until from open_hold
                union all select account, tier_verdict_at from account) x
            where at is not null group by 1) d using (account)
        where a.due_at is null or a.due_at > d.at""",
    "pending_until is never early": """
        select a.account, o.spendable_from from account a join open_lot o using (account)
        where o.spendable_from > ledger_now() and (a.pending_until is null or a.pending_until < o.spendable_from)""",
    "restored and captured are no more than was redeemed": """
        select r.account, r.id, u.points, x.points from posting r
        join (select account, posting, sum(points) as points from lot_use where purpose in ('redeem', 'hold')
              group by 1, 2) u
            on u.account = r.account and u.posting = r.number
        join (select p.account, p.subject, sum(e.points) as points from posting p
              join entry e on e.account = p.account and e.posting = p.number and e.kind = 'restore'
              where p.kind = 'reversal' group by 1, 2) x on x.account = r.account and x.subject = r.id
        where r.kind = 'redemption' and x.points > u.points""",
}
