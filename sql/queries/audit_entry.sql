-- Entries of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select e.account, e.posting, e.seq, e.points, e.balance_after, e.occurred_at, e.recorded_at,
       e.kind::text::char(12), e.counter::text::char(12)
from entry e
where e.shard = $1 and e.account between $2 and $3
order by e.account, e.seq
