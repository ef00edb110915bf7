-- Accounts of a range, with those that went into them, as they stand. $1 shard, $2 first, $3 last account.
with f as (
    select a.account as owner, a.shard, a.account from account a
    where a.shard = $1::smallint and a.account between $2::bigint and $3::bigint and a.merged_into is null
    union all
    select a.merged_into, a.shard, a.account from account a
    join account o on o.account = a.merged_into and o.shard = $1::smallint
    where a.merged_into between $2::bigint and $3::bigint
)
select f.owner, a.account, a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.purchases,
       a.tier, a.tier_since, a.tier_valid_until, p.birthday
from f
join account a on a.shard = f.shard and a.account = f.account
left join person p on p.account = f.account
order by f.owner, a.account
