-- Accounts of a range that anything happened to, as they stand, those that went into others too. $1 shard, $2 first,
-- $3 last account.
select coalesce(a.merged_into, a.account) as owner, a.shard, a.account, a.due_at, a.status::text, p.birthday,
       a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.purchases, a.tier, a.tier_since, a.tier_valid_until
from account a
left join person p on p.account = a.account
where a.shard = $1::smallint and a.account between $2::bigint and $3::bigint and a.number > 0
order by a.account
