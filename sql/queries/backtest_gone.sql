-- Accounts, of any shard, that went into those of a range, as they stood. $1 first, $2 last account.
select a.merged_into as owner, a.shard, a.account, a.due_at, a.status::text, p.birthday,
       a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.purchases, a.tier, a.tier_since, a.tier_valid_until
from account a
left join person p on p.account = a.account
where a.merged_into between $1::bigint and $2::bigint
order by a.account
