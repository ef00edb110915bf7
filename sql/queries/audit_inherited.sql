-- What counts for the tiers of a range of accounts but was posted on accounts that were merged into them. Columns as
-- loyalty/audit/rows.py lays them out.
select a.merged_into, p.qualifying_at, p.qualifying_amount
from account a
join posting p on p.shard = a.shard and p.account = a.account and p.qualifying_amount <> 0
where a.merged_shard = $1 and a.merged_into between $2 and $3
