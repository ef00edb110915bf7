-- An account's purchases before posting $3, newest first, at most $4. $1 shard, $2 account.
select p.number, p.facts, p.answer, p.occurred_at, p.recorded_at
from posting p
where p.shard = $1::smallint and p.account = $2::bigint and p.number < $3::integer and p.kind = 'purchase'
order by p.number desc limit $4::integer
