-- What an account, and those merged into it, agreed to, oldest first. $1 shard, $2 account.
select c.purpose, c.granted, c.at, c.source, c.recorded_at
from consent c
where c.account in (select f.account from family($1::smallint, array[$2::bigint]) f)
order by c.at, c.consent_id
