-- Postings of the accounts that went into those of a range, in their order. $1 shard of these, $2 first, $3 last of these.
select p.account, p.number, p.kind::text, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version, p.facts
from account a
join account o on o.account = a.merged_into and o.shard = $1::smallint
join posting p on p.shard = a.shard and p.account = a.account
where a.merged_into between $2::bigint and $3::bigint
order by a.merged_into, p.account, p.number
