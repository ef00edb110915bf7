-- Accounts with something due up to $2 ($5 'verdict': with a tier verdict due), after account $3, at most $4. $1 shard.
select account from account
where shard = $1::smallint and due_at <= $2::timestamptz and account > $3::bigint
    and ($5::text = 'any' or tier_verdict_at <= $2::timestamptz)
order by account limit $4::integer
