-- Accounts with something due up to $2 ($5 'verdict': a tier verdict, 'hold': a hold), after account $3, at most $4.
-- $1 shard.
select account from account
where shard = $1::smallint and due_at <= $2::timestamptz and account > $3::bigint
    and case $5::text
        when 'verdict' then tier_verdict_at <= $2::timestamptz
        when 'hold' then account in (
            select account from open_hold where shard = $1::smallint and until <= $2::timestamptz)
        else true
    end
order by account limit $4::integer
