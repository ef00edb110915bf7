-- Accounts with something due up to $2, after account $3, at most $4. $1 shard.
select account from account
where shard = $1::smallint and due_at <= $2::timestamptz and account > $3::bigint
order by account limit $4::integer
