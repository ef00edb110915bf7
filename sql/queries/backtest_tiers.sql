-- Changes of tier of a range of accounts. $1 shard, $2 first, $3 last account.
select t.account, t.posting, t.at, t.tier, t.previous, t.reason, t.valid_until from tier_change t
where t.shard = $1::smallint and t.account between $2::bigint and $3::bigint
