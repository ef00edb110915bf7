-- What was posted about a purchase or a redemption, oldest first. $1 shard, $2 account, $3 its id.
select p.kind::text, p.id, p.occurred_at, p.recorded_at, p.facts, p.answer
from posting p
where p.shard = $1::smallint and p.account = $2::bigint and p.subject = $3
order by p.number
