-- Open holds of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select h.account, h.posting, h.points, h.until, h.redemption_id
from open_hold h
where h.shard = $1 and h.account between $2 and $3
order by h.account, h.posting
