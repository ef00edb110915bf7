-- Accounts of $2 that nobody else has locked; their locks end with the statement. $1 shard.
select account from account
where shard = $1::smallint and account = any ($2::bigint[])
order by account for no key update skip locked
