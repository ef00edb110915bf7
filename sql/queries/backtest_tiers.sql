-- Tiers that the members of a range, and of those who went into them, brought along. $1 shard, $2 first, $3 last account.
select t.account, t.posting, t.tier, t.valid_until
from account a
join tier_change t on t.shard = a.shard and t.account = a.account
where t.reason = 'import'
    and ((a.shard = $1::smallint and a.account between $2::bigint and $3::bigint and a.merged_into is null)
         or a.merged_into between $2::bigint and $3::bigint)
