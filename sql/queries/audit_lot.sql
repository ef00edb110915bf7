-- Lots of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select l.account, l.posting, l.lot, l.origin, l.points, l.earned_at, l.spendable_from, l.occurred_at, l.recorded_at,
       l.idle, l.expires_at is null, coalesce(l.expires_at, 'epoch'), l.purchase_id
from lot l
where l.shard = $1 and l.account between $2 and $3
order by l.account, l.lot
