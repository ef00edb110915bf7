-- Accounts as they stand, in one statement and so in one snapshot, without a lock. One shard a call.
create or replace function read_accounts(p_shard smallint, p_accounts bigint[])
returns table (
    now timestamptz, program_version integer, head locked_head, lots open_lot_row[], holds hold_row[], hold_uses used_lot[]
) language sql stable as $$
    select
        ledger_now(),
        (select max(v.version) from program_version v),
        row(a.account, a.status, a.merged_into, m.member_id, a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.hash,
            a.recorded_at, a.due_at, a.pending_until, a.active_at, a.purchases,
            a.tier, a.tier_since, a.tier_valid_until, a.tier_verdict_at, a.tier_ground_at, a.tier_judged_at,
            a.spend_bound, a.visits_bound, a.bound_at)::locked_head,
        (select array_agg(row(o.account, o.lot, o.origin, o.remaining, o.earned_at, o.spendable_from, o.expires_at,
                              o.idle, o.purchase_id)::open_lot_row)
         from open_lot o where o.shard = p_shard and o.account = a.account),
        case when a.held > 0 then
            (select array_agg(row(h.account, h.redemption_id, h.posting, h.points, h.until)::hold_row)
             from open_hold h where h.shard = p_shard and h.account = a.account) end,
        case when a.held > 0 then
            (select array_agg(row(u.account, u.posting, u.lot, l.origin, u.points,
                                  l.earned_at, l.spendable_from, l.expires_at, l.idle, l.purchase_id)::used_lot
                              order by u.posting, u.ordinal)
             from open_hold h
             join lot_use u on u.shard = p_shard and u.account = h.account and u.posting = h.posting
                 and u.purpose in ('hold', 'merge')
             join lot l on l.shard = p_shard and l.account = u.account and l.lot = u.lot
             where h.shard = p_shard and h.account = a.account) end
    from account a
    left join member m on m.account = a.account
    where a.shard = p_shard and a.account = any (p_accounts)
$$;
