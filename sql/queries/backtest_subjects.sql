-- What postings of a range of accounts are about: purchases, holds, redemptions. $1 shard, $2 first, $3 last account.
select coalesce(a.merged_into, a.account) as owner, p.subject
from account a
join posting p on p.shard = a.shard and p.account = a.account
where p.subject is not null
    and ((a.shard = $1::smallint and a.account between $2::bigint and $3::bigint and a.merged_into is null)
         or a.merged_into between $2::bigint and $3::bigint)
