-- How many accounts verdict_accounts.sql will give in all. $1 shard, $2 through.
select count(*) from account where shard = $1::smallint and tier_verdict_at <= $2::timestamptz
