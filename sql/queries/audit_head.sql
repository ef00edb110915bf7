-- Heads of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select a.account, a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.recorded_at, a.purchases,
       a.due_at is null, coalesce(a.due_at, 'epoch'),
       a.pending_until is null, coalesce(a.pending_until, 'epoch'),
       a.active_at is null, coalesce(a.active_at, 'epoch'),
       a.tier_since is null, coalesce(a.tier_since, 'epoch'),
       a.tier_valid_until is null, coalesce(a.tier_valid_until, 'epoch'),
       a.tier_verdict_at is null, coalesce(a.tier_verdict_at, 'epoch'),
       a.tier_ground_at is null, coalesce(a.tier_ground_at, 'epoch'),
       a.tier_judged_at is null, coalesce(a.tier_judged_at, 'epoch'),
       a.spend_bound, a.visits_bound, a.bound_at, a.hash, a.tier, a.status::text, m.member_id
from account a
left join member m on m.account = a.account
where a.shard = $1 and a.account between $2 and $3
order by a.account
