-- One posting by its request's kind and id, in whichever shard. $1 kind, $2 id.
select p.shard, p.account, p.number, m.member_id, p.occurred_at, p.recorded_at, p.program_version, p.facts, p.answer, p.subject
from full_posting p
join account a on a.shard = p.shard and a.account = p.account
left join member m on m.account = coalesce(a.merged_into, a.account)
where p.kind = $1::posting_kind and p.id = $2
