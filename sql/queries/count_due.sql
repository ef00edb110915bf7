-- How many accounts due_accounts.sql will give. $1 shard, $2 through, $3 what. All that is due is counted by its index alone:
-- to read a million accounts would hold up the disk that tills commit on.
select case $3::text when 'any' then (
    select count(*) from account where shard = $1::smallint and due_at <= $2::timestamptz
) else (
    select count(*) from account where shard = $1::smallint and due_at <= $2::timestamptz and account in (
        select account from open_hold where shard = $1::smallint and until <= $2::timestamptz)
) end
