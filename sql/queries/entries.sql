-- An account's entries before seq $3, newest first, at most $4. $1 shard, $2 account.
select e.seq, e.kind::text, e.points, e.balance_after, e.occurred_at, e.recorded_at,
       p.kind::text as posting_kind, p.id, p.subject, p.facts
from entry e
join full_posting p on p.shard = e.shard and p.account = e.account and p.number = e.posting
where e.shard = $1::smallint and e.account = $2::bigint and e.seq < $3::integer
order by e.seq desc limit $4::integer
