-- Changes of tier of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select t.account, t.posting, t.ordinal::integer, t.at, t.since, t.recorded_at,
       t.valid_until is null, coalesce(t.valid_until, 'epoch'),
       t.verdict_at is null, coalesce(t.verdict_at, 'epoch'),
       t.ground_at is null, coalesce(t.ground_at, 'epoch'),
       t.tier, t.previous, t.reason
from tier_change t
where t.shard = $1 and t.account between $2 and $3
order by t.account, t.posting, t.ordinal
