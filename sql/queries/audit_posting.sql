-- Postings of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select p.account, p.number, p.occurred_at, p.recorded_at, p.program_version, p.qualifying_amount,
       p.qualifying_at is null, coalesce(p.qualifying_at, 'epoch'), p.kind::text::char(12),
       p.hash, p.id, p.subject, p.fingerprint, p.facts, p.answer
from full_posting p
where p.shard = $1 and p.account between $2 and $3
order by p.account, p.number
