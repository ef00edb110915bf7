-- Uses of lots of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select u.account, u.posting, u.ordinal, u.lot, u.points, u.occurred_at, u.recorded_at, u.purpose::text::char(12)
from lot_use u
where u.shard = $1 and u.account between $2 and $3
order by u.account, u.posting, u.ordinal
