-- What postings of a range of accounts are about: purchases, holds, redemptions. $1 shard, $2 first, $3 last account.
select p.account, p.subject from posting p
where p.shard = $1::smallint and p.account between $2::bigint and $3::bigint and p.subject is not null
