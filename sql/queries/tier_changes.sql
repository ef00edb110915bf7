-- The tier histories of accounts in the order of recording. $1 shard, $2 accounts.
select account, posting, ordinal, at, tier, previous, reason, since, valid_until, verdict_at, ground_at, recorded_at
from tier_change
where shard = $1::smallint and account = any ($2::bigint[])
order by account, posting, ordinal
