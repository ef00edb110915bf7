"""What somebody with every right may do to a ledger, and the row that an audit must then name."""

ADA = "account = (select account from member where member_id = 'ada')"
BOB = "account = (select account from member where member_id = 'bob')"

# What is done, and the row that must be named: its table and key.
CHANGED = {
    f"update posting set facts = facts || ' ' where {ADA} and number = 2": ("posting", "number=2"),
    f"update posting set answer = answer || '\\x20' where {ADA} and number = 3": ("posting", "number=3"),
    f"update posting set answer = null where {ADA} and number = 4": ("posting", "number=4"),
    f"update posting set occurred_at = '2001-01-01Z' where {ADA} and number = 1": ("posting", "number=1"),
    f"update posting set qualifying_amount = 1 where {ADA} and number = 1": ("posting", "number=1"),
    f"update posting set qualifying_at = '2001-01-01Z' where {ADA} and number = 1": ("posting", "number=1"),
    f"update posting set id = 'p3' where {ADA} and id = 'p1'": ("posting", "number=1"),
    f"update posting set subject = 'h9' where {ADA} and kind = 'capture'": ("posting", "number=7"),
    f"update posting set kind = 'release' where {ADA} and kind = 'capture'": ("posting", "number=7"),
    f"update posting set hash = sha256('x') where {ADA} and number = 4": ("posting", "number=4"),
    f"update posting set recorded_at = '2001-01-01Z' where {ADA} and number = 4": ("posting", "number=4"),
    f"update posting set program_version = 9 where {ADA} and number = 4": ("posting", "number=4"),
    f"update posting set fingerprint = sha256('x') where {ADA} and number = 4": ("posting", "number=4"),
    f"update entry set points = 101 where {ADA} and seq = 1": ("entry", "seq=1"),
    f"update entry set balance_after = 999 where {ADA} and seq = 2": ("entry", "seq=2"),
    f"update entry set kind = 'adjust', counter = 'adjusted' where {ADA} and seq = 1": ("posting", "number=1"),
    f"""alter table entry drop constraint if exists entry_check;
        update entry set counter = 'adjusted' where {ADA} and seq = 1""": ("entry", "seq=1"),
    f"""alter table entry drop constraint if exists entry_check;
        update entry set points = -100, kind = 'earn' where {ADA} and seq = 1""": ("entry", "seq=1"),
    f"update entry set occurred_at = '2001-01-01Z' where {ADA} and seq = 1": ("posting", "number=1"),
    f"update entry set recorded_at = '2001-01-01Z' where {ADA} and seq = 1": ("entry", "seq=1"),
    f"update entry set posting = 99 where {ADA} and seq = 1": ("entry", "seq=1"),
    f"update lot set points = 101 where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set earned_at = '2001-01-01Z' where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set expires_at = expires_at + interval '1 y' where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set expires_at = null where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set expires_at = null, idle = true where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set spendable_from = '2101-01-01Z' where {ADA} and lot = 1": (
        "lot_use", "posting=3 ordinal=1"),
    f"update lot set expires_at = '2001-01-01Z' where {ADA} and lot = 1": (
        "lot_use", "posting=3 ordinal=1"),
    f"update lot set origin = 7 where {ADA} and lot = 3": ("lot", "lot=3"),
    f"update lot set purchase_id = 'p9' where {ADA} and lot = 1": ("posting", "number=1"),
    f"update lot set posting = 99 where {ADA} and lot = 1": ("lot", "lot=1"),
    f"update lot_use set points = 51 where {ADA} and posting = 3": ("posting", "number=3"),
    f"update lot_use set points = 5000 where {ADA} and posting = 3": ("lot_use", "posting=3 ordinal=1"),
    f"update lot_use set purpose = 'expire' where {ADA} and posting = 3": (
        "lot_use", "posting=3 ordinal=1"),
    f"update lot_use set lot = 99 where {ADA} and posting = 3": ("lot_use", "posting=3 ordinal=1"),
    f"update lot_use set posting = 99 where {ADA} and posting = 3": ("lot_use", "posting=99 ordinal=1"),
    f"update lot_use set ordinal = 2 where {ADA} and posting = 3": ("lot_use", "posting=3 ordinal=2"),
    f"update lot_use set occurred_at = '2001-01-01Z' where {ADA} and posting = 3": ("posting", "number=3"),
    f"update tier_change set tier = 'ordinary' where {ADA}": ("posting", "number=2"),
    f"update tier_change set valid_until = null where {ADA}": ("posting", "number=2"),
    f"update tier_change set posting = 99 where {ADA}": ("tier_change", "posting=99 ordinal=1"),
    f"update tier_change set ordinal = 2 where {ADA}": ("tier_change", "posting=2 ordinal=2"),
    f"update open_lot set remaining = remaining + 1 where {ADA} and lot = 2": ("open_lot", "lot=2"),
    f"update open_lot set expires_at = null where {ADA} and lot = 2": ("open_lot", "lot=2"),
    f"update open_lot set purchase_id = 'p9' where {ADA} and lot = 2": ("open_lot", "lot=2"),
    f"update open_hold set points = points + 1 where {ADA}": ("open_hold", "redemption_id=h1"),
    f"update open_hold set until = until + interval '1 s' where {ADA}": ("open_hold", "redemption_id=h1"),
    f"update open_hold set posting = 1 where {ADA}": ("open_hold", "redemption_id=h1"),
    f"update account set due_at = due_at + interval '1 y' where {ADA}": ("account", ""),
    f"update account set due_at = null where {ADA}": ("account", ""),
}  # fmt: skip
REMOVED = {
    f"delete from posting where {ADA} and number = 3": ("posting", "number=3"),
    f"delete from posting where {ADA} and number > 1": ("account", ""),
    f"delete from posting where {ADA} and number = (select number from account where {ADA})": ("account", ""),
    f"delete from entry where {ADA} and seq = 2": ("entry", "seq=2"),
    f"delete from entry where {ADA} and seq = (select seq from account where {ADA})": ("account", ""),
    f"delete from lot where {ADA} and lot = 2": ("lot", "lot=2"),
    f"delete from lot_use where {ADA} and posting = 3": ("posting", "number=3"),
    f"delete from tier_change where {ADA}": ("posting", "number=2"),
    f"delete from open_lot where {ADA} and lot = 2": ("open_lot", "lot=2"),
    f"delete from open_hold where {ADA}": ("open_hold", "redemption_id=h1"),
}
ADDED = {
    f"""insert into posting
        select shard, account, 99, kind, 'p99', subject, occurred_at, recorded_at, program_version, qualifying_at,
            qualifying_amount, fingerprint, facts, answer, hash
        from posting where {ADA} and number = 1""": ("posting", "number=99"),
    f"""insert into entry
        select shard, account, 81, posting, kind, counter, points, balance_after, occurred_at, recorded_at
        from entry where {ADA} and seq = 1""": ("posting", "number=1"),
    f"""insert into entry
        select shard, account, 81, 99, kind, counter, points, balance_after, occurred_at, recorded_at
        from entry where {ADA} and seq = 1""": ("entry", "seq=81"),
    f"""insert into lot
        select shard, account, 81, posting, 81, points, earned_at, spendable_from, expires_at, idle, purchase_id,
            occurred_at, recorded_at
        from lot where {ADA} and lot = 1""": ("posting", "number=1"),
    f"""insert into lot
        select shard, account, 81, 99, 81, points, earned_at, spendable_from, expires_at, idle, purchase_id,
            occurred_at, recorded_at
        from lot where {ADA} and lot = 1""": ("lot", "lot=81"),
    f"""insert into lot_use
        select shard, account, posting, 2, 2, purpose, 1, occurred_at, recorded_at
        from lot_use where {ADA} and posting = 3""": ("posting", "number=3"),
    f"""insert into lot_use
        select shard, account, 99, 2, 2, purpose, 1, occurred_at, recorded_at
        from lot_use where {ADA} and posting = 3""": ("lot_use", "posting=99 ordinal=2"),
    f"""insert into tier_change
        select shard, account, 1, 1, at, tier, previous, reason, since, valid_until, verdict_at, ground_at, recorded_at
        from tier_change where {ADA}""": ("posting", "number=1"),
    f"""insert into open_lot
        select shard, account, 81, origin, 5, earned_at, spendable_from, expires_at, idle, purchase_id
        from open_lot where {ADA} and lot = 2""": ("open_lot", "lot=81"),
    f"insert into open_hold select shard, account, 'h9', 3, 5, until from open_hold where {ADA}": (
        "open_hold", "redemption_id=h9"),
}  # fmt: skip
RE_ORDERED = {
    f"""update posting set number = number + 1000 where {ADA} and number in (1, 2);
        update posting set number = 1003 - number where {ADA} and number > 1000""": ("posting", "number=1"),
    f"""update entry set seq = seq + 1000 where {ADA} and seq in (1, 2);
        update entry set seq = 1003 - seq where {ADA} and seq > 1000""": ("entry", "seq=2"),
    f"""update lot set lot = lot + 1000 where {ADA} and lot in (1, 2);
        update lot set lot = 1003 - lot where {ADA} and lot > 1000""": ("posting", "number=1"),
    f"""update lot_use set posting = posting + 1000 where {ADA} and posting in (3, 4);
        update lot_use set posting = 1007 - posting where {ADA} and posting > 1000""": (
        "posting",
        "number=3",
    ),
}
HEAD = [
    "number = number + 1", "number = number - 1", "seq = seq - 1", "lots = lots + 1", "balance = balance + 1",
    "held = held + 1", "debt = debt + 1", "hash = sha256('x')", "recorded_at = recorded_at + interval '1 s'",
    "active_at = null", "purchases = purchases + 1", "tier = 'gold'", "tier = null", "tier_since = null",
    "tier_valid_until = null", "tier_verdict_at = null", "tier_ground_at = null",
    "tier_judged_at = '2001-01-01Z'",
]  # fmt: skip
