-- Accounts with something due up to $2 ($5 'hold': a hold; 'any'), after account $3, at most $4.
-- $1 shard.
select account from account
where shard = $1::smallint and due_at <= $2::timestamptz and account > $3::bigint
    and ($5::text = 'any' or account in (
        select account from open_hold where shard = $1::smallint and until <= $2::timestamptz))
order by account limit $4::integer
