-- Accounts after $2, at most $3, with their members' ids. $1 shard.
select a.account, m.member_id from account a left join member m on m.account = a.account
where a.shard = $1::smallint and a.account > $2::bigint order by a.account limit $3::integer
