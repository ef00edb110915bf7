-- Postings of a range of accounts in their order. $1 shard, $2 first, $3 last account.
select p.account, p.number, p.kind::text, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version, p.facts
from full_posting p
where p.shard = $1::smallint and p.account between $2::bigint and $3::bigint
order by p.account, p.number
