-- How many accounts due_accounts.sql will give. $1 shard, $2 through, $3 what.
select count(*) from account
where shard = $1::smallint and due_at <= $2::timestamptz
    and ($3::text = 'any' or account in (
        select account from open_hold where shard = $1::smallint and until <= $2::timestamptz))
