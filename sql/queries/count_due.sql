-- How many accounts due_accounts.sql will give. $1 shard, $2 through, $3 kind.
select count(*) from account
where shard = $1::smallint and due_at <= $2::timestamptz
    and ($3::text = 'any' or tier_verdict_at <= $2::timestamptz)
